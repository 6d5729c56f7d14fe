//! Everything that one kind of source says, found by subject and object without looking at the rest. A layer is a persistent map: a changed
//! one shares nearly all of its memory with the one before, so that one policy among a million changes in microseconds.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, LazyLock},
};

use imbl::OrdMap;

use crate::{
    policy::{Policy, PolicyId, Source},
    reader::PolicySet,
    role::RoleLink,
};

/// Where a policy stands: behind the hashes of its subject and its object. Equal hashes of different names only make the index offer too
/// much, and whoever asks compares the names; the id keeps policies apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PolicyKey {
    subject: u64,
    object: u64,
    id: PolicyId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LinkKey {
    member: u64,
    link: u64,
}

/// The policies, links and seals of the files, or those of the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    policies: OrdMap<PolicyKey, Arc<Policy>>,
    links: OrdMap<LinkKey, Arc<RoleLink>>,
    seals: Arc<BTreeMap<Arc<str>, Source>>,
}

impl Layer {
    pub(crate) fn new(set: PolicySet) -> Self {
        let mut layer = Self::default();
        // In the order of the keys, so that what is written next lies beside what was written last.
        let mut policies: Vec<_> = set.policies.into_iter().map(|policy| (key(&policy), Arc::new(policy))).collect();
        policies.sort_by_key(|(key, _)| *key);
        for (key, policy) in policies {
            layer.policies.entry(key).or_insert(policy);
        }
        for link in set.links {
            layer.assign(Arc::new(link));
        }
        // The first line that seals an object is the one that is shown.
        let seals = set.seals.into_iter().rev().map(|seal| (seal.object, seal.source));
        layer.seals = Arc::new(seals.collect());
        layer
    }

    /// Adds a policy. One that says the same and is there already stays.
    pub(crate) fn add(&mut self, policy: Arc<Policy>) {
        self.policies.entry(key(&policy)).or_insert(policy);
    }

    /// True if it was there.
    pub(crate) fn remove(&mut self, policy: &Policy) -> bool {
        self.policies.remove(&key(policy)).is_some()
    }

    /// Adds a role link. One that says the same and is there already stays.
    pub(crate) fn assign(&mut self, link: Arc<RoleLink>) {
        self.links.entry(link_key(&link)).or_insert(link);
    }

    /// True if it was there.
    pub(crate) fn unassign(&mut self, link: &RoleLink) -> bool {
        self.links.remove(&link_key(link)).is_some()
    }

    pub(crate) fn has(&self, policy: &Policy) -> bool {
        self.policies.contains_key(&key(policy))
    }

    pub(crate) fn has_link(&self, link: &RoleLink) -> bool {
        self.links.contains_key(&link_key(link))
    }

    /// True if some policy may speak about the subject.
    pub(crate) fn mentions(&self, subject: &str) -> bool {
        self.of_subject(subject).next().is_some()
    }

    /// The policies about a subject.
    pub(crate) fn of_subject(&self, subject: &str) -> impl Iterator<Item = &Arc<Policy>> {
        let subject = hash(subject);
        let first = PolicyKey { subject, object: 0, id: PolicyId(0) };
        let last = PolicyKey { subject, object: u64::MAX, id: PolicyId(u64::MAX) };
        self.policies.range(first..=last).map(|(_, policy)| policy)
    }

    /// The policies about a subject and exactly this object (`*` is an object of its own), and perhaps some more.
    pub(crate) fn about(&self, subject: u64, object: u64) -> impl Iterator<Item = &Arc<Policy>> {
        let at = |id| PolicyKey { subject, object, id: PolicyId(id) };
        self.policies.range(at(0)..=at(u64::MAX)).map(|(_, policy)| policy)
    }

    /// The links of a member.
    pub(crate) fn links_of<'a>(&'a self, member: &'a str) -> impl Iterator<Item = &'a Arc<RoleLink>> {
        let at = |link| LinkKey { member: hash(member), link };
        self.links.range(at(0)..=at(u64::MAX)).map(|(_, link)| link).filter(move |link| &*link.member == member)
    }

    /// Every policy, in an order that stays the same for the life of the process.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.values()
    }

    /// Every link, in an order that stays the same for the life of the process.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Arc<RoleLink>> {
        self.links.values()
    }

    pub(crate) fn seals(&self) -> &BTreeMap<Arc<str>, Source> {
        &self.seals
    }

    pub(crate) fn len(&self) -> usize {
        self.policies.len()
    }
}

/// The hash of a name in the index; other processes have others.
pub(crate) fn hash(name: &str) -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYS.hash_one(name)
}

fn key(policy: &Policy) -> PolicyKey {
    PolicyKey { subject: hash(&policy.subject), object: hash(&policy.object), id: policy.id }
}

fn link_key(link: &RoleLink) -> LinkKey {
    // None of the three can hold a space.
    LinkKey { member: hash(&link.member), link: hash(&[&*link.member, &*link.role, &*link.tenant].join(" ")) }
}
