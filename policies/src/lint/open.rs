//! Collections that everybody may write to, logged in or not.

use std::collections::{HashMap, HashSet};

use model::{Action, Collection, Kind};

use super::{
    Finding,
    overridden::{What, wider},
};
use crate::{
    policy::{Effect, Policy},
    role::ANYONE,
    snapshot::Snapshot,
    standing::closure,
};

/// What everybody may do, without a plan for each of perhaps many tenants: a policy without condition opens a collection unless a denial,
/// whatever its condition, speaks about what everybody holds.
pub(super) struct Doors<'a> {
    snapshot: &'a Snapshot,
    collections: &'a [Collection],
    denials: HashSet<What<'a>>,
    /// What everybody holds, by tenant.
    anyone: HashMap<&'a str, Vec<String>>,
}

impl<'a> Doors<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, collections: &'a [Collection]) -> Self {
        let whole = |policy: &&Policy| policy.effect() == Effect::Deny && policy.fields() == "*";
        let denials = snapshot.policies().map(|policy| &**policy).filter(whole).map(What::of).collect();
        Self { snapshot, collections, denials, anyone: HashMap::new() }
    }

    /// The collections that this policy, by itself, lets everybody write to.
    pub(super) fn through(&mut self, policy: &'a Policy) -> Vec<Finding> {
        if policy.effect() == Effect::Deny || policy.condition().is_some() || self.snapshot.is_ignored(policy) {
            return Vec::new();
        }
        let (snapshot, domain) = (self.snapshot, policy.domain());
        // No tenant is called `*`, so for a policy about all tenants this is one about which nothing else is said.
        let held = || closure(&[ANYONE], domain, &snapshot.layers()).keys().map(|subject| subject.to_string()).collect();
        let held: &Vec<String> = self.anyone.entry(domain).or_insert_with(held);
        if !held.iter().any(|subject| subject == policy.subject()) {
            return Vec::new();
        }
        let about = self.collections.iter().filter(|collection| policy.object() == "*" || policy.object() == collection.name());
        let findings = about.filter_map(|collection| {
            let sealed = policy.source().is_database() && snapshot.is_sealed(collection.name());
            let denied = |action: Action| {
                let what = |subject| What { subject, domain, object: collection.name(), action: action.name() };
                held.iter().flat_map(|subject| wider(what(subject))).any(|what| self.denials.contains(&what))
            };
            let writes = [Action::Create, Action::Update, Action::Delete].into_iter();
            let writes = writes.filter(|action| policy.action().include(*action) && !is_registration(policy, *action, collection));
            let open: Vec<_> = writes.filter(|action| !sealed && !denied(*action)).map(Action::name).collect();
            let message = || format!("anybody, logged in or not, may {} any record of `{}`", open.join(", "), collection.name());
            (!open.is_empty()).then(|| Finding::warning("collection.world_writable", policy, message()))
        });
        findings.collect()
    }
}

/// Making an account of which only some fields can be set is what everybody is meant to do.
fn is_registration(policy: &Policy, action: Action, collection: &Collection) -> bool {
    action == Action::Create && collection.kind() == Kind::Auth && policy.fields() != "*"
}
