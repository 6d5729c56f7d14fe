//! Requests that happen once, however often they are sent: what was answered is kept in the transaction of the write, under a key that the client
//! has chosen, and given again to whoever sends the same. What was refused has not happened, and nothing of it is kept.

mod pledge;

use std::{
    collections::HashMap,
    io::{Read, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::TimeDelta;
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use model::{Principal, time::datetime_text};
use store::{Run, idempotency::KeptRow};

use crate::{Error, call::Call};

pub(crate) use pledge::{Pledge, Told};

/// How long an answer is kept, in hours.
const KEPT_HOURS: i64 = 24;

/// The longest key, in bytes.
const KEY_MAX_BYTES: usize = 255;

/// A write that is to happen once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Once {
    /// The digest of tenant, principal and key.
    id: String,
    /// The digest of everything that makes this request what it is.
    request: String,
}

impl Once {
    /// Takes the key of a client. `parts` are what makes the request what it is: the method, the path, the body and so on.
    ///
    /// # Errors
    /// [`Error::UnusableKey`] for a key that is too long or not visible ASCII, or that comes from nobody known: whose the answer is could
    /// not be told then.
    pub(crate) fn new(call: &Call, key: &[u8], parts: &[&[u8]]) -> Result<Self, Error> {
        if key.is_empty() || key.len() > KEY_MAX_BYTES || !key.iter().all(u8::is_ascii_graphic) {
            return Err(Error::UnusableKey("has 1 to 255 visible ASCII characters"));
        }
        if call.caller.principal == Principal::Anonymous {
            return Err(Error::UnusableKey("is only for those who are logged in"));
        }
        let principal = call.caller.principal.to_string();
        let id = digest(&[call.caller.tenant.as_bytes(), principal.as_bytes(), key]);
        Ok(Self { id, request: digest(parts) })
    }

    /// What is kept for this request.
    ///
    /// # Errors
    /// [`Error::OtherRequest`] when another one has the key.
    pub(crate) async fn kept(&self, call: &Call, run: &impl Run) -> Result<Option<KeptRow>, Error> {
        let row = store::idempotency::get(run, &self.id).await?.filter(|row| row.expires.as_str() > &*call.now);
        match row {
            Some(row) if row.request != self.request => Err(Error::OtherRequest),
            row => Ok(row),
        }
    }

    /// A row that says nothing but whose it is.
    pub(crate) fn row(&self, call: &Call) -> KeptRow {
        let expires = datetime_text(call.moment + TimeDelta::hours(KEPT_HOURS));
        KeptRow { id: self.id.clone(), request: self.request.clone(), expires, ..KeptRow::default() }
    }
}

/// Each part with its length, so that no two lists of parts look the same.
fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().to_hex().to_string()
}

/// Answers are full of names and nulls.
pub(crate) fn packed(body: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    Ok(encoder.finish()?)
}

/// The body of a row that is kept.
pub(crate) fn unpacked(row: &KeptRow) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    DeflateDecoder::new(row.body.as_slice()).read_to_end(&mut body)?;
    Ok(body)
}

/// The keys of requests that are not answered yet, with the digests of these requests. Across nodes the row in the database decides.
#[derive(Default)]
pub(crate) struct InFlight(Mutex<HashMap<String, String>>);

impl InFlight {
    /// Lets nobody else begin the same until the flight is over.
    ///
    /// # Errors
    /// [`Error::UnderThisKey`] or [`Error::OtherRequest`] while a request has the key.
    pub(crate) fn begin(&self, once: &Once) -> Result<Flight<'_>, Error> {
        let mut requests = self.requests();
        match requests.get(&once.id) {
            Some(request) if *request == once.request => Err(Error::UnderThisKey),
            Some(_) => Err(Error::OtherRequest),
            None => {
                requests.insert(once.id.clone(), once.request.clone());
                Ok(Flight { in_flight: self, id: once.id.clone() })
            }
        }
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<String, String>> {
        // Nobody panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is not answered yet, until this goes.
pub(crate) struct Flight<'a> {
    in_flight: &'a InFlight,
    id: String,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.in_flight.requests().remove(&self.id);
    }
}
