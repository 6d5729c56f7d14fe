//! What a condition can come out as over everything that its collection may hold, and whether a list finds its records by an index.

use std::collections::{BTreeSet, HashMap};

use model::{
    Action, Collection, Condition,
    condition::{Expression, Root},
};

use super::Finding;
use crate::policy::{Effect, Policy};

/// Reviews one policy, as when it is saved: what its condition can come out as, and whether its collection is there. `collection` is the
/// one that the policy names; none if there is no such collection. A policy about `*` or a system object has none.
#[must_use]
pub fn review(policy: &Policy, collection: Option<&Collection>) -> Vec<Finding> {
    match (collection, policy.condition()) {
        (Some(collection), Some(condition)) => review_condition(policy, condition, collection),
        (Some(_), None) => Vec::new(),
        (None, _) if policy.object() == "*" || policy.object().starts_with('_') => Vec::new(),
        (None, _) => {
            let message = format!("there is no collection `{}`", policy.object());
            vec![Finding::warning("object.unknown", policy, message).in_column("object")]
        }
    }
}

/// Reviews one policy as [`review`] does, and one about `*` against every collection.
#[must_use]
pub fn review_among(policy: &Policy, collections: &[Collection]) -> Vec<Finding> {
    match policy.condition() {
        Some(condition) if policy.object() == "*" => {
            let known = collections.iter().map(|collection| (collection.name(), collection)).collect();
            about_everything(policy, condition, &known)
        }
        _ => review(policy, collections.iter().find(|collection| collection.name() == policy.object())),
    }
}

fn review_condition(policy: &Policy, condition: &Condition, collection: &Collection) -> Vec<Finding> {
    let checked = match condition.check(collection) {
        Ok(checked) => checked,
        Err(error) => {
            let message = format!("does not fit the collection `{}`: {}", collection.name(), error.reason);
            return vec![Finding::error("condition.unfit", policy, message).in_column("condition").at(error.position)];
        }
    };
    let review = checked.review(collection);
    let always_true = !review.can_be_false && !review.can_be_unknown;
    let always_false = !review.can_be_true && !review.can_be_unknown;
    let needless = "is always true: leave the condition out";
    let found = match policy.effect() {
        Effect::Allow if !review.can_be_true => {
            Some(Finding::error("condition.never_true", policy, "is never true, so the policy never allows anything"))
        }
        Effect::Allow if always_true => Some(Finding::warning("condition.always_true", policy, needless)),
        Effect::Deny if always_true => Some(Finding::warning("condition.always_denies", policy, needless)),
        Effect::Deny if !review.can_be_false => {
            Some(Finding::error("condition.always_denies", policy, "is never false, so the policy denies whatever the record is"))
        }
        Effect::Deny if always_false => {
            Some(Finding::error("condition.never_denies", policy, "is always false, so the policy never denies anything"))
        }
        Effect::Allow => None,
        Effect::Deny => {
            let unguarded = review.unguarded.iter().map(|doubt| {
                let path = &doubt.path;
                let message = format!("denies where `{path}` is missing: write `has({path}) && ...` if that is not meant");
                Finding::warning("condition.unguarded", policy, message).in_column("condition").at(doubt.position)
            });
            return unguarded.collect();
        }
    };
    found.map(|finding| finding.in_column("condition")).into_iter().collect()
}

/// Reviews many policies: those that have their condition in common are reviewed together.
pub(super) struct Reviews<'a> {
    collections: &'a HashMap<&'a str, &'a Collection>,
    known: HashMap<Key<'a>, Vec<Finding>>,
}

/// What the findings about a condition depend on.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    condition: &'a str,
    object: &'a str,
    effect: Effect,
    reads: bool,
    whole: bool,
}

impl<'a> Reviews<'a> {
    pub(super) fn new(collections: &'a HashMap<&'a str, &'a Collection>) -> Self {
        Self { collections, known: HashMap::new() }
    }

    pub(super) fn of(&mut self, policy: &'a Policy) -> Vec<Finding> {
        let Some(condition) = policy.condition() else { return review(policy, self.collections.get(policy.object()).copied()) };
        let (object, effect) = (policy.object(), policy.effect());
        let (reads, whole) = (policy.action().include(Action::Read), policy.fields() == "*");
        let key = Key { condition: condition.source(), object, effect, reads, whole };
        let collections = self.collections;
        let found = self.known.entry(key).or_insert_with(|| findings(policy, condition, collections));
        let about = |finding: &Finding| Finding {
            policy: Some(policy.id().to_string()),
            source: Some(policy.source().to_string()),
            ..finding.clone()
        };
        found.iter().map(about).collect()
    }
}

fn findings(policy: &Policy, condition: &Condition, collections: &HashMap<&str, &Collection>) -> Vec<Finding> {
    if policy.object() == "*" {
        return about_everything(policy, condition, collections);
    }
    let collection = collections.get(policy.object()).copied();
    let mut findings = review(policy, collection);
    findings.extend(collection.and_then(|collection| no_index(policy, condition, collection)));
    findings
}

/// A condition that is held against every collection, and against the system objects, which have no records.
fn about_everything(policy: &Policy, condition: &Condition, collections: &HashMap<&str, &Collection>) -> Vec<Finding> {
    let mut names: Vec<_> = collections.keys().copied().collect();
    names.sort_unstable();
    let (fit, unfit): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| condition.check(collections[name]).is_ok());
    match policy.effect() {
        Effect::Allow if fit.is_empty() && !unfit.is_empty() => {
            let message = "fits no collection, so the policy never allows anything";
            vec![Finding::error("condition.never_true", policy, message).in_column("condition")]
        }
        Effect::Allow => Vec::new(),
        Effect::Deny => {
            let reviewed = fit.iter().map(|name| (name, review_condition(policy, condition, collections[name])));
            let mut findings: Vec<Finding> = Vec::new();
            for (name, found) in reviewed {
                let new = found.into_iter().filter(|one| one.code == "condition.unguarded");
                for finding in new.map(|one| Finding { message: format!("in the collection `{name}` it {}", one.message), ..one }) {
                    if !findings.iter().any(|known| known.position == finding.position) {
                        findings.push(finding);
                    }
                }
            }
            findings.extend(denied_altogether(policy, &unfit));
            findings
        }
    }
}

/// A denial about everything denies where its condition makes no sense.
fn denied_altogether(policy: &Policy, unfit: &[&str]) -> Option<Finding> {
    let mut places: Vec<_> = unfit.iter().map(|name| format!("`{name}`")).collect();
    let kept = places.len().min(5);
    if places.len() > kept {
        let more = format!("{} more collections", places.len() - kept);
        places.truncate(kept);
        places.push(more);
    }
    if policy.fields() == "*" {
        places.push("the system objects".to_owned());
    }
    let message = format!("cannot be decided for {}, so there the policy denies always", places.join(", "));
    (!places.is_empty()).then(|| Finding::warning("condition.unfit", policy, message).in_column("condition"))
}

/// Whether lists under this policy have to look at every record.
fn no_index(policy: &Policy, condition: &Condition, collection: &Collection) -> Option<Finding> {
    let lists = policy.effect() == Effect::Allow && policy.action().include(Action::Read);
    if !lists || !looks_at_record(condition.expression()) {
        return None;
    }
    let indexes = collection.indexes();
    let leads = |field: &str| field == "id" || indexes.iter().any(|index| index.fields.first().is_some_and(|first| first == field));
    // A term about the caller alone says whether there is a list at all, not where its records are.
    let forgiven = has_other_way(condition.expression(), true);
    let alternatives = condition.lookups();
    let is_led = |pins: &BTreeSet<&str>| pins.iter().any(|field| leads(field)) || (pins.is_empty() && forgiven);
    let scanned = alternatives.iter().find(|pins| !is_led(pins))?;
    let advice = match scanned.iter().next() {
        Some(field) => format!("an index that begins with `{field}` would help"),
        None => "no field is compared with `==` or `in`".to_owned(),
    };
    let message = format!("lists under this policy look at every record of `{}`: {advice}", collection.name());
    Some(Finding::warning("condition.no_index", policy, message).in_column("condition"))
}

fn looks_at_record(expression: &Expression) -> bool {
    let mut found = false;
    expression.each_path(&mut |path| found |= path.root == Root::Record);
    found
}

/// True if the condition can come out as `wanted` by terms that do not look at the record, whatever the record is.
fn has_other_way(expression: &Expression, wanted: bool) -> bool {
    !looks_at_record(expression)
        || match expression {
            Expression::Not(term) => has_other_way(term, !wanted),
            Expression::And(terms) if wanted => terms.iter().all(|term| has_other_way(term, wanted)),
            Expression::Or(terms) if !wanted => terms.iter().all(|term| has_other_way(term, wanted)),
            Expression::And(terms) | Expression::Or(terms) => terms.iter().any(|term| has_other_way(term, wanted)),
            _ => false,
        }
}
