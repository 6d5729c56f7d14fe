//! Rules that run in a transaction of their own: after a commit, on a schedule, for a request to an endpoint of theirs.

use std::sync::Arc;

use model::value::Object;
use plugins::{Event, Ground, Hook, Instances, Replayed, Run};
use store::Transaction;

use super::{
    records::{Fault, RuleRecords},
    refusal,
    run::{self, Asked, Play, Read, Stopped},
};
use crate::{
    Error,
    call::Call,
    plugins::{Bound, Installed},
    records::commit::{Share, committed},
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

/// Runs the rule and reads what it answers, does what is to be done in the same transaction (that a delivery is done, for instance), and
/// commits.
///
/// # Errors
/// What the rule refuses, how it fails, an answer that cannot be read, what `done` reports, or too many conflicts. Nothing is written then.
pub(crate) async fn in_own_transaction<T, D, F>(call: &Call, detached: Detached, read: Read<T>, done: D) -> Result<T, Error>
where
    D: Fn(Transaction) -> F,
    F: Future<Output = Result<(), Error>>,
{
    let (detached, done) = (&detached, &done);
    committed(call, Share::WithOthers, |call, transaction| async move {
        let bound = Bound { installed: Arc::clone(&detached.installed), rule: Arc::clone(&detached.rule) };
        let answer = match run::run(&call, &transaction, &bound, Play::Real, detached.asked(), read).await {
            Ok(answer) => answer,
            Err(Stopped::Rejected(rejection)) => return Err(refusal(&bound.installed, rejection)?),
            Err(Stopped::Error(error)) => return Err(error),
        };
        done(transaction).await?;
        Ok(answer)
    })
    .await
}

/// One run, with everything that an author wants to know of it.
pub(crate) struct Tried {
    /// What the rule was asked.
    pub(crate) event: Event,
    /// What came out; the records are gone with the transaction.
    pub(crate) run: Run,
}

/// Runs the rule once, commits what it did if it accepts, and keeps a transcript. For authors who try a rule out: nobody else is there.
///
/// # Errors
/// What the database reports, or a plugin that cannot run at all.
pub(crate) async fn try_out(call: &Call, detached: &Detached) -> Result<Tried, Error> {
    let bound = Bound { installed: Arc::clone(&detached.installed), rule: Arc::clone(&detached.rule) };
    let plugin = bound.installed.plugin()?;
    let transaction = call.app.store.begin().await?;
    let fault = Fault::default();
    let records = RuleRecords::new(call, &transaction, &bound, Play::Real, &fault);
    let event = run::event(call, &bound.installed, &bound.rule, Play::Real, detached.asked());
    let ground = Ground { record: true, ..bound.installed.ground.clone() };
    let mut run = plugin.run(&Instances::default(), ground, Box::new(records), event.clone()).await;
    run.records = Box::new(Replayed::new(Vec::new()));
    match run.result {
        Ok(_) => transaction.commit().await?,
        Err(_) => transaction.rollback().await,
    }
    Ok(Tried { event, run })
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
