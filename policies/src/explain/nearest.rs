//! The policies that would nearly have allowed something, for the question that follows every refusal: what would it take? Policies of what
//! the caller holds come first; of all others only a bounded number is looked at.

use std::{collections::HashSet, sync::Arc};

use model::Action;
use serde::Serialize;

use super::{
    Outcome, Place, PolicyName,
    considered::{Order, Verdict},
};
use crate::{
    layer::hash,
    policy::{Effect, Policy},
    snapshot::Snapshot,
    standing::Standing,
};

/// How many near misses are told.
const NEAREST_MAX: usize = 5;

/// How many are looked at closely, conditions included.
const CLOSE_MAX: usize = 32;

/// How many policies of others are looked at, whatever they are about.
const OTHERS_MAX: usize = 20_000;

/// A policy that has more against it than this is not near.
const MISSES_MAX: usize = 2;

/// A policy that would have allowed it but for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearMiss {
    /// The policy.
    pub policy: PolicyName,
    /// What was against it, in words.
    pub misses: Vec<String>,
}

/// Something that keeps a policy from allowing; those that count less come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    Condition,
    Seal,
    Fields,
    Action,
    Tenant,
    Role,
    Principal,
}

impl Miss {
    /// How far away it keeps the policy.
    fn distance(self) -> u32 {
        match self {
            Miss::Condition => 2,
            Miss::Seal | Miss::Fields | Miss::Action => 3,
            Miss::Tenant | Miss::Role => 4,
            Miss::Principal => 6,
        }
    }
}

/// What a policy is held against.
struct Search<'a> {
    snapshot: &'a Snapshot,
    standing: &'a Standing,
    action: Action,
    object: &'a str,
    place: &'a Place<'a>,
}

pub(super) fn find(snapshot: &Snapshot, standing: &Standing, (action, object): (Action, &str), place: &Place<'_>) -> Vec<NearMiss> {
    let search = Search { snapshot, standing, action, object, place };
    let mut close: Vec<_> = search.policies().into_iter().filter_map(|policy| Some((distance(&search.misses(policy)?), policy))).collect();
    let order = |one: &(u32, &Arc<Policy>), other: &(u32, &Arc<Policy>)| one.0.cmp(&other.0).then_with(|| Order::compare(one.1, other.1));
    if close.len() > CLOSE_MAX {
        close.select_nth_unstable_by(CLOSE_MAX, order);
        close.truncate(CLOSE_MAX);
    }
    let mut near: Vec<_> = close.into_iter().filter_map(|(_, policy)| search.judged(policy)).collect();
    near.sort_by(|one, other| order(&(one.0, one.1), &(other.0, other.1)));
    near.truncate(NEAREST_MAX);
    near.into_iter().map(|(_, policy, misses)| NearMiss { policy: PolicyName::of(policy), misses }).collect()
}

fn distance(misses: &[Miss]) -> u32 {
    misses.iter().map(|miss| miss.distance()).sum()
}

impl<'a> Search<'a> {
    /// The policies about the object that allow something: those of what the caller holds, then some of the others.
    fn policies(&self) -> Vec<&'a Arc<Policy>> {
        let snapshot: &'a Snapshot = self.snapshot;
        let held = self.standing.held().map(|subject| hash(subject));
        let objects = [hash(self.object), hash("*")];
        let held = held.flat_map(|subject| objects.map(|object| (subject, object)));
        let held = held.flat_map(|(subject, object)| snapshot.layers().into_iter().flat_map(move |layer| layer.about(subject, object)));
        let others = snapshot.policies().take(OTHERS_MAX);
        let about = |policy: &&Arc<Policy>| policy.effect() == Effect::Allow && (policy.object() == "*" || policy.object() == self.object);
        let mut seen = HashSet::new();
        held.chain(others).filter(about).filter(|policy| seen.insert(policy.id())).collect()
    }

    /// What is against a policy, its condition aside; none if it is too much.
    fn misses(&self, policy: &Policy) -> Option<Vec<Miss>> {
        let against = [
            (Miss::Seal, policy.source().is_database() && self.snapshot.is_sealed(self.object)),
            (Miss::Fields, matches!(self.place, Place::System) && policy.fields() != "*"),
            (Miss::Action, !policy.action().include(self.action)),
            (Miss::Tenant, policy.domain() != "*" && policy.domain() != &*self.standing.tenant),
            (Miss::Role, policy.subject().starts_with("role:") && !self.standing.holds(policy.subject())),
            (Miss::Principal, !policy.subject().starts_with("role:") && !self.standing.holds(policy.subject())),
        ];
        let misses: Vec<_> = against.into_iter().filter(|(_, against)| *against).map(|(miss, _)| miss).collect();
        (misses.len() <= MISSES_MAX).then_some(misses)
    }

    /// Everything that is against a policy, its condition included, in words.
    fn judged(&self, policy: &'a Arc<Policy>) -> Option<(u32, &'a Arc<Policy>, Vec<String>)> {
        let mut misses = self.misses(policy)?;
        let verdict = Verdict::of(policy, self.place);
        if matches!(verdict.result, Some(Outcome::False | Outcome::Unknown)) {
            misses.push(Miss::Condition);
        }
        let words = misses.iter().map(|&miss| self.words(miss, policy, &verdict)).collect();
        (!misses.is_empty()).then(|| (distance(&misses), policy, words))
    }

    fn words(&self, miss: Miss, policy: &Policy, verdict: &Verdict) -> String {
        let Standing { principal, tenant, .. } = self.standing;
        match miss {
            Miss::Condition => condition(verdict),
            Miss::Seal => match self.snapshot.seals().get(self.object) {
                Some(line) => format!("`{}` is sealed by {line}", self.object),
                None => format!("`{}` is sealed", self.object),
            },
            Miss::Fields => format!("it is about some fields, and `{}` has none", self.object),
            Miss::Action => format!("it is for `{}`, not `{}`", policy.action().name(), self.action.name()),
            Miss::Tenant => format!("it is for the tenant `{}`, not `{tenant}`", policy.domain()),
            Miss::Role => format!("`{principal}` does not hold `{}`", policy.subject()),
            Miss::Principal => format!("it is for `{}`, not `{principal}`", policy.subject()),
        }
    }
}

fn condition(verdict: &Verdict) -> String {
    match (verdict.result, &verdict.note) {
        (_, Some(note)) => note.clone(),
        (Some(Outcome::False), _) => "its condition is false".to_owned(),
        _ => {
            let doubts = verdict.doubts.iter().map(|doubt| format!("`{}` is {}", doubt.path, doubt.found));
            format!("its condition is unknown: {}", doubts.collect::<Vec<_>>().join(", "))
        }
    }
}
