//! What a writer is told, ready to be sent: made before the commit, so that it can be kept in the same transaction.

use bytes::Bytes;

use super::Shown;
use crate::{Error, call::Call};

/// What kind of success a write was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was written is new.
    Created,
    /// Something was changed or deleted.
    Done,
}

/// What a writer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub(crate) outcome: Outcome,
    /// The entity tag of the one record that was written.
    pub(crate) etag: Option<String>,
    /// The one new record, as `COLLECTION/ID`.
    pub(crate) location: Option<String>,
    /// JSON.
    pub(crate) body: Bytes,
    /// True if the write has happened before, and this was the answer.
    pub(crate) is_replayed: bool,
}

impl Outcome {
    /// The number that HTTP has for it.
    pub(crate) fn status(self) -> u16 {
        match self {
            Outcome::Created => 201,
            Outcome::Done => 200,
        }
    }

    /// The word for it where it is kept.
    pub(super) fn word(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Done => "done",
        }
    }

    /// The outcome of several writes.
    pub(super) fn of_all(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        if outcomes.into_iter().all(|outcome| outcome == Outcome::Created) { Outcome::Created } else { Outcome::Done }
    }
}

impl Answer {
    /// The answer to the write of one record.
    pub(super) fn one(call: &Call, outcome: Outcome, shown: &Shown) -> Result<Self, Error> {
        let location = || format!("{}/{}", shown.collection.name(), shown.record.id);
        Ok(Self {
            etag: Some(shown.record.etag()),
            location: (outcome == Outcome::Created).then(location),
            ..Self::new(outcome, shown.json(call, None)?)
        })
    }

    /// The answer to the write of several records: an array of them.
    pub(super) fn many(call: &Call, outcome: Outcome, shown: &[Shown]) -> Result<Self, Error> {
        let records = shown.iter().map(|shown| shown.json(call, None)).collect::<Result<Vec<_>, _>>()?;
        let mut body = b"[".to_vec();
        body.extend(records.join(&b','));
        body.push(b']');
        Ok(Self::new(outcome, body))
    }

    pub(super) fn new(outcome: Outcome, body: Vec<u8>) -> Self {
        Self { outcome, etag: None, location: None, body: body.into(), is_replayed: false }
    }
}
