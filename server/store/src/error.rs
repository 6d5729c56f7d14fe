//! What can go wrong in the store, sorted by what the caller can do about it.

use surrealdb::types::{ErrorDetails, QueryError};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another transaction wrote the same record first. Nothing was written; run the whole transaction again.
    #[error("another transaction wrote the same record first")]
    Conflict,
    /// A unique index holds this value already. Nothing was written.
    #[error("the unique index `{index}` has this value already")]
    Unique {
        /// The name of the index, as [`crate::schema::index_fields`] understands it.
        index: String,
    },
    /// The record that should be created is there already.
    #[error("a record with this id is there already")]
    Exists,
    /// The commit may or may not have happened: the connection broke in between.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(String),
    /// Whoever asked for it has given up before the commit. Nothing was written.
    #[error("nobody waits for this write any more")]
    GivenUp,
    /// What is stored cannot be read as what it should be.
    #[error("stored data is not as expected: {0}")]
    Corrupt(String),
    /// Everything else that SurrealDB reports.
    #[error("database error: {0}")]
    Database(String),
    /// The database cannot be opened or reached.
    #[error("cannot open the database: {0}")]
    Open(String),
}

impl Error {
    /// True if running the transaction again may succeed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Error::Conflict)
    }
}

impl From<surrealdb::Error> for Error {
    fn from(error: surrealdb::Error) -> Self {
        if let ErrorDetails::Query(Some(QueryError::TransactionConflict)) = error.details() {
            return Error::Conflict;
        }
        if error.is_already_exists() {
            return Error::Exists;
        }
        let message = error.message();
        // Unique violations and conflicts inside a client-side transaction come without a detail; the wording is pinned with the version.
        if message.contains("Transaction conflict") || message.contains("can be retried") {
            return Error::Conflict;
        }
        if let Some(rest) = message.strip_prefix("Database index `").filter(|_| message.contains("already contains")) {
            return Error::Unique { index: rest.split('`').next().unwrap_or_default().to_owned() };
        }
        if error.is_connection() {
            return Error::Open(message.to_owned());
        }
        Error::Database(message.to_owned())
    }
}
