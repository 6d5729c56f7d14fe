//! The nouns of Ironrule and their invariants: collection, field, record, draft, condition, principal, change. Pure: values in,
//! values out. No async, no clock, no network; storage, policies and plugins are for the crates above.

// The tests in here share their collection and their conditions with those in `tests`, where this crate has its name.
#[cfg(test)]
extern crate self as model;

pub mod value;

pub mod field;

pub mod collection;

pub mod draft;

pub mod modifier;

pub mod key;

pub mod violation;

pub mod validate;

pub mod record;

pub mod principal;

pub mod condition;

pub mod query;

pub mod parameters;

pub mod aggregate;

pub mod time;

pub use collection::{Collection, Kind};
pub use condition::{Condition, Guard, Truth};
pub use draft::{Draft, Drafts};
pub use field::{Field, FieldType};
pub use key::Key;
pub use modifier::Modifiers;
pub use principal::{Action, Caller, Principal};
pub use record::{NewRecord, Record};
pub use value::Value;
pub use violation::{Pointer, Violation, Violations};
