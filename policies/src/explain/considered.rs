//! One policy that speaks about a question: whether it counts, what its condition came out as, and why.

use std::{cmp::Ordering, sync::Arc};

use model::{Action, Truth, condition::Doubt};
use serde::Serialize;

use super::{Place, way};
use crate::{
    layer::hash,
    policy::{Effect, Policy, PolicyId, Source},
    snapshot::Snapshot,
    standing::Standing,
};

/// What the condition of a policy came out as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be decided: it neither allows nor lifts a denial.
    Unknown,
}

impl From<Truth> for Outcome {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::True => Outcome::True,
            Truth::False => Outcome::False,
            Truth::Unknown => Outcome::Unknown,
        }
    }
}

/// A policy that speaks about the question, as an explanation shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// See [`PolicyId`].
    pub id: PolicyId,
    /// `policies/shop.csv:3` or `database`.
    pub source: String,
    /// Whether it gives or takes.
    pub effect: Effect,
    /// Whom it is for.
    pub subject: String,
    /// From the principal to that subject; the links between them are in the roles of the explanation.
    pub via: Vec<String>,
    /// A tenant or `*`.
    pub domain: String,
    /// A collection, a system object or `*`.
    pub object: String,
    /// An action or `*`.
    pub action: &'static str,
    /// Field names or `*`.
    pub fields: String,
    /// The condition; none means always.
    pub condition: Option<String>,
    /// What the condition came out as; none if that depends on the record and there was none.
    pub result: Option<Outcome>,
    /// What made the condition unknown.
    pub doubts: Vec<Doubt>,
    /// What else there is to say about the result.
    pub note: Option<String>,
    /// Why the policy is not in force here: `sealed by policies/shop.csv:1`.
    pub ignored: Option<String>,
}

/// A policy and what it came out as.
pub(crate) struct Considered {
    pub(crate) policy: Arc<Policy>,
    pub(crate) verdict: Verdict,
    pub(crate) ignored: Option<String>,
}

/// What a condition came out as.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) result: Option<Outcome>,
    pub(crate) doubts: Vec<Doubt>,
    pub(crate) note: Option<String>,
}

impl Verdict {
    pub(crate) fn of(policy: &Policy, place: &Place<'_>) -> Self {
        let is = |result| Self { result: Some(result), ..Self::default() };
        let noted = |result, note: &str| Self { note: Some(note.to_owned()), ..is(result) };
        match (place, policy.condition()) {
            (Place::System, None) if policy.fields() != "*" => {
                noted(Outcome::True, "it is about some fields, and a system object has none")
            }
            (Place::System, Some(_)) => noted(Outcome::Unknown, "it has a condition, and a system object has no record"),
            (_, None) => is(Outcome::True),
            (Place::Collection(collection, context), Some(condition)) => match (condition.check(collection), context) {
                (Ok(_), None) => Self::default(),
                (Ok(checked), Some(context)) => Self { doubts: checked.doubts(context), ..is(checked.evaluate(context).into()) },
                (Err(error), _) => {
                    noted(Outcome::Unknown, &format!("its condition does not fit the collection `{}`: {error}", collection.name()))
                }
            },
        }
    }
}

impl Considered {
    fn of(policy: Arc<Policy>, place: &Place<'_>, ignored: Option<String>) -> Self {
        Self { verdict: Verdict::of(&policy, place), policy, ignored }
    }

    /// True if the policy can allow or deny more than some fields.
    pub(crate) fn counts(&self, place: &Place<'_>) -> bool {
        match (self.policy.effect(), place) {
            (Effect::Allow, Place::Collection(..)) => true,
            (Effect::Allow, Place::System) | (Effect::Deny, _) => self.policy.fields.mask().is_all(),
        }
    }

    /// True if it alone would allow.
    pub(super) fn grants(&self, place: &Place<'_>) -> bool {
        self.policy.effect() == Effect::Allow && self.counts(place) && self.verdict.result == Some(Outcome::True)
    }

    /// True if it denies whatever others allow.
    pub(super) fn refuses(&self, place: &Place<'_>) -> bool {
        let denies = matches!(self.verdict.result, Some(Outcome::True | Outcome::Unknown));
        self.policy.effect() == Effect::Deny && self.counts(place) && denies
    }

    /// Which of several that would do is named: the one that is understood most easily.
    pub(super) fn plainness(&self) -> impl Ord + use<> {
        let policy = &self.policy;
        (self.verdict.result != Some(Outcome::True), policy.condition().is_some(), policy.fields() != "*", Order::of(policy))
    }

    pub(super) fn shown(&self, standing: &Standing) -> Candidate {
        let Self { policy, verdict, ignored } = self;
        let [subject, domain, object, _, fields, ..] = policy.columns();
        Candidate {
            id: policy.id(),
            source: policy.source().to_string(),
            effect: policy.effect(),
            subject: subject.to_owned(),
            via: way(standing, subject).into_iter().map(|step| step.subject).collect(),
            domain: domain.to_owned(),
            object: object.to_owned(),
            action: policy.action().name(),
            fields: fields.to_owned(),
            condition: policy.condition().map(|condition| condition.source().to_owned()),
            result: verdict.result,
            doubts: verdict.doubts.clone(),
            note: verdict.note.clone(),
            ignored: ignored.clone(),
        }
    }
}

/// The order in which people look for policies: by file and line, then those of the database.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order(bool, Arc<str>, u32, PolicyId);

impl Order {
    pub(crate) fn of(policy: &Policy) -> Self {
        match policy.source() {
            Source::File { name, line } => Self(false, Arc::clone(name), *line, policy.id()),
            Source::Database => Self(true, Arc::default(), 0, policy.id()),
        }
    }

    pub(crate) fn compare(one: &Policy, other: &Policy) -> Ordering {
        Self::of(one).cmp(&Self::of(other))
    }
}

impl Snapshot {
    /// The policies that speak about a question, and those that would if the object were not sealed; files first.
    pub(crate) fn considered(&self, standing: &Standing, action: Action, object: &str, place: &Place<'_>) -> Vec<Considered> {
        // Casbin is not asked about nothing either.
        if object.is_empty() || standing.tenant.is_empty() {
            return Vec::new();
        }
        let speaks = |policy: &Arc<Policy>| standing.holds(policy.subject()) && (policy.object() == "*" || policy.object() == object);
        let mut found: Vec<_> = self.candidates(standing, action, object).into_iter().filter(speaks).map(|policy| (policy, None)).collect();
        if let Some(line) = self.seals().get(object) {
            let about = |object: &str| {
                let subjects = standing.subjects.iter().map(|subject| hash(subject));
                let object = hash(object);
                subjects.flat_map(move |subject| self.layers()[1].about(subject, object)).collect::<Vec<_>>()
            };
            let sealed = about(object).into_iter().chain(if object == "*" { Vec::new() } else { about("*") });
            let sealed = sealed.filter(|policy| policy.effect() == Effect::Allow && policy.may_match(&standing.tenant, action));
            let sealed: Vec<_> =
                sealed.filter(|policy| speaks(policy) && !found.iter().any(|(known, _)| known.id() == policy.id())).collect();
            found.extend(sealed.into_iter().map(|policy| (Arc::clone(policy), Some(format!("sealed by {line}")))));
        }
        found.sort_by(|(one, _), (other, _)| Order::compare(one, other));
        found.into_iter().map(|(policy, ignored)| Considered::of(policy, place, ignored)).collect()
    }
}
