//! Changes of collections, policies, roles, plugins and the like that happen once. Their answers are made when everything is over, some in several
//! transactions, so that they cannot be kept with the change itself. What is kept there is that it happens: a server that ends between the two has no
//! answer to give again, but does not do it again either.

use std::sync::atomic::{AtomicBool, Ordering};

use store::{Run, idempotency::KeptRow};

use super::{Once, packed, unpacked};
use crate::{Error, call::Call, records::next_id};

/// A change that is to happen once.
pub(crate) struct Pledge {
    once: Once,
    /// How it is noted, unlike what another node notes.
    beginning: String,
    /// True if some transaction has noted it; that one may have failed.
    noted: AtomicBool,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The number of HTTP.
    pub(crate) status: u16,
    /// The header `Location`.
    pub(crate) location: Option<String>,
    /// JSON, or nothing.
    pub(crate) body: Vec<u8>,
}

impl Pledge {
    pub(crate) fn new(once: Once) -> Self {
        Self { once, beginning: format!("begun {}", next_id()), noted: AtomicBool::new(false) }
    }

    /// What was answered when it happened.
    ///
    /// # Errors
    /// [`Error::UnderThisKey`] while that is not known, and [`Error::OtherRequest`] when another request has the key.
    pub(crate) async fn told(&self, call: &Call) -> Result<Option<Told>, Error> {
        let Some(row) = self.once.kept(call, &call.app.store).await? else { return Ok(None) };
        let status = row.outcome.parse().map_err(|_| Error::UnderThisKey)?;
        let body = unpacked(&row)?;
        Ok(Some(Told { status, location: row.location, body }))
    }

    /// Notes that it happens, in a transaction that makes it so.
    ///
    /// # Errors
    /// [`Error::UnderThisKey`] when it happens on another node, or what the database reports.
    pub(crate) async fn note(&self, call: &Call, run: &impl Run) -> Result<(), Error> {
        if !self.noted.load(Ordering::Relaxed) && self.once.kept(call, run).await?.is_some() {
            return Err(Error::UnderThisKey);
        }
        self.noted.store(true, Ordering::Relaxed);
        let row = KeptRow { outcome: self.beginning.clone(), ..self.once.row(call) };
        Ok(store::idempotency::put(run, row).await?)
    }

    /// Keeps what was answered, if something has happened.
    ///
    /// # Errors
    /// What the database reports.
    pub(crate) async fn keep(&self, call: &Call, told: &Told) -> Result<(), Error> {
        if !self.noted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let row = KeptRow {
            outcome: told.status.to_string(),
            location: told.location.clone(),
            body: packed(&told.body)?,
            ..self.once.row(call)
        };
        Ok(store::idempotency::put(&call.app.store, row).await?)
    }

    /// Forgets what has not happened after all: it was refused behind its beginning.
    ///
    /// # Errors
    /// What the database reports.
    pub(crate) async fn forget(&self, call: &Call) -> Result<(), Error> {
        if !self.noted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let row = KeptRow { outcome: self.beginning.clone(), ..self.once.row(call) };
        Ok(store::idempotency::remove(&call.app.store, &row).await?)
    }
}
