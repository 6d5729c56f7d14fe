//! One chunk of rows: each through the story of its write, all in one transaction together with how far the file is then.

use std::time::Duration;

use model::{Action, Collection, Draft, Key, Record, key::Wanted};
use store::Transaction;

use super::{
    super::{
        Outcome, Preconditions,
        commit::{Share, committed, tried},
        passwords,
        steps::{self, Authority, Manner, Pace, Upsert},
    },
    progress::{self, Counts, Import},
    rows::Row,
};
use crate::{Error, Place, call::Call};

/// How many rows a chunk has at most, and at least when rows take long.
const ROWS_MAX: usize = 200;
const ROWS_MIN: usize = 10;

/// Changes of collections and deletions wait for a transaction, and everybody else for them: a chunk that takes longer is made smaller.
const CHUNK_MAX: Duration = Duration::from_millis(300);

/// How many rows the next chunk has.
pub(super) struct Sized(usize);

impl Default for Sized {
    fn default() -> Self {
        Self(ROWS_MAX)
    }
}

impl Sized {
    pub(super) fn rows(&self) -> usize {
        self.0
    }

    pub(super) fn took(&mut self, time: Duration) {
        if time > CHUNK_MAX {
            self.0 = (self.0 / 2).max(ROWS_MIN);
        } else if time < CHUNK_MAX / 4 {
            self.0 = (self.0 * 2).min(ROWS_MAX);
        }
    }
}

/// What became of a chunk.
pub(super) enum Taken {
    /// All of it is written.
    Committed(Counts),
    /// None of it is, because of this row.
    Refused { row: usize, error: Error },
    /// None of it is: others kept coming first.
    Conflict,
}

/// Writes rows and `next`, which is how far the import is behind them.
///
/// # Errors
/// What has nothing to do with the rows.
pub(super) async fn commit(call: &Call, next: &Import, rows: &[Row]) -> Result<Taken, Error> {
    if let Some((row, violation)) = rows.iter().enumerate().find_map(|(index, row)| Some((index, row.draft.as_ref().err()?))) {
        return Ok(Taken::Refused { row, error: Error::Body(violation.clone()) });
    }
    let drafts = sealed(call, next, rows).await?;
    match write(call, next, &drafts, Pace::Together).await {
        // Of many that are written at once it is not known which one is in the way.
        Err((None, Error::NotUnique(_))) => outcome(write(call, next, &drafts, Pace::OneByOne).await),
        written => outcome(written),
    }
}

fn outcome(written: Result<Counts, (Option<usize>, Error)>) -> Result<Taken, Error> {
    match written {
        Ok(counts) => Ok(Taken::Committed(counts)),
        Err((_, Error::Conflict)) => Ok(Taken::Conflict),
        Err((Some(row), error)) => Ok(Taken::Refused { row, error }),
        Err((None, error)) => Err(error),
    }
}

/// Writes the rows in a transaction. An error says with which row, if that is known.
async fn write(call: &Call, next: &Import, drafts: &[Draft], pace: Pace) -> Result<Counts, (Option<usize>, Error)> {
    let steps = |call: Call, transaction: Transaction| async move {
        let write = Write::new(&call, &transaction, next)?;
        if !next.dry_run {
            progress::check_held(&transaction, next).await?;
        }
        let counts = write.rows(drafts, pace).await?;
        if !next.dry_run {
            let mut noted = next.clone();
            noted.count(counts);
            progress::note(&call, &transaction, &noted).await?;
        }
        Ok(counts)
    };
    let written = match next.dry_run {
        true => tried(call, Share::WithOthers, steps).await,
        false => committed(call, Share::WithOthers, steps).await,
    };
    written.map_err(|error| match error {
        Error::At { place: Place::Item { item, .. }, error } if is_of_row(&error) => {
            (item.as_str().trim_start_matches('/').parse().ok(), *error)
        }
        Error::At { error, .. } => (None, *error),
        error => (None, error),
    })
}

/// True for what another row might not end with. A plugin that breaks may have been broken by this one.
fn is_of_row(error: &Error) -> bool {
    match error {
        Error::Store(error) => matches!(error, store::Error::Unique { .. } | store::Error::Exists),
        Error::Internal(_) | Error::Conflict | Error::ImportRefused { .. } => false,
        _ => true,
    }
}

/// Hashes passwords, before anything waits for this chunk.
async fn sealed(call: &Call, import: &Import, rows: &[Row]) -> Result<Vec<Draft>, Error> {
    let collection = call.collection(&import.collection)?;
    let mut drafts = Vec::with_capacity(rows.len());
    for row in rows {
        // Rows that cannot be read do not come here.
        let draft = row.draft.clone().map_err(Error::Body)?;
        drafts.push(passwords::sealed(&collection, draft).await?);
    }
    Ok(drafts)
}

/// The ground on which the rows of a chunk are written.
struct Write<'a> {
    call: &'a Call,
    transaction: &'a Transaction,
    collection: Collection,
    /// By what rows find records; none if each is a new one.
    key: Option<Key>,
    /// None for rows that are restored.
    authority: Option<Authority>,
}

impl<'a> Write<'a> {
    /// Asks the policies, as they are now.
    fn new(call: &'a Call, transaction: &'a Transaction, import: &Import) -> Result<Self, Error> {
        let collection = call.collection(&import.collection)?;
        let key = import.on.as_deref().map(|on| Key::parse(&collection, on)).transpose();
        // The index was there when the import began.
        let key = key.map_err(|_| Error::Conflict)?;
        let authority = if import.raw {
            call.authorize(Action::Create, super::OBJECT)?;
            None
        } else {
            Some(Authority::of_caller(call, Action::Create, &collection)?)
        };
        Ok(Self { call, transaction, collection, key, authority })
    }

    async fn rows(&self, drafts: &[Draft], pace: Pace) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        if let (Some(authority), None) = (&self.authority, &self.key) {
            let created = steps::create_all(self.call, self.transaction, &self.collection, authority, drafts.to_vec(), pace).await?;
            counts.created = created.len() as u64;
            return Ok(counts);
        }
        for (index, draft) in drafts.iter().enumerate() {
            match self.row(draft.clone()).await.map_err(|error| error.at(Place::element(index)))? {
                Outcome::Created => counts.created += 1,
                Outcome::Done => counts.updated += 1,
            }
        }
        Ok(counts)
    }

    async fn row(&self, draft: Draft) -> Result<Outcome, Error> {
        let (call, transaction, collection) = (self.call, self.transaction, &self.collection);
        if let (Some(_), Some(key)) = (&self.authority, &self.key) {
            let upsert = Upsert { key, draft, manner: Manner::Merge, preconditions: Preconditions::NONE };
            return Ok(steps::upsert(call, transaction, collection, upsert).await?.1);
        }
        let stored = match &self.key {
            Some(key) => self.stored(key, &draft).await?,
            None => None,
        };
        steps::restore(call, transaction, collection, draft, stored.as_ref()).await?;
        Ok(if stored.is_some() { Outcome::Done } else { Outcome::Created })
    }

    /// The record that a row restores, whoever may see it.
    async fn stored(&self, key: &Key, draft: &Draft) -> Result<Option<Record>, Error> {
        let tenant = &self.call.caller.tenant;
        let found = match key.of(&self.collection, draft).map_err(Error::Invalid)? {
            Wanted::Id(id) => Some(id),
            Wanted::Values(values) => {
                let found = store::records::find_by(self.transaction, &self.collection, tenant, &values).await?;
                found.map(|record| record.id)
            }
        };
        match found {
            Some(id) => Ok(store::records::get_locked(self.transaction, &self.collection, tenant, &id).await?),
            None => Ok(None),
        }
    }
}
