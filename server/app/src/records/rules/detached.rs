//! Rules that run in a transaction of their own: after a commit, on a schedule, for a request to an endpoint of theirs.

use std::sync::Arc;

use model::value::Object;
use plugins::{Hook, Outcome};
use store::Transaction;

use super::{
    refusal,
    run::{self, Asked, Play, Stopped},
};
use crate::{
    Error,
    call::Call,
    plugins::{Bound, Installed},
    records::{Share, committed},
};

/// One run of a rule that no write of a record waits for. The texts are JSON.
#[derive(Clone)]
pub(crate) struct Detached {
    /// The plugin, in the version that runs.
    pub(crate) installed: Arc<Installed>,
    /// The name of the rule.
    pub(crate) rule: Arc<str>,
    /// Why it runs.
    pub(crate) hook: Hook,
    /// `create`, `update`, `delete`; `job`, `tick`; the method of a request.
    pub(crate) operation: String,
    /// The collection of the record that was written; empty without one.
    pub(crate) collection: String,
    /// Its id; empty without one.
    pub(crate) id: String,
    /// The record as it was.
    pub(crate) before: Option<String>,
    /// The record as it is, the payload of a job, or a request.
    pub(crate) after: Option<String>,
    /// What the context says beside the usual members.
    pub(crate) context: Object,
}

/// Runs the rule and what is to be done in the same transaction (that a delivery is done, for instance), and commits.
///
/// # Errors
/// What the rule refuses, how it fails, what `done` reports, or too many conflicts. Nothing is written then.
pub(crate) async fn in_own_transaction<D, F>(call: &Call, detached: Detached, done: D) -> Result<Outcome, Error>
where
    D: Fn(Transaction) -> F,
    F: Future<Output = Result<(), Error>>,
{
    let (detached, done) = (&detached, &done);
    committed(call, Share::WithOthers, |call, transaction| async move {
        let bound = Bound { installed: Arc::clone(&detached.installed), rule: Arc::clone(&detached.rule) };
        let outcome = match run::run(&call, &transaction, &bound, Play::Real, detached.asked()).await {
            Ok(outcome) => outcome,
            Err(Stopped::Rejected(rejection)) => return Err(refusal(&bound.installed, rejection)?),
            Err(Stopped::Error(error)) => return Err(error),
        };
        done(transaction).await?;
        Ok(outcome)
    })
    .await
}

impl Detached {
    fn asked(&self) -> Asked {
        Asked {
            hook: self.hook,
            operation: self.operation.clone(),
            collection: self.collection.clone(),
            id: self.id.clone(),
            before: self.before.clone(),
            after: self.after.clone(),
            context: self.context.clone(),
        }
    }
}
