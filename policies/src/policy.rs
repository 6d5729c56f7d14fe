//! One policy: who may (or may not) do what, where, on which fields, and under which condition. Wherever it comes from - a file, the
//! database, the API - it passes the same checks here.

use std::fmt;

use model::{Action, Condition, collection::is_name, condition::Scope};
use serde::{Deserialize, Serialize};

use crate::error::{Column, Error};

/// The things that policies speak about beside collections: each is a part of the management API.
pub const SYSTEM_OBJECTS: [&str; 7] = ["_collections", "_policies", "_roles", "_plugins", "_users", "_logs", "_settings"];

/// The longest text of a column, in bytes; conditions have the same limit of their own.
pub(crate) const COLUMN_MAX_BYTES: usize = 4_096;

/// Whether a policy gives or takes. Taking wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The subject may.
    #[default]
    Allow,
    /// The subject may not, whatever else allows it.
    Deny,
}

impl Effect {
    /// The word in the last column of a policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        }
    }
}

/// Where a policy or a role link was written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A line of a file.
    File {
        /// The file, as it was named when it was read.
        name: String,
        /// The line, counted from 1.
        line: u64,
    },
    /// A record of the database.
    Database {
        /// Its id.
        id: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File { name, line } => write!(formatter, "{name}:{line}"),
            Source::Database { id } => write!(formatter, "database:{id}"),
        }
    }
}

/// The columns of a policy as somebody writes them; what is left out takes the widest meaning, as in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDraft {
    /// `role:x`, `user:ID`, `service:ID`, `plugin:NAME`, `role:anyone` or `role:authenticated`.
    pub subject: String,
    /// A tenant, or `*` for all.
    #[serde(default = "star")]
    pub domain: String,
    /// A collection, one of [`SYSTEM_OBJECTS`], or `*` for all of both.
    pub object: String,
    /// `create`, `read`, `update`, `delete`, or `*` for all.
    pub action: String,
    /// Field names with spaces between them, or `*` for all: what may be read, or written.
    #[serde(default = "star")]
    pub fields: String,
    /// The condition; empty means always.
    #[serde(default)]
    pub condition: String,
    /// Whether it gives or takes.
    #[serde(default)]
    pub effect: Effect,
}

fn star() -> String {
    "*".to_owned()
}

/// A policy in force, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The first 16 hexadecimal digits of the BLAKE3 hash of the columns: the same policy has the same id everywhere.
    pub id: String,
    /// See [`PolicyDraft::subject`].
    pub subject: String,
    /// See [`PolicyDraft::domain`].
    pub domain: String,
    /// See [`PolicyDraft::object`].
    pub object: String,
    /// See [`PolicyDraft::action`].
    pub action: String,
    /// See [`PolicyDraft::fields`].
    pub fields: String,
    /// See [`PolicyDraft::condition`].
    pub condition: String,
    /// See [`PolicyDraft::effect`].
    pub effect: Effect,
    /// Where it was written down.
    pub source: Source,
}

impl Policy {
    /// Checks every column, and brings white space into one form.
    ///
    /// # Errors
    /// [`Error::Column`] for the first column that is wrong. Whether fields and conditions fit their collection is not known here:
    /// see [`crate::Snapshot::build`].
    pub fn new(draft: PolicyDraft, source: Source) -> Result<Self, Error> {
        let mut policy = Self {
            id: String::new(),
            subject: draft.subject.trim().to_owned(),
            domain: draft.domain.trim().to_owned(),
            object: draft.object.trim().to_owned(),
            action: draft.action.trim().to_owned(),
            fields: draft.fields.split_whitespace().collect::<Vec<_>>().join(" "),
            condition: draft.condition.trim().to_owned(),
            effect: draft.effect,
            source,
        };
        policy.check()?;
        policy.id = policy.hash();
        Ok(policy)
    }

    /// Checks every column and returns the parsed condition, if there is one.
    pub(crate) fn check(&self) -> Result<Option<Condition>, Error> {
        let refuse = |column, reason| Error::Column { place: self.source.clone(), column, reason };
        let check = |column, result: Result<(), String>| result.map_err(|reason| refuse(column, reason));
        check(Column::Subject, check_subject(&self.subject))?;
        check(Column::Domain, check_tenant(&self.domain))?;
        check(Column::Object, check_object(&self.object))?;
        check(Column::Action, check_action(&self.action))?;
        check(Column::Fields, check_fields(&self.fields))?;
        check(Column::Condition, check_text(&self.condition))?;
        if self.object.starts_with('_') {
            check(Column::Fields, only(&self.fields, "*", "a system object is allowed or denied whole: write `*`"))?;
            check(Column::Condition, only(&self.condition, "", "a system object has no records, so it takes no condition"))?;
        }
        if self.condition.is_empty() {
            return Ok(None);
        }
        let parsed = Condition::parse(&self.condition, Scope::Policy);
        parsed.map(Some).map_err(|error| refuse(Column::Condition, error.to_string()))
    }

    /// The columns in the order of Casbin's `p` in `model.conf`.
    pub(crate) fn columns(&self) -> [&str; 7] {
        let (subject, domain, object, action) = (&self.subject, &self.domain, &self.object, &self.action);
        [subject, domain, object, action, &self.fields, &self.condition, self.effect.name()]
    }

    /// The id that the columns give. A unit separator stands between them: a control character, which no column can hold.
    pub(crate) fn hash(&self) -> String {
        let hash = blake3::hash(self.columns().join("\u{1f}").as_bytes());
        hash.to_hex().as_str()[..16].to_owned()
    }
}

/// A principal or a role; what a policy speaks about, and what can hold a role.
pub(crate) fn check_subject(text: &str) -> Result<(), String> {
    match text.split_once(':') {
        Some(("role" | "user" | "service" | "plugin", name)) if is_word(name) => Ok(()),
        _ => Err(format!("`{}` is not `role:NAME`, `user:ID`, `service:ID` or `plugin:NAME`", shown(text))),
    }
}

/// A tenant or `*`.
pub(crate) fn check_tenant(text: &str) -> Result<(), String> {
    if text == "*" || is_word(text) { Ok(()) } else { Err(format!("`{}` is neither a tenant nor `*`", shown(text))) }
}

fn check_object(text: &str) -> Result<(), String> {
    if text == "*" || is_name(text) || SYSTEM_OBJECTS.contains(&text) {
        return Ok(());
    }
    Err(format!("`{}` is neither a collection nor `*` nor one of {}", shown(text), SYSTEM_OBJECTS.join(", ")))
}

fn check_action(text: &str) -> Result<(), String> {
    if text == "*" || Action::ALL.iter().any(|action| action.name() == text) {
        return Ok(());
    }
    Err(format!("`{}` is not one of create, read, update, delete, *", shown(text)))
}

fn check_fields(text: &str) -> Result<(), String> {
    check_text(text)?;
    if text == "*" {
        return Ok(());
    }
    if text.is_empty() {
        return Err("names no field: write `*` for all".to_owned());
    }
    match text.split(' ').find(|name| !is_name(name)) {
        Some(name) => Err(format!("`{}` is not a field name; write `*` or names with spaces between them", shown(name))),
        None => Ok(()),
    }
}

fn only(text: &str, expected: &str, reason: &str) -> Result<(), String> {
    if text == expected { Ok(()) } else { Err(reason.to_owned()) }
}

/// Refuses what could make a policy look like another one: control characters and marks that reverse the direction of writing.
pub(crate) fn check_text(text: &str) -> Result<(), String> {
    if text.len() > COLUMN_MAX_BYTES {
        return Err(format!("longer than {COLUMN_MAX_BYTES} bytes"));
    }
    match text.chars().find(|&character| is_deceptive(character)) {
        Some(character) => Err(format!("contains the control character U+{:04X}", u32::from(character))),
        None => Ok(()),
    }
}

pub(crate) fn is_deceptive(character: char) -> bool {
    character.is_control() || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The names of roles, tenants and plugins, and the ids of principals.
fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// A user's words in a message: at most 64 characters, with nothing in them that a terminal would obey.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).map(|character| if is_deceptive(character) { '\u{fffd}' } else { character }).collect()
}
