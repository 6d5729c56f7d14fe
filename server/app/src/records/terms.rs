//! On which terms a client writes: what must be there or not be there (RFC 9110, section 13), and whether the write is to happen once,
//! however often it is sent.

use model::Record;

use crate::{Error, once::Once};

/// On which terms a client writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// Against which version of the record.
    pub(crate) preconditions: Preconditions,
    /// None if sending the write again means doing it again.
    pub(crate) once: Option<Once>,
}

/// What must be true of the stored record. The tags are lists, as in the headers of these names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preconditions {
    /// It has one of these entity tags; `*`: it is there.
    pub(crate) if_match: Option<String>,
    /// It has none of these; `*`: it is not there.
    pub(crate) if_none_match: Option<String>,
}

impl Preconditions {
    /// No conditions.
    pub(crate) const NONE: &'static Preconditions = &Preconditions { if_match: None, if_none_match: None };

    /// Checks a record that is there.
    pub(crate) fn check(&self, stored: &Record) -> Result<(), Error> {
        let etag = stored.etag();
        let differs = self.if_match.as_deref().is_some_and(|tags| !tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == etag));
        let excluded = self.if_none_match.as_deref().is_some_and(|tags| names_weakly(tags, &etag));
        if differs || excluded { Err(Error::VersionMismatch) } else { Ok(()) }
    }

    /// Checks that the record may not be there.
    pub(super) fn check_absent(&self) -> Result<(), Error> {
        if self.if_match.is_some() { Err(Error::VersionMismatch) } else { Ok(()) }
    }

    /// Checks what is about several records: no one version is theirs.
    pub(super) fn check_several(&self) -> Result<(), Error> {
        if self.if_match.is_some() || self.if_none_match.is_some() { Err(Error::VersionMismatch) } else { Ok(()) }
    }

    /// True if the record must not be there.
    pub(crate) fn wants_absence(&self) -> bool {
        self.if_none_match.as_deref().is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == "*"))
    }
}

/// Any of the listed tags, or `*`. `If-None-Match` compares weakly (RFC 9110, section 13.1.2): proxies that compress make tags weak.
pub(crate) fn names_weakly(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
