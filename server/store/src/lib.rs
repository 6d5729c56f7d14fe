//! SurrealDB behind our nouns: connection, schema, transactions, queries, the change log. The only crate that speaks SurrealQL; values
//! and names reach the database as bound parameters or as names that [`model`] has checked, never pasted from input.

mod error;

mod connection;

mod hot;

mod transaction;

mod value;

mod condition;

mod row;

pub mod schema;

pub mod records;

pub mod catalog;

pub mod policies;

pub mod plugins;

pub mod sessions;

pub mod changes;

pub mod settings;

pub use connection::{Database, Memory, Store};
pub use error::Error;
pub use transaction::{Attempts, Run, Transaction};
