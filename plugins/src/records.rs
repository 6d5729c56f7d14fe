//! The records that a rule sees: those of the running transaction, whoever holds it.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::effect::Effect;

/// A boxed future, so that [`Records`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Reads and writes inside the running transaction. All text is JSON, in the mapping that `wit/rules.wit` describes.
///
/// Grants, budgets and sizes are checked before these functions are called; that the text is JSON and fits the collection
/// is for the implementation to check. A future may be dropped before it is ready, when the call runs out of time.
pub trait Records: Send + 'static {
    /// The record, or none if it does not exist.
    fn get<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>>;

    /// The records in the order of `ids`, with none for each that does not exist.
    fn get_many<'a>(&'a mut self, collection: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<String>>, Failure>>;

    /// A JSON array of records. The query is an object: `filter`, `sort`, `limit`, `fields`, all optional.
    fn query<'a>(&'a mut self, collection: &'a str, query: &'a str) -> BoxFuture<'a, Result<String, Failure>>;

    /// Creates a record and answers it as stored.
    fn create<'a>(&'a mut self, collection: &'a str, content: &'a str) -> BoxFuture<'a, Result<String, Failure>>;

    /// Applies an RFC 7396 merge patch and answers the record as stored.
    fn update<'a>(&'a mut self, collection: &'a str, id: &'a str, patch: &'a str) -> BoxFuture<'a, Result<String, Failure>>;

    /// Deletes a record.
    fn delete<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<(), Failure>>;

    /// Puts an effect into the outbox, in the same transaction, and answers the id of the delivery. The effect is well
    /// formed and granted.
    fn enqueue<'a>(&'a mut self, effect: Effect) -> BoxFuture<'a, Result<String, Failure>>;
}

/// Why a host call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable: `not-allowed`, `not-found`, `exists`, `invalid`, `conflict`, `limit`, `unavailable`.
    pub code: String,
    /// For the author of the plugin.
    pub message: String,
    /// The transaction is lost: the guest is ended and the run answers [`Refusal::Host`](crate::Refusal::Host).
    pub fatal: bool,
    /// A JSON object.
    pub details: String,
}

impl Failure {
    /// A failure that the guest sees and may handle.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), fatal: false, details: "{}".to_owned() }
    }

    /// A failure that ends the guest because the transaction cannot go on.
    pub fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::new(code, message) }
    }
}

/// For the call that asks for the manifest, which may not touch any record (its budget is zero already; this is the second
/// lock on the same door), and for an instance between two calls.
pub(crate) struct NoRecords;

impl Records for NoRecords {
    fn get<'a>(&'a mut self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        refuse()
    }

    fn get_many<'a>(&'a mut self, _: &'a str, _: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<String>>, Failure>> {
        refuse()
    }

    fn query<'a>(&'a mut self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        refuse()
    }

    fn create<'a>(&'a mut self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        refuse()
    }

    fn update<'a>(&'a mut self, _: &'a str, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        refuse()
    }

    fn delete<'a>(&'a mut self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        refuse()
    }

    fn enqueue<'a>(&'a mut self, _: Effect) -> BoxFuture<'a, Result<String, Failure>> {
        refuse()
    }
}

fn refuse<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, Failure>> {
    Box::pin(async { Err(Failure::fatal("unavailable", "there are no records here")) })
}
