//! The stories of records. Each write tells the same one: parse, authorize, begin, load, run rules, validate, check, write, commit. The
//! steps after "begin" are in [`steps`], because plugins and cascades take them too, inside a transaction that is already open.

pub mod create;

pub mod read;

pub mod list;

pub mod aggregate;

pub mod export;

pub(crate) mod import;

pub mod update;

pub mod delete;

mod steps;

pub(crate) mod rules;

mod passwords;

mod csv;

use std::sync::{Arc, atomic::Ordering};

use model::{Collection, Record};
use policies::Plan;
use store::{Attempts, Transaction};
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

pub(crate) use passwords::{Checked, verify};
pub(crate) use steps::next_id;

use crate::{Error, call::Call};

/// A record as the caller may see it.
pub struct Shown {
    pub(crate) collection: Collection,
    pub(crate) record: Record,
    /// The plan for reading; none if the caller may not read the collection at all.
    pub(crate) plan: Option<Arc<Plan>>,
}

impl Shown {
    /// What a writer sees of its own write: what it could read now.
    fn after_write(call: &Call, collection: &Collection, record: Record) -> Self {
        let plan = Some(call.world.policies.plan(&call.caller, model::Action::Read, collection));
        let plan = plan.filter(|plan| plan.allows(&call.context(&record, None)));
        Self { collection: collection.clone(), record, plan }
    }

    /// The JSON of the record with the fields that the caller may read and, if given, has chosen.
    pub(crate) fn json(&self, call: &Call, chosen: Option<&[String]>) -> Result<Vec<u8>, Error> {
        let visible = self.plan.as_ref().map(|plan| call.shows(plan, &self.collection, &self.record));
        let chosen = |field: &str| chosen.is_none_or(|chosen| chosen.iter().any(|name| name == field));
        let view = self.record.view(|field| chosen(field) && visible.as_ref().is_some_and(|visible| visible(field)));
        serde_json::to_vec(&view).map_err(|error| Error::Internal(error.to_string()))
    }
}

/// Whether other writes may run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// They may: conflicts on records are detected.
    WithOthers,
    /// They may not: a record that is deleted must not get a new one that points to it, and nothing in the database detects that.
    Alone,
}

/// Keeps collections, policies and plugins, or all other writes too, from moving.
enum Still<'a> {
    Shared { _guard: RwLockReadGuard<'a, ()> },
    Alone { _guard: RwLockWriteGuard<'a, ()> },
}

impl<'a> Still<'a> {
    async fn wait(call: &'a Call, share: Share) -> Self {
        match share {
            Share::WithOthers => Still::Shared { _guard: call.app.gate.read().await },
            Share::Alone => Still::Alone { _guard: call.app.gate.write().await },
        }
    }
}

/// How a transaction ends whose steps went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Commit,
    /// It was only tried.
    RollBack,
}

/// Runs the steps of a write in a transaction of their own and commits. After a conflict everything is run again, with fresh eyes, behind
/// the other writers of the same records.
async fn committed<T, S, F>(call: &Call, share: Share, steps: S) -> Result<T, Error>
where
    S: Fn(Call, Transaction) -> F,
    F: Future<Output = Result<T, Error>>,
{
    ended(call, share, Ending::Commit, steps).await
}

/// The same, with another ending perhaps.
async fn ended<T, S, F>(call: &Call, share: Share, ending: Ending, steps: S) -> Result<T, Error>
where
    S: Fn(Call, Transaction) -> F,
    F: Future<Output = Result<T, Error>>,
{
    let app = &call.app;
    let mut attempts = Attempts::new(&app.store);
    loop {
        let turn = attempts.turn().await?;
        // Collections and policies stand still while a write decides by them; a transaction that began before would see old indexes.
        let _still = Still::wait(call, share).await;
        let transaction = attempts.begin(turn).await?;
        let current = Call { attempt: Arc::default(), ..call.current() };
        let enqueued = Arc::clone(&current.attempt.enqueued);
        let outcome = match steps(current, transaction.clone()).await {
            Ok(value) if ending == Ending::RollBack => {
                transaction.rollback().await;
                return Ok(value);
            }
            Ok(value) => transaction.commit().await.map(|()| value).map_err(Error::from),
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        };
        match outcome {
            Err(error) if error.is_conflict() && attempts.are_left() => {
                tracing::debug!(request = %call.id, attempt = attempts.made(), "conflict");
            }
            Err(error) if error.is_conflict() => return Err(Error::Conflict),
            outcome => {
                if outcome.is_ok() && enqueued.load(Ordering::Relaxed) {
                    app.outbox.wake();
                }
                return outcome;
            }
        }
    }
}
