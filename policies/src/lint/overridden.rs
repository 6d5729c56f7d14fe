//! Policies that allow what another one always denies: whoever could use them holds something that is denied without condition.

use std::collections::{HashMap, HashSet};

use crate::{
    policy::{Effect, Policy, Source},
    role::{ANYONE, AUTHENTICATED},
    snapshot::Snapshot,
    standing::closure,
};

/// The denials of whole records without condition.
pub(super) struct Denials<'a> {
    snapshot: &'a Snapshot,
    denials: HashMap<What<'a>, &'a Source>,
    /// Whom they are for.
    subjects: HashSet<&'a str>,
    /// The roles that everybody holds somewhere: those who hold them need not be logged in.
    anyones: HashSet<&'a str>,
    /// Those of the subjects that everybody holds who is meant by a subject in a domain.
    shared: HashMap<(&'a str, &'a str), Vec<&'a str>>,
}

/// What a denial covers.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct What<'a> {
    pub(super) subject: &'a str,
    pub(super) domain: &'a str,
    pub(super) object: &'a str,
    pub(super) action: &'static str,
}

impl<'a> What<'a> {
    pub(super) fn of(policy: &'a Policy) -> Self {
        let (subject, domain, object) = (policy.subject(), policy.domain(), policy.object());
        Self { subject, domain, object, action: policy.action().name() }
    }
}

impl<'a> Denials<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let whole = |policy: &&Policy| policy.effect() == Effect::Deny && policy.condition().is_none() && policy.fields() == "*";
        let found = snapshot.policies().map(|policy| &**policy).filter(whole);
        let denials: HashMap<_, _> = found.map(|policy| (What::of(policy), policy.source())).collect();
        let subjects = denials.keys().map(|what| what.subject).collect();
        Self { snapshot, denials, subjects, anyones: anyones(snapshot), shared: HashMap::new() }
    }

    /// Which denial always overrides the policy, in words.
    pub(super) fn overriding(&mut self, policy: &'a Policy) -> Option<String> {
        if policy.effect() == Effect::Deny || self.denials.is_empty() {
            return None;
        }
        let what = What::of(policy);
        let shared = self.shared(what.subject, what.domain).into_iter();
        let mut covering = shared.flat_map(|subject| wider(What { subject, ..what }));
        covering.find_map(|what| {
            let source = self.denials.get(&what)?;
            Some(format!("always overridden by {source}, which denies it to `{}`", what.subject))
        })
    }

    fn shared(&mut self, subject: &'a str, domain: &'a str) -> Vec<&'a str> {
        if let Some(known) = self.shared.get(&(subject, domain)) {
            return known.clone();
        }
        let mut start = vec![subject, ANYONE];
        if !self.anyones.contains(subject) {
            start.push(AUTHENTICATED);
        }
        // A policy for all tenants is overridden only by what is held in all of them, and no tenant is called `*`.
        let held = closure(&start, domain, &self.snapshot.layers());
        let shared: Vec<_> = held.keys().filter_map(|subject| self.subjects.get(&**subject).copied()).collect();
        self.shared.insert((subject, domain), shared.clone());
        shared
    }
}

/// Everything that covers this: itself, and what says `*` instead of a name.
pub(super) fn wider(what: What<'_>) -> impl Iterator<Item = What<'_>> {
    let either = |wide: usize, bit: usize| wide >> bit & 1 == 1;
    (0..8).map(move |wide| What {
        subject: what.subject,
        domain: if either(wide, 0) { "*" } else { what.domain },
        object: if either(wide, 1) { "*" } else { what.object },
        action: if either(wide, 2) { "*" } else { what.action },
    })
}

fn anyones(snapshot: &Snapshot) -> HashSet<&str> {
    let mut links: HashMap<&str, Vec<&str>> = HashMap::new();
    for link in snapshot.links().filter(|link| link.member().starts_with("role:")) {
        links.entry(link.member()).or_default().push(link.role());
    }
    let (mut found, mut open) = (HashSet::new(), vec![ANYONE]);
    while let Some(role) = open.pop() {
        if found.insert(role) {
            open.extend(links.get(role).into_iter().flatten());
        }
    }
    found
}
