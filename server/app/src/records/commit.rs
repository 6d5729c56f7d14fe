//! One transaction around the steps of a write: begun, committed, and run again with fresh eyes when others came first. Whether others may
//! write at the same time, and whether what was done stays, is for the stories to say.

use std::sync::Arc;

use model::Collection;
use store::{Attempts, Transaction};
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use crate::{Error, call::Call};

/// Whether other writes may run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// They may: conflicts on records are detected.
    WithOthers,
    /// They may not: a record that is deleted must not get a new one that points to it, and nothing in the database detects that.
    Alone,
}

impl Share {
    /// How records of a collection are deleted.
    pub(super) fn of_deletion(call: &Call, collection: &str) -> Self {
        let mut fields = call.world.catalog.values().flat_map(Collection::fields);
        if fields.any(|field| field.collection.as_deref() == Some(collection)) { Share::Alone } else { Share::WithOthers }
    }
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

/// How a transaction ends whose steps succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// What was done stays.
    Commit,
    /// It was only tried: nothing stays.
    Undo,
}

/// Runs the steps of a write in a transaction of their own and commits. After a conflict everything is run again, with fresh eyes, behind
/// the other writers of the same records.
pub(super) async fn committed<T, S, F>(call: &Call, share: Share, steps: S) -> Result<T, Error>
where
    S: Fn(Call, Transaction) -> F,
    F: Future<Output = Result<T, Error>>,
{
    run(call, share, End::Commit, steps).await
}

/// Runs the steps of a write as [`committed`] does, rules included, and undoes them.
pub(super) async fn tried<T, S, F>(call: &Call, share: Share, steps: S) -> Result<T, Error>
where
    S: Fn(Call, Transaction) -> F,
    F: Future<Output = Result<T, Error>>,
{
    run(call, share, End::Undo, steps).await
}

async fn run<T, S, F>(call: &Call, share: Share, end: End, steps: S) -> Result<T, Error>
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
        let aftermath = Arc::clone(&current.attempt.aftermath);
        let outcome = match steps(current, transaction.clone()).await {
            Ok(value) if end == End::Commit => transaction.commit().await.map(|()| value).map_err(Error::from),
            outcome => {
                transaction.rollback().await;
                outcome
            }
        };
        match outcome {
            Err(error) if error.is_conflict() && attempts.are_left() => {
                tracing::debug!(request = %call.id, attempt = attempts.made(), "conflict");
            }
            Err(error) if error.is_conflict() => return Err(Error::Conflict),
            outcome => {
                if outcome.is_ok() && end == End::Commit {
                    aftermath.follow(app);
                }
                return outcome;
            }
        }
    }
}
