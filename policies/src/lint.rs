//! What is probably not meant: policies that can never matter, conditions that are always or never true, doors that stand open. Findings
//! refuse nothing - a policy that is wrong in itself never gets here - and say where to look.

mod review;

mod reach;

mod overridden;

mod open;

use std::collections::HashMap;

use model::Collection;
use serde::Serialize;

pub use review::{review, review_among};

use crate::{
    explain::Order,
    policy::{Effect, Policy, SYSTEM_OBJECTS, Source},
    snapshot::Snapshot,
};

/// How sure it is that something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does not do what it says.
    Error,
    /// It may be meant.
    Warning,
}

/// Something that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable and for machines, such as `condition.never_true`.
    pub code: &'static str,
    /// How sure it is.
    pub severity: Severity,
    /// The id of the policy, if it is about one.
    pub policy: Option<String>,
    /// Where that was written down: `policies/shop.csv:3` or `database`.
    pub source: Option<String>,
    /// The column of the policy that it is about: a name of [`crate::Column`].
    pub column: Option<&'static str>,
    /// Where in that column, in bytes from its start.
    pub position: Option<usize>,
    /// For people: lowercase, no final period.
    pub message: String,
}

impl Finding {
    pub(crate) fn error(code: &'static str, policy: &Policy, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, ..Self::warning(code, policy, message) }
    }

    pub(crate) fn warning(code: &'static str, policy: &Policy, message: impl Into<String>) -> Self {
        let (id, source) = (policy.id().to_string(), policy.source().to_string());
        let message = message.into();
        Self { code, severity: Severity::Warning, policy: Some(id), source: Some(source), column: None, position: None, message }
    }

    /// What is said about a condition is said about all of it, from its first character, unless a place is given.
    pub(crate) fn in_column(self, column: &'static str) -> Self {
        Self { column: Some(column), position: (column == "condition").then_some(0), ..self }
    }

    pub(crate) fn at(self, position: usize) -> Self {
        Self { position: Some(position), ..self }
    }
}

/// The code of policies whose role nobody holds: a mistake in a running server, and usual where roles are only given at run time.
pub const UNHELD: &str = "role.unheld";

impl Snapshot {
    /// Everything that is probably not meant, in the order of the policies: files first. Who holds which role is taken from the role links
    /// that are in force. `collections` are all that there are.
    #[must_use]
    pub fn lint(&self, collections: &[Collection]) -> Vec<Finding> {
        let known: HashMap<&str, &Collection> = collections.iter().map(|collection| (collection.name(), collection)).collect();
        let mut policies: Vec<_> = self.policies().collect();
        policies.sort_by_cached_key(|policy| Order::of(policy));
        let mut reviews = review::Reviews::new(&known);
        let reach = reach::Reach::of(self);
        let mut denials = overridden::Denials::of(self);
        let mut meanings: HashMap<Meaning<'_>, &Policy> = HashMap::with_capacity(policies.len());
        let mut open = open::Doors::new(self, collections);
        let mut findings: Vec<Finding> = self.seals().iter().filter_map(|(object, source)| unknown_seal(object, source, &known)).collect();
        for policy in policies {
            findings.extend(reviews.of(policy));
            let first: &Policy = meanings.entry(Meaning::of(policy)).or_insert(policy);
            let unreachable = match std::ptr::eq(first, &**policy) {
                false => Some(("policy.unreachable", format!("says the same as {}", first.source()))),
                true => self
                    .ignored(policy)
                    .map(|reason| ("policy.unreachable", reason))
                    .or_else(|| reach.unreachable(policy).map(|reason| (UNHELD, reason)))
                    .or_else(|| denials.overriding(policy).map(|reason| ("policy.unreachable", reason))),
            };
            findings.extend(unreachable.map(|(code, message)| Finding::warning(code, policy, message)));
            findings.extend(open.through(policy));
        }
        findings
    }

    fn ignored(&self, policy: &Policy) -> Option<String> {
        let line = self.seals().get(policy.object()).filter(|_| self.is_ignored(policy))?;
        Some(format!("`{}` is sealed by {line}, so what the database allows about it does not count", policy.object()))
    }
}

/// A seal on nothing guards nothing, however safe it looks.
fn unknown_seal(object: &str, source: &Source, known: &HashMap<&str, &Collection>) -> Option<Finding> {
    if known.contains_key(object) || SYSTEM_OBJECTS.contains(&object) {
        return None;
    }
    let (source, message) = (Some(source.to_string()), format!("there is no collection `{object}`, so this seals nothing"));
    let severity = Severity::Error;
    Some(Finding { code: "object.unknown", severity, policy: None, source, column: Some("object"), position: None, message })
}

/// What a policy means, however it was written.
#[derive(PartialEq, Eq, Hash)]
struct Meaning<'a> {
    subject: &'a str,
    domain: &'a str,
    object: &'a str,
    action: &'static str,
    fields: Vec<&'a str>,
    condition: String,
    effect: Effect,
}

impl<'a> Meaning<'a> {
    fn of(policy: &'a Policy) -> Self {
        let mut fields: Vec<_> = policy.fields().split(' ').collect();
        fields.sort_unstable();
        fields.dedup();
        let condition = policy.condition().map_or_else(String::new, |condition| without_spaces(condition.source()));
        let (subject, domain, object) = (policy.subject(), policy.domain(), policy.object());
        Self { subject, domain, object, action: policy.action().name(), fields, condition, effect: policy.effect() }
    }
}

/// A condition without the spaces that mean nothing: those outside of texts and not between two words.
fn without_spaces(condition: &str) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut tidy = String::with_capacity(condition.len());
    let mut characters = condition.chars().peekable();
    let mut quote = None;
    while let Some(character) = characters.next() {
        match quote {
            Some(open) => {
                tidy.push(character);
                if character == '\\' {
                    tidy.extend(characters.next());
                } else if character == open {
                    quote = None;
                }
            }
            None if character.is_ascii_whitespace() => {
                let between = tidy.ends_with(is_word) && characters.peek().is_some_and(|next| is_word(*next));
                tidy.extend(between.then_some(' '));
            }
            None => {
                quote = matches!(character, '\'' | '"').then_some(character);
                tidy.push(character);
            }
        }
    }
    tidy
}
