//! Which roles anybody holds, in which tenants. A role that nobody holds makes its policies empty words.

use std::collections::{HashMap, HashSet};

use crate::{
    policy::Policy,
    role::{ANYONE, AUTHENTICATED, RoleLink},
    snapshot::Snapshot,
};

/// The roles that somebody holds.
pub(super) struct Reach<'a> {
    /// In every tenant.
    everywhere: HashSet<&'a str>,
    /// In single tenants, beside those.
    somewhere: HashMap<&'a str, HashSet<&'a str>>,
    /// In at least one tenant.
    anywhere: HashSet<&'a str>,
}

type Links<'a> = HashMap<&'a str, Vec<&'a str>>;

impl<'a> Reach<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let mut tenants: HashMap<&str, Vec<&RoleLink>> = HashMap::new();
        for link in snapshot.links() {
            tenants.entry(link.tenant()).or_default().push(link);
        }
        let global = tenants.remove("*").unwrap_or_default();
        let global_links = between_roles(&global);
        let mut everywhere = HashSet::from([ANYONE, AUTHENTICATED]);
        walk(given(&global, &everywhere), &[&global_links], |role| everywhere.insert(role));
        let somewhere = tenants.into_iter().map(|(tenant, links)| {
            let mut held = HashSet::new();
            let new = |role| !everywhere.contains(role) && held.insert(role);
            walk(given(&links, &everywhere), &[&global_links, &between_roles(&links)], new);
            (tenant, held)
        });
        let somewhere: HashMap<_, _> = somewhere.collect();
        let anywhere = somewhere.values().flatten().copied().collect();
        Self { everywhere, somewhere, anywhere }
    }

    /// Why the policy speaks to nobody.
    pub(super) fn unreachable(&self, policy: &Policy) -> Option<String> {
        let (subject, domain) = (policy.subject(), policy.domain());
        if !subject.starts_with("role:") || self.everywhere.contains(subject) {
            return None;
        }
        if self.somewhere.get(domain).is_some_and(|held| held.contains(subject)) {
            return None;
        }
        match (self.anywhere.contains(subject), domain) {
            (false, _) => Some(format!("nobody holds `{subject}`")),
            (true, "*") => None,
            (true, tenant) => Some(format!("nobody holds `{subject}` in the tenant `{tenant}`")),
        }
    }
}

/// The roles that links give to principals, or to those who hold what everybody holds.
fn given<'a>(links: &[&'a RoleLink], everywhere: &HashSet<&str>) -> Vec<&'a str> {
    let held = |member: &str| !member.starts_with("role:") || everywhere.contains(member);
    links.iter().filter(|link| held(link.member())).map(|link| link.role()).collect()
}

fn between_roles<'a>(links: &[&'a RoleLink]) -> Links<'a> {
    let mut between = Links::new();
    for link in links.iter().filter(|link| link.member().starts_with("role:")) {
        between.entry(link.member()).or_default().push(link.role());
    }
    between
}

/// Visits every role that can be reached; `visit` is true for one that is new.
fn walk<'a>(start: Vec<&'a str>, links: &[&Links<'a>], mut visit: impl FnMut(&'a str) -> bool) {
    let mut open = start;
    while let Some(role) = open.pop() {
        if visit(role) {
            open.extend(links.iter().filter_map(|links| links.get(role)).flatten());
        }
    }
}
