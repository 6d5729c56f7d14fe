//! Changes of collections, policies, roles, plugins and the like that happen once. Their answers are made when everything is over, some in several
//! transactions, so that they cannot be kept with the change itself. What is kept there is that it happens: a server that ends between the two has no
//! answer to give again, but does not do it again either.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use model::time::datetime_text;
use store::{Run, idempotency::KeptRow};

use super::{KEPT_HOURS, Once, packed, unpacked};
use crate::{Error, call::Call, records::next_id};

/// How long another node may be at what it has begun.
const UNDER_WAY_MINUTES: i64 = 10;

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
    /// [`Error::UnderThisKey`] while another node may be at it, [`Error::Unanswered`] when nobody is who could answer, and
    /// [`Error::OtherRequest`] when another request has the key.
    pub(crate) async fn told(&self, call: &Call) -> Result<Option<Told>, Error> {
        let Some(row) = self.once.kept(call, &call.app.store).await? else { return Ok(None) };
        let Ok(status) = row.outcome.parse::<u16>() else {
            return Err(if may_be_under_way(call, &row)? { Error::UnderThisKey } else { Error::Unanswered });
        };
        let body = unpacked(&row)?;
        Ok(Some(Told { status, location: row.location, body }))
    }

    /// Notes that it happens, in a transaction that makes it so.
    ///
    /// # Errors
    /// [`Error::UnderThisKey`] when it happens on another node, or what the database reports.
    pub(crate) async fn note(&self, call: &Call, run: &impl Run) -> Result<(), Error> {
        if self.once.kept(call, run).await?.is_some_and(|row| row.outcome != self.beginning) {
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
        let row =
            KeptRow { outcome: told.status.to_string(), location: told.location.clone(), body: packed(&told.body)?, ..self.once.row(call) };
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

/// True if somebody may still be at what was begun. In this process nobody is: the caller holds the key. Only a remote database has other nodes.
fn may_be_under_way(call: &Call, row: &KeptRow) -> Result<bool, Error> {
    let begun_lately = datetime_text(call.moment + TimeDelta::hours(KEPT_HOURS) - TimeDelta::minutes(UNDER_WAY_MINUTES));
    let is_shared = matches!(call.app.config.database()?, store::Database::Remote { .. });
    Ok(is_shared && row.expires > begun_lately)
}
