//! One chunk of rows: each through the story of its write, all in one transaction together with how far the file is then.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use model::{Action, Collection, Draft, Record, collection::USERS, validate};
use store::Transaction;

use super::{
    super::{Ending, Share, ended, passwords, steps, update::Manner},
    progress::{self, Counts, Import, Mode},
    restore::{Restored, restore},
    rows::Row,
};
use crate::{Error, call::Call};

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
pub(super) enum Outcome {
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
pub(super) async fn commit(call: &Call, next: &Import, rows: &[Row]) -> Result<Outcome, Error> {
    if let Some((row, violation)) = rows.iter().enumerate().find_map(|(index, row)| Some((index, row.draft.as_ref().err()?))) {
        return Ok(Outcome::Refused { row, error: Error::Body(violation.clone()) });
    }
    let drafts = &sealed(call, next, rows).await?;
    let failed: &Mutex<Option<usize>> = &Mutex::default();
    let counted: &Mutex<(Counts, Vec<String>)> = &Mutex::default();
    let ending = if next.dry_run { Ending::RollBack } else { Ending::Commit };
    let written = ended(call, Share::WithOthers, ending, |call, transaction| async move {
        set(failed, None);
        let write = Write::new(&call, &transaction, next)?;
        if !next.dry_run {
            progress::check_held(&transaction, next).await?;
        }
        let (mut counts, mut changed) = (Counts::default(), Vec::new());
        for (index, draft) in drafts.iter().enumerate() {
            let outcome = write.row(draft.clone()).await;
            match outcome.inspect_err(|error| set(failed, Some(index).filter(|_| is_of_row(error))))? {
                Written::New => counts.created += 1,
                Written::Changed(record) => {
                    counts.updated += 1;
                    changed.push(record.id);
                }
            }
        }
        if !next.dry_run {
            let mut noted = next.clone();
            noted.count(counts);
            progress::note(&call, &transaction, &noted).await?;
        }
        set(counted, (counts, changed));
        Ok(())
    })
    .await;
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (written, failed) {
        (Ok(()), _) => {
            let (counts, changed) = std::mem::take(&mut *counted.lock().unwrap_or_else(PoisonError::into_inner));
            if next.collection == USERS {
                changed.iter().for_each(|id| call.app.keyring.forget_account(id));
            }
            Ok(Outcome::Committed(counts))
        }
        (Err(Error::Conflict), _) => Ok(Outcome::Conflict),
        (Err(error), Some(row)) => Ok(Outcome::Refused { row, error }),
        (Err(error), None) => Err(error),
    }
}

fn set<T>(slot: &Mutex<T>, value: T) {
    // Nobody panics while the lock is held.
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = value;
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
    import: &'a Import,
    collection: Collection,
    /// For creating and updating; none for rows that are restored.
    plans: Option<(steps::Authority, Option<steps::Authority>)>,
}

/// What became of a row.
enum Written {
    New,
    Changed(Record),
}

impl<'a> Write<'a> {
    /// Asks the policies, as they are now.
    fn new(call: &'a Call, transaction: &'a Transaction, import: &'a Import) -> Result<Self, Error> {
        let collection = call.collection(&import.collection)?;
        let plans = if import.raw {
            call.authorize(Action::Create, super::OBJECT)?;
            None
        } else {
            let create = steps::Authority::Plan(call.plan(Action::Create, &collection)?);
            let update = match import.mode {
                Mode::Create => None,
                Mode::Upsert => Some(steps::Authority::Plan(call.plan(Action::Update, &collection)?)),
            };
            Some((create, update))
        };
        Ok(Self { call, transaction, import, collection, plans })
    }

    async fn row(&self, draft: Draft) -> Result<Written, Error> {
        let stored = self.stored(&draft).await?;
        let Some((create, update)) = &self.plans else {
            let known = stored.is_some();
            let record = restore(self.call, self.transaction, &self.collection, Restored { draft, stored }).await?;
            return Ok(if known { Written::Changed(record) } else { Written::New });
        };
        match (stored, update) {
            (Some(stored), Some(update)) => {
                let change = steps::Change { id: &stored.id, draft, manner: Manner::Merge, if_match: None };
                let updated = steps::update(self.call, self.transaction, &self.collection, update.clone(), change).await?;
                Ok(Written::Changed(updated))
            }
            _ => {
                steps::create(self.call, self.transaction, &self.collection, create.clone(), draft).await?;
                Ok(Written::New)
            }
        }
    }

    /// The record that a row names.
    async fn stored(&self, draft: &Draft) -> Result<Option<Record>, Error> {
        let Some(on) = &self.import.on else { return Ok(None) };
        let tenant = &self.call.caller.tenant;
        let Some(value) = draft.values.get(on).filter(|value| !value.is_null()) else { return Ok(None) };
        if on == "id" {
            let Some(id) = value.as_text() else { return Ok(None) };
            return Ok(store::records::get_locked(self.transaction, &self.collection, tenant, id).await?);
        }
        // What the field cannot hold is in no record; validation says what is wrong with it.
        let Some(value) = validate::retyped(&self.collection, on, value.clone()) else { return Ok(None) };
        Ok(store::records::find_unique(self.transaction, &self.collection, tenant, on, &value).await?)
    }
}
