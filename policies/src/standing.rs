//! As what somebody acts: its own name and every role that it holds in a tenant, directly and through other roles. Worked out once for each
//! principal and snapshot.

use std::{collections::BTreeMap, sync::Arc};

use model::{Principal, Value};

use crate::{
    layer::Layer,
    role::{ANYONE, AUTHENTICATED, RoleLink},
};

/// How many steps of a way are told, the last ones: nobody reads more, and every role has one.
const WAY_MAX: usize = 32;

/// What a principal acts as in one tenant.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The text of the principal.
    pub(crate) principal: Box<str>,
    pub(crate) tenant: Box<str>,
    /// Itself and its roles, sorted, each with the link that gave it; none for what everybody has.
    held: BTreeMap<Arc<str>, Option<Arc<RoleLink>>>,
    /// Those of them that some policy speaks about: whoever has the same ones in the same tenant has the same plans.
    pub(crate) subjects: Arc<[Arc<str>]>,
    /// A name for the tenant and the subjects: 128 bits of BLAKE3.
    pub(crate) group: u128,
    /// `caller.roles`.
    pub(crate) roles: Value,
}

impl Standing {
    pub(crate) fn of(principal: &Principal, tenant: &str, layers: &[&Layer; 2]) -> Self {
        let own = principal.to_string();
        let start: &[&str] = match principal {
            Principal::Anonymous => &[ANYONE],
            Principal::User(_) | Principal::Service(_) | Principal::Plugin(_) => &[&own, ANYONE, AUTHENTICATED],
            // It needs no role: see `Snapshot::plan`.
            Principal::System => &[],
        };
        Self::from(&own, start, tenant, layers)
    }

    /// What everybody acts as who holds this role and nothing else.
    pub(crate) fn of_role(role: &str, tenant: &str, layers: &[&Layer; 2]) -> Self {
        let start: &[&str] = if role == ANYONE { &[ANYONE] } else { &[role, ANYONE, AUTHENTICATED] };
        Self::from(role, start, tenant, layers)
    }

    fn from(principal: &str, start: &[&str], tenant: &str, layers: &[&Layer; 2]) -> Self {
        let held = closure(start, tenant, layers);
        let subjects: Arc<[Arc<str>]> = held.keys().filter(|subject| layers.iter().any(|layer| layer.mentions(subject))).cloned().collect();
        let roles = held.keys().filter_map(|subject| subject.strip_prefix("role:")).map(Value::from).collect();
        let group = group(tenant, &subjects);
        Self { principal: principal.into(), tenant: tenant.into(), held, subjects, group, roles: Value::List(roles) }
    }

    /// Itself and its roles, sorted.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Arc<str>> {
        self.held.keys()
    }

    pub(crate) fn holds(&self, subject: &str) -> bool {
        self.held.contains_key(subject)
    }

    /// How a subject is held, from the principal (or what everybody has) down to the subject, each step with the link that it rests on.
    pub(crate) fn way(&self, subject: &str) -> Vec<(Arc<str>, Option<Arc<RoleLink>>)> {
        let mut way = Vec::new();
        let mut next = self.held.get_key_value(subject);
        while let Some((subject, link)) = next.filter(|_| way.len() < WAY_MAX) {
            way.push((Arc::clone(subject), link.clone()));
            next = link.as_ref().and_then(|link| self.held.get_key_value(&link.member));
        }
        way.reverse();
        way
    }
}

/// Everything that can be reached, the start included, with the link by which it was reached first. A node is walked once, so a circle would
/// end here too.
pub(crate) fn closure(start: &[&str], tenant: &str, layers: &[&Layer; 2]) -> BTreeMap<Arc<str>, Option<Arc<RoleLink>>> {
    let mut reached: BTreeMap<Arc<str>, Option<Arc<RoleLink>>> = start.iter().map(|&name| (Arc::from(name), None)).collect();
    let mut open: Vec<Arc<str>> = reached.keys().cloned().collect();
    while let Some(member) = open.pop() {
        for link in layers.iter().flat_map(|layer| layer.links_of(&member)).filter(|link| link.holds_in(tenant)) {
            if !reached.contains_key(&link.role) {
                reached.insert(Arc::clone(&link.role), Some(Arc::clone(link)));
                open.push(Arc::clone(&link.role));
            }
        }
    }
    reached
}

fn group(tenant: &str, subjects: &[Arc<str>]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tenant.as_bytes());
    for subject in subjects {
        // Subjects hold no control character, and a tenant that does is only itself: the length ends it.
        hasher.update(b"\x1f");
        hasher.update(subject.as_bytes());
    }
    hasher.update(&(tenant.len() as u64).to_be_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_be_bytes(first)
}
