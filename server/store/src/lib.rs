//! SurrealDB behind our nouns: connection, schema, transactions, queries, the change log. The only crate that speaks SurrealQL; values
//! and names reach the database as bound parameters or as names that [`model`] has checked, never pasted from input.

// The futures of the engine that the tests serve are nested deeper than the compiler looks on its own.
#![cfg_attr(test, recursion_limit = "256")]

mod error;

mod connection;

mod remote;

mod hot;

mod commitment;

mod transaction;

mod value;

mod condition;

mod row;

pub mod schema;

pub mod records;

pub mod catalog;

pub mod rebuild;

pub mod alterations;

pub mod policies;

pub mod decisions;

pub mod plugins;

pub mod sessions;

pub mod changes;

pub mod guards;

pub mod cursors;

pub mod imports;

pub mod idempotency;

pub mod outbox;

pub mod settings;

#[doc(hidden)]
pub mod dump;

pub use commitment::Commitment;
pub use connection::{Database, Memory, Store};
pub use error::Error;
pub use hot::Turn;
pub use transaction::{Attempts, Run, Transaction};
