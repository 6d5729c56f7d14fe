//! What a rule is asked about.

use serde::de::DeserializeOwned;

use crate::Rejection;
use crate::bindings::ironrule::rules::types;

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

/// One call of a rule for one record.
pub struct Event(pub(crate) types::Event);

impl Event {
    /// Collection of the record.
    pub fn collection(&self) -> &str {
        &self.0.collection
    }

    /// Id of the record, known before it is created.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whether this is what happens to the record.
    pub fn is(&self, operation: Operation) -> bool {
        self.0.operation == operation.as_str()
    }

    /// The record as it is about to be written. Refuses the write when it does not look like a `T`.
    pub fn after<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        parse(self.0.after.as_deref().unwrap_or("null"))
    }

    /// The stored record; none when it is being created.
    pub fn before<T: DeserializeOwned>(&self) -> Result<Option<T>, Rejection> {
        self.0.before.as_deref().map(parse).transpose()
    }

    /// Caller, request and so on, as far as `T` asks for them.
    pub fn context<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        parse(&self.0.context)
    }
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Rejection> {
    serde_json::from_str(json).map_err(|cause| Rejection::invalid().message(cause.to_string()))
}
