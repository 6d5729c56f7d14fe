//! Roles: who holds which, directly and through other roles. The graph is read when a snapshot is built and walked once per request.

use std::collections::{BTreeSet, HashMap};

use model::Principal;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Column, Error},
    policy::{Source, check_subject, check_tenant, shown},
};

/// The role that everybody holds, known or not.
pub(crate) const ANYONE: &str = "role:anyone";

/// The role that everybody holds who has shown who it is.
pub(crate) const AUTHENTICATED: &str = "role:authenticated";

/// That somebody holds a role, in one tenant or everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RoleLink {
    /// `user:ID`, `service:ID`, `plugin:NAME`, or `role:x` for everybody who holds that role.
    pub member: String,
    /// The role that is held: `role:x`.
    pub role: String,
    /// A tenant, or `*` for all.
    pub tenant: String,
    /// Where it was written down.
    pub source: Source,
}

impl RoleLink {
    /// Checks every column.
    ///
    /// # Errors
    /// [`Error::Column`] for the first column that is wrong; also a role that cannot be given because everybody has it anyway.
    pub fn new(member: &str, role: &str, tenant: &str, source: Source) -> Result<Self, Error> {
        let [member, role, tenant] = [member, role, tenant].map(|text| text.trim().to_owned());
        let link = Self { member, role, tenant, source };
        link.check()?;
        Ok(link)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let check =
            |column, result: Result<(), String>| result.map_err(|reason| Error::Column { place: self.source.clone(), column, reason });
        check(Column::Member, check_subject(&self.member))?;
        check(Column::Role, check_role(&self.role))?;
        check(Column::Tenant, check_tenant(&self.tenant))
    }

    fn holds_in(&self, tenant: &str) -> bool {
        self.tenant == "*" || self.tenant == tenant
    }
}

fn check_role(text: &str) -> Result<(), String> {
    if text == ANYONE || text == AUTHENTICATED {
        return Err(format!("`{text}` cannot be given: who holds it is not a matter of policy"));
    }
    if !text.starts_with("role:") {
        return Err(format!("`{}` is not `role:NAME`", shown(text)));
    }
    check_subject(text)
}

/// All role links, by member.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    links: HashMap<String, Vec<RoleLink>>,
}

impl Roles {
    /// Builds the graph.
    ///
    /// # Errors
    /// A link that is wrong in itself, or roles that form a circle within one tenant.
    pub(crate) fn build(links: &[RoleLink]) -> Result<Self, Error> {
        let mut roles = Self::default();
        for link in links {
            link.check()?;
            roles.links.entry(link.member.clone()).or_default().push(link.clone());
        }
        let circle =
            |link: &&RoleLink| link.member.starts_with("role:") && roles.closure(&[&link.role], &link.tenant).contains(&*link.member);
        match links.iter().find(circle) {
            Some(link) => Err(Error::Cycle { place: link.source.clone(), member: link.member.clone(), role: link.role.clone() }),
            None => Ok(roles),
        }
    }

    /// What a principal acts as in a tenant: itself, and every role that it holds. Sorted.
    pub(crate) fn subjects(&self, principal: &Principal, tenant: &str) -> Vec<String> {
        let own = principal.to_string();
        let start: &[&str] = match principal {
            Principal::Anonymous => &[ANYONE],
            Principal::User(_) | Principal::Service(_) | Principal::Plugin(_) => &[&own, ANYONE, AUTHENTICATED],
            // It needs no role: see `Snapshot::plan`.
            Principal::System => &[],
        };
        self.closure(start, tenant).into_iter().map(str::to_owned).collect()
    }

    /// Everything that can be reached, the start included. A node is walked once, so a circle would end here too.
    fn closure<'a>(&'a self, start: &[&'a str], tenant: &str) -> BTreeSet<&'a str> {
        let mut reached: BTreeSet<&str> = start.iter().copied().collect();
        let mut open: Vec<&str> = start.to_vec();
        while let Some(member) = open.pop() {
            for link in self.links.get(member).into_iter().flatten().filter(|link| link.holds_in(tenant)) {
                if reached.insert(&link.role) {
                    open.push(&link.role);
                }
            }
        }
        reached
    }
}
