//! The records that one attempt at a transaction is writing at this moment: each from before it is loaded until its row is written, with the
//! rules in between. What one of these rules wrote to such a record would be lost under the row that is still to come, so it is refused.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::Collection;

use crate::Error;

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It is created or changed.
    Writing,
    /// It goes, with all that hangs on it.
    Deleting,
}

/// The records under way, by collection and id.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    records: Mutex<BTreeMap<(String, String), Doing>>,
}

/// Keeps a record under way until this goes.
#[derive(Debug)]
pub(crate) struct Kept {
    under_way: Arc<UnderWay>,
    /// None if it is kept by what began before.
    key: Option<(String, String)>,
}

impl UnderWay {
    /// Begins with a record.
    ///
    /// # Errors
    /// Those of [`UnderWay::check`].
    pub(crate) fn begin(self: &Arc<Self>, doing: Doing, collection: &Collection, id: &str) -> Result<Kept, Error> {
        self.check(doing, collection, id)?;
        let key = (collection.name().to_owned(), id.to_owned());
        let mut records = self.records();
        let is_free = !records.contains_key(&key);
        if is_free {
            records.insert(key.clone(), doing);
        }
        Ok(Kept { under_way: Arc::clone(self), key: is_free.then_some(key) })
    }

    /// Whether this may be done to a record now. One that goes may be changed: that goes with it, and nobody misses it.
    ///
    /// # Errors
    /// [`Error::BeingWritten`] if it may not.
    pub(crate) fn check(&self, doing: Doing, collection: &Collection, id: &str) -> Result<(), Error> {
        let key = (collection.name().to_owned(), id.to_owned());
        match (self.records().get(&key), doing) {
            (None, _) | (Some(Doing::Deleting), Doing::Writing) => Ok(()),
            (Some(_), _) => Err(Error::BeingWritten { collection: key.0, id: key.1 }),
        }
    }

    /// True for a record that is there and will be gone.
    pub(crate) fn is_going(&self, collection: &str, id: &str) -> bool {
        self.records().get(&(collection.to_owned(), id.to_owned())) == Some(&Doing::Deleting)
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<(String, String), Doing>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.under_way.records().remove(key);
        }
    }
}
