//! The moment in which a collection changes, or does not: the only ones, beside the beginning, in which writes wait.

use std::time::{Duration, Instant};

use model::Collection;
use store::{Transaction, alterations::AlterationRow};

use super::{
    Work,
    change::Change,
    copy::BATCH,
    progress::{self, State},
};
use crate::{Error, call::Call, world};

/// How many rounds of copying there are before writes have to wait for the first time.
const ROUNDS_FIRST: usize = 10;

/// How long writes wait, but for the last round; when there is more, they go on and it is tried again, so often.
const HELD_WITHIN: Duration = Duration::from_millis(300);
const TRIES_MAX: usize = 200;

/// Changes a definition that says nothing new about stored records.
pub(super) async fn definition_only(call: &Call, change: &Change) -> Result<(), Error> {
    let place = model::collection::Place { table: change.before.table().to_owned(), marks: None };
    let after = change.after.kept_in(place);
    commit(call, &after, &Noted::default()).await?;
    tracing::info!(request = %call.id, collection = after.name(), "altered a collection");
    Ok(())
}

impl Work {
    /// Copies what was written meanwhile, and lets the new records count.
    pub(super) async fn switch(&mut self) -> Result<(), Error> {
        let mut rounds = ROUNDS_FIRST;
        for attempt in 0.. {
            for _ in 0..rounds {
                if self.catch_up().await? < BATCH {
                    break;
                }
            }
            // Others may write as fast as this copies, so there is an end of it only while they wait. Between two such moments whoever has waited
            // goes on, and no more.
            rounds = 0;
            let (call, _alone) = self.call.exclusive().await?;
            let held = Instant::now();
            while attempt >= TRIES_MAX || held.elapsed() < HELD_WITHIN {
                if self.catch_up().await? == 0 {
                    return self.let_count(&call).await;
                }
            }
        }
        Ok(())
    }

    async fn let_count(&mut self, call: &Call) -> Result<(), Error> {
        // Others may have changed while this went on, and whoever began it may have lost the right to.
        call.authorize(model::Action::Update, super::OBJECT)?;
        self.change.check(call)?;
        let ours = call.collection(self.before.name())?.marks() == Some(&self.marks);
        if !ours {
            return Err(Error::Conflict);
        }
        let leftovers = vec![self.before.table().to_owned(), self.marks.clone()];
        let done = self.progress.ended(State::Done, leftovers, None);
        let noted = Noted { closed: Some(self.marks.clone()), alteration: Some(done.row()?) };
        commit(call, &self.after, &noted).await?;
        self.progress = done;
        Ok(())
    }

    /// Gives up: what there was before stays as it is, and writes leave no marks any more.
    pub(super) async fn abandon(&mut self, reason: Option<&Error>) {
        let state = match reason {
            None => State::Tried,
            Some(Error::DataLoss(_)) => State::Refused,
            Some(_) => State::Failed,
        };
        let ended = self.progress.ended(state, vec![self.after.table().to_owned(), self.marks.clone()], reason);
        match progress::release(&self.call, &self.before, ended.clone()).await {
            Ok(()) => progress::remove_later(&self.call.app.store, ended),
            Err(error) => tracing::error!(request = %self.call.id, collection = self.before.name(), %error, "cannot end a change"),
        }
    }
}

/// What belongs to a new definition.
#[derive(Default)]
pub(super) struct Noted {
    /// The marks that nobody can leave any more.
    pub(super) closed: Option<String>,
    /// What has become of the change.
    pub(super) alteration: Option<AlterationRow>,
}

/// Writes a definition and what belongs to it, and takes it over.
pub(super) async fn commit(call: &Call, after: &Collection, noted: &Noted) -> Result<(), Error> {
    let transaction = call.app.store.begin().await?;
    match write(call, &transaction, after, noted).await {
        Ok(()) => transaction.commit().await?,
        Err(error) => {
            transaction.rollback().await;
            return Err(error);
        }
    }
    call.app.refresh().await
}

async fn write(call: &Call, transaction: &Transaction, after: &Collection, noted: &Noted) -> Result<(), Error> {
    if let Some(marks) = &noted.closed {
        store::rebuild::close(transaction, marks).await?;
    }
    if let Some(row) = &noted.alteration {
        store::alterations::put(transaction, row).await?;
    }
    store::catalog::put(transaction, after).await?;
    world::advance(transaction, call).await.map(drop)
}
