//! How far a change of a collection is, and what it leaves over: tables that nobody uses any more are removed behind it, by the same server or by
//! the next one that starts.

use std::time::Duration;

use chrono::Utc;
use model::{
    Action, Collection,
    collection::Place,
    time::{canonical_datetime, datetime_text},
};
use serde::{Deserialize, Serialize};
use store::{
    Run, Store,
    alterations::{self, AlterationRow},
    rebuild,
};

use super::{
    super::OBJECT,
    Manner,
    switch::{self, Noted},
};
use crate::{Error, api::problem, call::Call};

/// How long requests may still look at old records: they keep the picture of the world that they began with.
const LOOKED_AT: Duration = Duration::from_secs(30);

/// How long a change may say nothing before the node that makes it is taken for dead.
const SILENT_MAX: chrono::Duration = chrono::Duration::seconds(60);

/// How long changes that are over can be looked at, and how many of a collection.
const KEPT: chrono::Duration = chrono::Duration::days(7);
const LISTED_MAX: usize = 50;

/// Where a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Records are being copied.
    Running,
    /// The collection has changed.
    Done,
    /// It was a dry run that found nothing wrong.
    Tried,
    /// Values would have been lost.
    Refused,
    /// Something else went wrong.
    Failed,
    /// The server that made it has ended.
    Interrupted,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Done => "done",
            State::Tried => "tried",
            State::Refused => "refused",
            State::Failed => "failed",
            State::Interrupted => "interrupted",
        }
    }
}

/// A change and how far it is.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) id: String,
    collection: String,
    state: State,
    leftovers: Vec<String>,
    told: Told,
}

/// What is told about it beside that.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    principal: String,
    dry_run: bool,
    forced: bool,
    /// How many records there were in the beginning, and how many are copied.
    records: u64,
    copied: u64,
    begun: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// The code of the error that it ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Progress {
    pub(super) fn new(call: &Call, id: String, collection: &Collection, manner: Manner, records: u64, leftovers: Vec<String>) -> Self {
        let told = Told {
            principal: call.caller.principal.to_string(),
            dry_run: manner == Manner::DryRun,
            forced: manner == Manner::Forced,
            records,
            copied: 0,
            begun: call.now.to_string(),
            ended: None,
            reason: None,
        };
        Self { id, collection: collection.name().to_owned(), state: State::Running, leftovers, told }
    }

    pub(super) fn passed(&mut self, records: u64) {
        self.told.copied += records;
    }

    pub(super) fn ended(&self, state: State, leftovers: Vec<String>, reason: Option<&Error>) -> Self {
        let reason = reason.map(|error| problem::told(error).0.to_owned());
        let told = Told { ended: Some(now()), reason, ..self.told.clone() };
        Self { state, leftovers, told, ..self.clone() }
    }

    pub(super) async fn note(&self, run: &impl Run) -> Result<(), Error> {
        Ok(alterations::put(run, &self.row()?).await?)
    }

    pub(super) fn row(&self) -> Result<AlterationRow, Error> {
        Ok(AlterationRow {
            id: self.id.clone(),
            collection: self.collection.clone(),
            state: self.state.name().to_owned(),
            leftovers: self.leftovers.clone(),
            touched: now(),
            text: serde_json::to_string(&self.told).map_err(|error| Error::Internal(error.to_string()))?,
        })
    }
}

fn now() -> String {
    datetime_text(Utc::now())
}

/// Changes of a collection, the newest first, as JSON.
///
/// # Errors
/// The policies, no such collection, or what the database reports.
pub(crate) async fn list(call: &Call, collection: &str) -> Result<Vec<serde_json::Value>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    call.collection(collection)?;
    let rows = alterations::list(&call.app.store, collection, LISTED_MAX).await?;
    in_force(call).await?;
    rows.iter().map(shown).collect()
}

/// One of them.
///
/// # Errors
/// The policies, no such change, or what the database reports.
pub(crate) async fn get(call: &Call, collection: &str, id: &str) -> Result<serde_json::Value, Error> {
    call.authorize(Action::Read, OBJECT)?;
    call.collection(collection)?;
    let row = alterations::get(&call.app.store, id).await?.filter(|row| row.collection == collection);
    in_force(call).await?;
    row.map_or_else(|| Err(Error::NotFound { kind: "alteration", name: id.to_owned() }), |row| shown(&row))
}

/// Whoever reads here that a change is done may use it at once, on this node too: its picture may be older than what was just read.
async fn in_force(call: &Call) -> Result<(), Error> {
    call.app.catch_up().await
}

fn shown(row: &AlterationRow) -> Result<serde_json::Value, Error> {
    let told: Told = serde_json::from_str(&row.text).map_err(|error| Error::Internal(error.to_string()))?;
    let mut shown = serde_json::to_value(told).map_err(|error| Error::Internal(error.to_string()))?;
    shown["id"] = row.id.as_str().into();
    shown["collection"] = row.collection.as_str().into();
    shown["state"] = row.state.as_str().into();
    Ok(shown)
}

/// Ends a change that has not become: writes leave no marks any more.
pub(super) async fn release(call: &Call, collection: &Collection, ended: Progress) -> Result<(), Error> {
    let (call, _alone) = call.exclusive().await?;
    let place = Place { table: collection.table().to_owned(), marks: None };
    switch::commit(&call, &collection.kept_in(place), &Noted { closed: None, alteration: Some(ended.row()?) }).await
}

/// Ends the change that keeps a collection from changing, if the node that made it has died. Nobody may write meanwhile.
pub(super) async fn release_dead(call: &Call, collection: &Collection) -> Result<(), Error> {
    let silent_since = datetime_text(Utc::now() - SILENT_MAX);
    let running = alterations::list(&call.app.store, collection.name(), 1).await?;
    let Some(row) = running.into_iter().find(|row| row.state == State::Running.name() && row.touched < silent_since) else {
        return Ok(());
    };
    let place = Place { table: collection.table().to_owned(), marks: None };
    let row = AlterationRow { state: State::Interrupted.name().to_owned(), ..row };
    switch::commit(call, &collection.kept_in(place), &Noted { closed: None, alteration: Some(row) }).await
}

/// What was under way when the server ended has not become: the old records are as they were.
pub(crate) async fn recover(store: &Store) -> Result<(), Error> {
    for (definition, place) in store::catalog::all(store).await? {
        let Some(Place { table, marks: Some(_) }) = place else { continue };
        let collection = Collection::new(definition).map_err(|error| Error::Internal(error.to_string()))?;
        store::catalog::put(store, &collection.kept_in(Place { table, marks: None })).await?;
    }
    for row in alterations::unfinished(store).await?.into_iter().filter(|row| row.state == State::Running.name()) {
        alterations::put(store, &AlterationRow { state: State::Interrupted.name().to_owned(), ..row }).await?;
    }
    Ok(())
}

/// Removes the tables that changes have left over, and forgets what is long over.
pub(crate) async fn tidy(store: &Store) -> Result<(), Error> {
    let looked_at = chrono::Duration::from_std(LOOKED_AT).unwrap_or_default();
    let before = datetime_text(Utc::now() - looked_at);
    for row in alterations::unfinished(store).await? {
        let moment = canonical_datetime(&row.touched).unwrap_or_default();
        if row.state != State::Running.name() && moment <= before {
            remove(store, row).await?;
        }
    }
    Ok(alterations::remove_before(store, &datetime_text(Utc::now() - KEPT)).await?)
}

async fn remove(store: &Store, row: AlterationRow) -> Result<(), Error> {
    for table in &row.leftovers {
        rebuild::remove_table(store, table).await?;
    }
    Ok(alterations::put(store, &AlterationRow { leftovers: Vec::new(), ..row }).await?)
}

/// Removes what a change has left over when nobody can be looking at it any more.
pub(super) fn remove_later(store: &Store, progress: Progress) {
    let store = store.clone();
    tokio::spawn(async move {
        tokio::time::sleep(LOOKED_AT).await;
        let removed = async {
            match alterations::get(&store, &progress.id).await? {
                Some(row) => remove(&store, row).await,
                None => Ok(()),
            }
        };
        if let Err(error) = removed.await {
            tracing::warn!(%error, collection = progress.collection, "cannot remove what a change of a collection has left over");
        }
    });
}
