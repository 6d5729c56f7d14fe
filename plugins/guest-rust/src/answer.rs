//! What a rule answers: the write goes on, or it does not.

use serde_json::{Value, json};

use crate::Failure;
use crate::bindings::ironrule::rules::types;

/// What a rule returns.
pub type Answer = Result<Outcome, Rejection>;

/// The write goes on, perhaps with a change.
pub struct Outcome(types::Outcome);

impl Outcome {
    /// An outcome that says more than a patch; `details` is an object.
    pub fn with_details(details: Value) -> Self {
        Self::raw(None, details.to_string())
    }

    /// Whatever stands in the two texts. For tests of the server.
    #[doc(hidden)]
    pub fn raw(patch: Option<String>, details: String) -> Self {
        Self(types::Outcome { patch, details })
    }
}

/// Lets the write go on as it is; after a commit it says that the work is done.
pub fn accept() -> Answer {
    Ok(Outcome::raw(None, "{}".into()))
}

/// Lets the write go on after an RFC 7396 merge patch, which is an object. An empty one changes nothing.
pub fn patch(patch: Value) -> Answer {
    let empty = patch.as_object().is_some_and(|members| members.is_empty());
    Ok(Outcome::raw((!empty).then(|| patch.to_string()), "{}".into()))
}

impl From<Outcome> for types::Outcome {
    fn from(outcome: Outcome) -> Self {
        outcome.0
    }
}

/// The write is refused and everything the rule wrote is rolled back. A rule that runs after a commit is tried again later.
#[must_use]
pub struct Rejection(types::Rejection);

impl Rejection {
    /// The record breaks a rule; add at least one violation or a message.
    pub fn invalid() -> Self {
        Self::new("invalid", "the record breaks a rule")
    }

    /// The record does not fit to what others have written.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new("conflict", message)
    }

    /// The caller may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new("forbidden", message)
    }

    /// The transaction shall run again from its beginning; the server tries a bounded number of times.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::new("retry", message)
    }

    /// The rule could not decide; the server says so to its operator, not to the client.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("internal", message)
    }

    /// A sentence for people.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Adds a violation; `path` is a JSON pointer into the record: `/items/0/product`.
    pub fn violation(self, path: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        self.violation_with(path, code, message, json!({}))
    }

    /// Adds a violation with the values its message speaks of.
    pub fn violation_with(mut self, path: impl Into<String>, code: &str, message: impl Into<String>, params: Value) -> Self {
        self.0.violations.push(types::Violation {
            path: path.into(),
            code: code.into(),
            message: message.into(),
            params: params.to_string(),
        });
        self
    }

    /// Whether no violation was added yet.
    pub fn is_empty(&self) -> bool {
        self.0.violations.is_empty()
    }

    fn new(kind: &str, message: impl Into<String>) -> Self {
        Self(types::Rejection { kind: kind.into(), message: message.into(), violations: Vec::new(), details: "{}".into() })
    }
}

impl From<Rejection> for types::Rejection {
    fn from(rejection: Rejection) -> Self {
        rejection.0
    }
}

/// A failed host call that the rule does not handle, with `?`.
impl From<Failure> for Rejection {
    fn from(failure: Failure) -> Self {
        match failure.code.as_str() {
            "conflict" => Self::conflict(failure.message),
            _ => Self::internal(format!("{}: {}", failure.code, failure.message)),
        }
    }
}
