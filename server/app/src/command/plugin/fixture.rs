//! A fixture: what a rule is asked, what it finds in the database, and what should come of it.

use std::{collections::BTreeMap, path::Path};

use plugins::{Hook, RejectionKind};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::read;
use crate::Error;

/// A file of `tests/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fixture {
    /// For people.
    #[serde(default)]
    #[allow(dead_code, reason = "for people who read the file")]
    pub(super) description: String,
    pub(super) rule: String,
    #[serde(default = "before_write")]
    pub(super) hook: Hook,
    pub(super) operation: String,
    #[serde(default)]
    pub(super) collection: String,
    #[serde(default)]
    pub(super) id: Option<String>,
    /// `user:ID`, `service:ID` or `anonymous`; the server itself unless given.
    #[serde(default)]
    pub(super) caller: Option<String>,
    #[serde(default)]
    pub(super) before: Option<Json>,
    #[serde(default)]
    pub(super) after: Option<Json>,
    /// For an endpoint; `body` is read from `text`.
    #[serde(default)]
    pub(super) request: Option<Json>,
    /// For a job.
    #[serde(default)]
    pub(super) payload: Option<Json>,
    /// Further members of the event's context.
    #[serde(default)]
    pub(super) context: Map<String, Json>,
    /// The records that are there, by collection.
    #[serde(default)]
    pub(super) records: BTreeMap<String, Vec<Map<String, Json>>>,
    #[serde(default)]
    pub(super) settings: BTreeMap<String, Json>,
    /// The moment at which the rule runs.
    #[serde(default)]
    pub(super) now: Option<String>,
    pub(super) expect: Expected,
}

/// What should come of it. What is not said may be anything; of an object the members that are given are compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// `{}`: none.
    #[serde(default)]
    pub(super) patch: Option<Json>,
    /// In order.
    #[serde(default)]
    pub(super) violations: Option<Vec<Json>>,
    #[serde(default)]
    pub(super) rejected: Option<RejectionKind>,
    /// The code of the failure.
    #[serde(default)]
    pub(super) failed: Option<String>,
    /// All of them, in order.
    #[serde(default)]
    pub(super) effects: Option<Vec<Json>>,
    #[serde(default)]
    pub(super) response: Option<Json>,
    /// Records that are there afterwards; `[]`: none.
    #[serde(default)]
    pub(super) records: BTreeMap<String, Vec<Json>>,
}

fn before_write() -> Hook {
    Hook::BeforeWrite
}

impl Fixture {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let fixture: Self = serde_json::from_slice(&read(path)?).map_err(|error| Error::Command(format!("{}: {error}", path.display())))?;
        if fixture.expect.is_empty() {
            return Err(Error::Command(format!("{} expects nothing, so it could never fail", path.display())));
        }
        Ok(fixture)
    }

    /// What the event has as `after`: the record, the payload of a job, or the request with its body read.
    pub(super) fn subject(&self) -> Option<String> {
        let mut request = self.request.clone();
        if let Some(request) = request.as_mut().filter(|request| request.get("body").is_none()) {
            let body = request["text"].as_str().and_then(|text| serde_json::from_str(text).ok());
            request["body"] = body.unwrap_or(Json::Null);
        }
        request.or_else(|| self.payload.clone()).or_else(|| self.after.clone()).map(|value| value.to_string())
    }
}

impl Expected {
    fn is_empty(&self) -> bool {
        let said = self.patch.is_some() || self.violations.is_some() || self.rejected.is_some() || self.failed.is_some();
        !said && self.effects.is_none() && self.response.is_none() && self.records.is_empty()
    }
}

/// True if `found` has everything that `wanted` says.
pub(super) fn fits(wanted: &Json, found: &Json) -> bool {
    match (wanted, found) {
        (Json::Object(wanted), Json::Object(found)) => {
            wanted.iter().all(|(name, value)| fits(value, found.get(name).unwrap_or(&Json::Null)))
        }
        (Json::Array(wanted), Json::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| fits(wanted, found))
        }
        (wanted, found) => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_objects_what_is_said_is_compared() {
        for (wanted, found, expected) in [
            (json!({"a": 1}), json!({"a": 1, "b": 2}), true),
            (json!({"a": 1}), json!({"a": 2}), false),
            (json!({"a": null}), json!({}), true),
            (json!({"a": {"b": []}}), json!({"a": {"b": [1]}}), false),
            (json!([{"a": 1}]), json!([{"a": 1, "b": 2}]), true),
            (json!([1]), json!([1, 2]), false),
            (json!("1"), json!(1), false),
        ] {
            assert_eq!(fits(&wanted, &found), expected, "{wanted} {found}");
        }
    }
}
