//! The story of a collection that changes while it has records and is used. Its records are made anew, in their new form, beside the old ones:
//! copied page by page while everybody reads and writes on, then those that were written meanwhile, and the last few of these while writes
//! wait for a moment. Then the new ones count, in the same transaction as the new definition. Whatever goes wrong before leaves the old ones as
//! they are; nothing in between is ever seen.

mod change;

mod copy;

mod progress;

mod switch;

use futures_util::FutureExt;
use model::{Action, Collection, collection::Place};
use tokio::task::JoinHandle;

pub use change::Alteration;
pub(crate) use progress::{get, list, recover, tidy};

use super::OBJECT;
use crate::{Error, call::Call, records::next_id, world};
use change::{Change, Losses};
use progress::Progress;

/// Whether to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Only when nothing is lost.
    Careful,
    /// Even if values are lost: those of dropped fields, and those that do not fit any more.
    Forced,
    /// Not at all: only say what would be lost.
    DryRun,
}

/// What has become of a change at once.
pub enum Begun {
    /// It is done: no record was concerned.
    Done(Box<Collection>),
    /// It goes on by itself.
    Running(Running),
}

/// A change that goes on whether anybody waits for it or not.
pub struct Running {
    pub(crate) id: String,
    task: JoinHandle<Result<Collection, Error>>,
}

impl Running {
    /// Waits for the end.
    ///
    /// # Errors
    /// Values that would be lost, or what the database reports; nothing has changed then.
    pub async fn finish(self) -> Result<Collection, Error> {
        self.task.await.map_err(|error| Error::Internal(error.to_string()))?
    }
}

/// Begins to change a collection.
///
/// # Errors
/// The policies, no such collection, everything that is wrong with the new definition, or another change that goes on.
pub async fn begin(call: &Call, name: &str, alteration: Alteration, manner: Manner) -> Result<Begun, Error> {
    call.authorize(Action::Update, OBJECT)?;
    let (call, alone) = call.exclusive().await?;
    call.authorize(Action::Update, OBJECT)?;
    // What is only tried does not happen, and nothing is kept of it.
    let pledge = call.pledge.clone().filter(|_| manner != Manner::DryRun);
    let call = Call { pledge, ..call };
    let change = Change::new(&call, name, alteration)?;
    if change.before.marks().is_some() {
        progress::release_dead(&call, &change.before).await?;
        return Err(Error::Altering { collection: name.to_owned() });
    }
    if !change.concerns_records() {
        if manner != Manner::DryRun {
            switch::definition_only(&call, &change).await?;
        }
        return Ok(Begun::Done(Box::new(change.after)));
    }
    let work = Work::begin(&call, change, manner).await?;
    // From here on writes mark what they write, and everybody may go on.
    drop(alone);
    let id = work.progress.id.clone();
    Ok(Begun::Running(Running { id, task: tokio::spawn(work.run()) }))
}

/// Changes a collection and waits for it.
///
/// # Errors
/// As those of [`begin`] and [`Running::finish`].
pub async fn alter(call: &Call, name: &str, alteration: Alteration, manner: Manner) -> Result<Collection, Error> {
    match begin(call, name, alteration, manner).await? {
        Begun::Done(changed) => Ok(*changed),
        Begun::Running(running) => running.finish().await,
    }
}

/// A change that goes on.
struct Work {
    call: Call,
    change: Change,
    manner: Manner,
    /// As the collection is now: its writes leave marks.
    before: Collection,
    /// As it will be, over the new records.
    after: Collection,
    marks: String,
    progress: Progress,
    losses: Losses,
}

impl Work {
    /// Makes the places for the new records and for the marks, and has every later write leave one. Nobody may write meanwhile.
    async fn begin(call: &Call, change: Change, manner: Manner) -> Result<Self, Error> {
        let id = next_id();
        let marks = format!("{}-marks-{id}", change.before.name());
        let place = Place { table: change.before.table().to_owned(), marks: Some(marks.clone()) };
        let before = change.before.kept_in(place);
        let after = change.after.kept_in(Place::fresh(change.after.name(), &id));
        let records = store::rebuild::count(&call.app.store, &before).await?;
        let progress = Progress::new(call, id, &before, manner, records, vec![after.table().to_owned(), marks.clone()]);
        let transaction = call.app.store.begin().await?;
        store::rebuild::begin(&transaction, &after, &marks).await?;
        store::catalog::put(&transaction, &before).await?;
        progress.note(&transaction).await?;
        world::advance(&transaction, call).await?;
        transaction.commit().await?;
        call.app.refresh().await?;
        tracing::info!(request = %call.id, collection = before.name(), records, "a change of a collection has begun");
        let losses = Losses::default();
        // That it happens is noted: by now it may have been answered that it goes on.
        let call = Call { pledge: None, ..call.clone() };
        Ok(Self { call, change, manner, before, after, marks, progress, losses })
    }

    async fn run(mut self) -> Result<Collection, Error> {
        let made = std::panic::AssertUnwindSafe(self.make()).catch_unwind().await;
        let made = made.unwrap_or_else(|_| Err(Error::Internal("a panic".to_owned())));
        match &made {
            Ok(_) if self.manner != Manner::DryRun => {
                let forced = self.manner == Manner::Forced;
                tracing::info!(request = %self.call.id, collection = self.after.name(), forced, "altered a collection");
                progress::remove_later(&self.call.app.store, self.progress.clone());
            }
            ended => self.abandon(ended.as_ref().err()).await,
        }
        made
    }

    async fn make(&mut self) -> Result<Collection, Error> {
        self.wait_for_other_nodes().await;
        self.copy().await?;
        if !self.losses.are_none() && self.manner != Manner::Forced {
            return Err(Error::DataLoss(self.losses.told()));
        }
        if self.manner != Manner::DryRun {
            self.switch().await?;
        }
        Ok(self.change.after.clone())
    }
}
