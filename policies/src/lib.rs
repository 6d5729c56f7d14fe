//! Who may do what. This crate owns the policies: their CSV form, the immutable [`Snapshot`] of everything that is in force, and the
//! [`Plan`] that answers for one group of callers, one action and one collection. It is the only code that knows Casbin. What a
//! condition means is for `model`; how it becomes a query is for `store`; when a plan is asked is for `app`.
//!
//! Deny overrides, and doubt denies: an engine that fails, a condition that does not fit its collection, a value that is missing -
//! none of them ever widens access.

mod policy;

mod role;

mod error;

mod file;

mod fields;

mod snapshot;

mod rules;

mod plan;

mod engine;

pub use error::{Column, Error};
pub use fields::FieldMask;
pub use file::{DEFAULT_CSV, parse_csv};
pub use plan::{Access, Plan};
pub use policy::{Effect, Policy, PolicyDraft, SYSTEM_OBJECTS, Source};
pub use role::RoleLink;
pub use snapshot::{Policies, Snapshot};
