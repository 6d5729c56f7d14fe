//! One policy: who may (or may not) do what, where, on which fields, and under which condition. Wherever it comes from - a file, the
//! database, the API - it passes the same checks here.

use std::{fmt, sync::Arc};

use model::{Action, Condition, collection::is_name};
use serde::{Deserialize, Serialize, Serializer};

use crate::{error::Column, fields::Fields};

/// The things that policies speak about beside collections: each is a part of the management API.
pub const SYSTEM_OBJECTS: [&str; 10] =
    ["_collections", "_policies", "_roles", "_plugins", "_deliveries", "_imports", "_metrics", "_users", "_logs", "_settings"];

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

/// Where a policy, a role link or a seal was written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A line of a file.
    File {
        /// The file, as it was named when it was read.
        name: Arc<str>,
        /// The line, counted from 1.
        line: u32,
    },
    /// A record of the database.
    Database,
}

impl Source {
    /// True for what was made at run time.
    #[must_use]
    pub fn is_database(&self) -> bool {
        match self {
            Source::File { .. } => false,
            Source::Database => true,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File { name, line } => write!(formatter, "{name}:{line}"),
            Source::Database => formatter.write_str("database"),
        }
    }
}

/// The name of a policy: the first 64 bits of the BLAKE3 hash of its columns, so that the same policy has the same id everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(pub(crate) u64);

impl fmt::Display for PolicyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for PolicyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for PolicyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The action column of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actions {
    /// `*`
    All,
    /// One of the four.
    One(Action),
}

impl Actions {
    /// The word in the column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Actions::All => "*",
            Actions::One(action) => action.name(),
        }
    }

    /// True if the policy speaks about the action.
    #[must_use]
    pub fn include(self, action: Action) -> bool {
        match self {
            Actions::All => true,
            Actions::One(one) => one == action,
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

/// A policy whose columns have been read and are sound in themselves; made by [`crate::Reader`]. Texts that many policies have in common
/// are kept once, so that a million policies fit into memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) id: PolicyId,
    pub(crate) subject: Arc<str>,
    pub(crate) domain: Arc<str>,
    pub(crate) object: Arc<str>,
    pub(crate) fields: Arc<Fields>,
    pub(crate) condition: Option<Arc<Condition>>,
    pub(crate) source: Source,
    pub(crate) action: Actions,
    pub(crate) effect: Effect,
}

impl Policy {
    /// See [`PolicyId`].
    #[must_use]
    pub fn id(&self) -> PolicyId {
        self.id
    }

    /// Who: see [`PolicyDraft::subject`].
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Where: a tenant or `*`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// What: a collection, a system object or `*`.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Which actions.
    #[must_use]
    pub fn action(&self) -> Actions {
        self.action
    }

    /// The fields column: `*` or names.
    #[must_use]
    pub fn fields(&self) -> &str {
        self.fields.text()
    }

    /// The condition; none means always.
    #[must_use]
    pub fn condition(&self) -> Option<&Arc<Condition>> {
        self.condition.as_ref()
    }

    /// Whether it gives or takes.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Where it was written down.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The columns in the order of Casbin's `p` in `model.conf`.
    #[must_use]
    pub fn columns(&self) -> [&str; 7] {
        let condition = self.condition.as_ref().map_or("", |condition| condition.source());
        [&self.subject, &self.domain, &self.object, self.action.name(), self.fields.text(), condition, self.effect.name()]
    }

    /// The columns as somebody could write them again.
    #[must_use]
    pub fn draft(&self) -> PolicyDraft {
        let [subject, domain, object, action, fields, condition, _] = self.columns().map(str::to_owned);
        PolicyDraft { subject, domain, object, action, fields, condition, effect: self.effect }
    }

    /// What nobody has to write down: that the owner of an account may read it, that a plugin may use what it was granted.
    pub(crate) fn unwritten(action: Action, object: &str) -> Self {
        let star: Arc<str> = "*".into();
        let (fields, action, effect) = (Arc::new(Fields::new("*")), Actions::One(action), Effect::Allow);
        let (object, source) = (object.into(), Source::File { name: "built-in".into(), line: 0 });
        Self { id: PolicyId(0), subject: Arc::clone(&star), domain: star, object, fields, condition: None, source, action, effect }
    }

    /// The id that the columns give. A unit separator stands between them: a control character, which no column can hold.
    pub(crate) fn hash(&self) -> PolicyId {
        let mut hasher = blake3::Hasher::new();
        for (place, column) in self.columns().iter().enumerate() {
            hasher.update(if place == 0 { b"" } else { b"\x1f" });
            hasher.update(column.as_bytes());
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        PolicyId(u64::from_be_bytes(first))
    }

    /// True if it could match for this tenant and action; Casbin decides.
    pub(crate) fn may_match(&self, tenant: &str, action: Action) -> bool {
        self.action.include(action) && (&*self.domain == "*" || &*self.domain == tenant)
    }
}

/// The form in which the API shows a policy.
#[derive(Serialize)]
struct Shown<'a> {
    id: PolicyId,
    #[serde(flatten)]
    draft: PolicyDraft,
    source: &'a Source,
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shown { id: self.id, draft: self.draft(), source: &self.source }.serialize(serializer)
    }
}

/// Columns that are forbidden to parts of the management API.
pub(crate) fn check_system_object(object: &str, fields: &str, condition: &str) -> Result<(), (Column, String)> {
    if !object.starts_with('_') {
        return Ok(());
    }
    let only = |column, text: &str, expected: &str, reason: &str| if text == expected { Ok(()) } else { Err((column, reason.to_owned())) };
    only(Column::Fields, fields, "*", "a system object is allowed or denied whole: write `*`")?;
    only(Column::Condition, condition, "", "a system object has no records, so it takes no condition")
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

pub(crate) fn check_object(text: &str) -> Result<(), String> {
    if text == "*" || is_name(text) || SYSTEM_OBJECTS.contains(&text) {
        return Ok(());
    }
    Err(format!("`{}` is neither a collection nor `*` nor one of {}", shown(text), SYSTEM_OBJECTS.join(", ")))
}

pub(crate) fn read_action(text: &str) -> Result<Actions, String> {
    if text == "*" {
        return Ok(Actions::All);
    }
    let action = Action::ALL.into_iter().find(|action| action.name() == text);
    action.map(Actions::One).ok_or_else(|| format!("`{}` is not one of create, read, update, delete, *", shown(text)))
}

pub(crate) fn check_fields(text: &str) -> Result<(), String> {
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
