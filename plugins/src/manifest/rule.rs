//! When a rule runs, and what its hook needs to know for that.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{check_name, path, schedule};

const SUMMARY_MAX_BYTES: usize = 200;

/// When a rule runs. Which members a hook needs and allows: `plugins/README.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDeclaration {
    /// Like the plugin's name.
    pub name: String,
    /// Where in the story it runs.
    pub hook: Hook,
    /// Collections whose records it is about. An after-commit rule without any is called by jobs only.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub collections: BTreeSet<String>,
    /// What must happen to a record; none exactly when there are no collections.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub operations: BTreeSet<Operation>,
    /// When a scheduled rule runs: five fields of cron, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The method of an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// The path of an endpoint below `/api/ext/NAME`: `/pay/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Who may call an endpoint.
    #[serde(default, skip_serializing_if = "Access::is_users")]
    pub access: Access,
    /// What an endpoint does, in a line of the API document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// JSON Schema of an endpoint's request body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// JSON Schema of an endpoint's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
    /// Rules with a lower number run first.
    #[serde(default)]
    pub order: i32,
}

/// Where in the story rules run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// In the transaction, before the record is validated and written.
    BeforeWrite,
    /// After the commit, in a transaction of its own, at least once; also what a job calls.
    AfterCommit,
    /// When its time has come, in a transaction of its own.
    Scheduled,
    /// For a request to its path, in a transaction of its own.
    Endpoint,
}

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
}

/// The method of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Does something.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Deletes.
    Delete,
}

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Whoever is logged in.
    #[default]
    Users,
    /// Everybody; the rule checks on its own who it is, by a signature for instance.
    Anyone,
}

impl RuleDeclaration {
    /// Whether the rule runs for this write.
    pub fn applies(&self, hook: Hook, operation: Operation, collection: &str) -> bool {
        self.hook == hook && self.operations.contains(&operation) && self.collections.contains(collection)
    }

    /// What two endpoints of a plugin must not share: the method, and the path without the names of its parameters.
    pub(super) fn route(&self) -> Option<String> {
        let (method, path) = (self.method?, self.path.as_deref()?);
        Some(format!("{} {}", method.as_str(), path::shape(path)))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        check_name("rule", &self.name)?;
        if self.summary.as_ref().is_some_and(|summary| summary.len() > SUMMARY_MAX_BYTES || summary.chars().any(char::is_control)) {
            return Err(format!("the summary of rule `{}` is one line of at most {SUMMARY_MAX_BYTES} bytes", self.name));
        }
        match self.hook {
            Hook::BeforeWrite => self.check_records(),
            Hook::AfterCommit if self.collections.is_empty() && self.operations.is_empty() => Ok(()),
            Hook::AfterCommit => self.check_records(),
            Hook::Scheduled => schedule::check(self.needs("schedule", self.schedule.as_deref())?),
            Hook::Endpoint => {
                self.needs("method", self.method)?;
                path::check(self.needs("path", self.path.as_deref())?)
            }
        }?;
        self.check_strangers()
    }

    fn check_records(&self) -> Result<(), String> {
        if self.collections.is_empty() {
            return Err(format!("rule `{}` names no collection", self.name));
        }
        if self.operations.is_empty() {
            return Err(format!("rule `{}` names no operation", self.name));
        }
        Ok(())
    }

    /// A member that the hook does not know would be silently without effect.
    fn check_strangers(&self) -> Result<(), String> {
        let (records, endpoint) = (matches!(self.hook, Hook::BeforeWrite | Hook::AfterCommit), self.hook == Hook::Endpoint);
        let members = [
            ("collections", !self.collections.is_empty(), records),
            ("operations", !self.operations.is_empty(), records),
            ("schedule", self.schedule.is_some(), self.hook == Hook::Scheduled),
            ("method", self.method.is_some(), endpoint),
            ("path", self.path.is_some(), endpoint),
            ("access", !self.access.is_users(), endpoint),
            ("request", self.request.is_some(), endpoint),
            ("response", self.response.is_some(), endpoint),
        ];
        match members.iter().find(|(_, given, allowed)| *given && !allowed) {
            Some((member, ..)) => {
                Err(format!("rule `{}` has `{member}`, which its hook `{}` does not know", self.name, self.hook.as_str()))
            }
            None => Ok(()),
        }
    }

    fn needs<T>(&self, member: &str, value: Option<T>) -> Result<T, String> {
        value.ok_or_else(|| format!("rule `{}` with the hook `{}` needs `{member}`", self.name, self.hook.as_str()))
    }
}

impl Hook {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeWrite => "before-write",
            Self::AfterCommit => "after-commit",
            Self::Scheduled => "scheduled",
            Self::Endpoint => "endpoint",
        }
    }
}

impl Operation {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Method {
    /// As in a request: `POST`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Access {
    fn is_users(&self) -> bool {
        *self == Self::Users
    }
}
