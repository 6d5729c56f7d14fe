//! What a rule is asked about.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bindings::ironrule::rules::types;
use crate::{Rejection, Request};

/// What happens to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
}

impl Operation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One call of a rule: for one record, one tick of its schedule, one job or one request.
pub struct Event(pub(crate) types::Event);

/// What surrounds a call, for `event.context::<Context>()`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Context {
    /// The transaction's time, RFC 3339.
    pub now: String,
    /// Id of the request that began it all; it is in the server's log too.
    pub request: String,
    /// Who asks, with the fields of the own account; null for nobody known.
    pub caller: Value,
    /// The tenant whose records are seen.
    pub tenant: String,
    /// How many writes of rules this one is nested in.
    pub depth: u32,
    /// 1, 2 and so on for rules that are tried again; 0 for others.
    pub attempt: u32,
    /// When a scheduled rule was due, RFC 3339.
    pub scheduled_at: Option<String>,
    /// The same for each attempt of the same delivery: the key by which work is done only once.
    pub delivery: Option<String>,
    /// What the rule does will not be kept: it is tested or only watched.
    pub dry_run: bool,
}

impl Event {
    /// Collection of the record; empty where no record is concerned.
    pub fn collection(&self) -> &str {
        &self.0.collection
    }

    /// Id of the record, known before it is created; empty where no record is concerned.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whether this is what happens to the record.
    pub fn is(&self, operation: Operation) -> bool {
        self.operation() == operation.as_str()
    }

    /// `create`, `update`, `delete`, or what else calls the rule: `job`, `tick`, an HTTP method in lower case.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The record as it is about to be written, or as it was written. Refuses when it does not look like a `T`.
    pub fn after<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        parse(self.0.after.as_deref().unwrap_or("null"))
    }

    /// The stored record; none when it is being created.
    pub fn before<T: DeserializeOwned>(&self) -> Result<Option<T>, Rejection> {
        self.0.before.as_deref().map(parse).transpose()
    }

    /// What a job was given.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        self.after()
    }

    /// What an endpoint was asked.
    pub fn request(&self) -> Result<Request, Rejection> {
        self.after()
    }

    /// Caller, request and so on, as far as `T` asks for them: a [`Context`], or a type of your own.
    pub fn context<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        parse(&self.0.context)
    }
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Rejection> {
    serde_json::from_str(json).map_err(|cause| Rejection::invalid().message(cause.to_string()))
}
