//! The stories of roles: who has which, where, and what that allows.

use std::sync::Arc;

use model::{Action, Pointer, Principal, Violation};
use policies::{Cell, RoleLink, Source, Whom};

use crate::{
    Error,
    call::Call,
    policies::{ChangeDraft, LinkDraft, Place, change_at},
};

/// The object that policies about this name.
const OBJECT: &str = "_roles";

/// Which role links somebody wants to see.
#[derive(Clone, Debug, Default)]
pub struct Search {
    pub(crate) member: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) limit: usize,
}

/// Role links in force, in the order of their members.
///
/// # Errors
/// The policies.
pub fn list(call: &Call, search: &Search) -> Result<Vec<Arc<RoleLink>>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    let role = search.role.as_deref().map(named);
    let wanted = |link: &&Arc<RoleLink>| is(&search.member, link.member()) && is(&role, link.role()) && is(&search.tenant, link.tenant());
    let policies = &call.world.policies;
    let mut links: Vec<_> = match &search.member {
        Some(member) => policies.links_of(member).filter(wanted).cloned().collect(),
        None => policies.links().filter(wanted).cloned().collect(),
    };
    links.sort_by(|a, b| (a.member(), a.role(), a.tenant()).cmp(&(b.member(), b.role(), b.tenant())));
    links.truncate(search.limit);
    Ok(links)
}

/// Gives a role to a principal (or to another role, as `role:x`), in one tenant or in all (`*`).
///
/// # Errors
/// The policies, or a link that cannot be: names that are none, roles that would form a circle.
pub async fn assign(call: &Call, role: &str, member: &str, tenant: &str) -> Result<(RoleLink, u64), Error> {
    let draft = draft(role, member, tenant);
    let changed = change_at(call, ChangeDraft { assign: vec![draft.clone()], ..ChangeDraft::default() }, &Place::Whole).await?;
    Ok((link(draft)?, changed.epoch))
}

/// Takes a role from a principal.
///
/// # Errors
/// The policies, or a link that is not in the database.
pub async fn remove(call: &Call, role: &str, member: &str, tenant: &str) -> Result<(RoleLink, u64), Error> {
    let draft = draft(role, member, tenant);
    let changed = change_at(call, ChangeDraft { unassign: vec![draft.clone()], ..ChangeDraft::default() }, &Place::Whole).await?;
    if changed.unassigned.is_empty() {
        return Err(Error::NotFound { kind: "role", name: format!("{member} in {role}") });
    }
    Ok((link(draft)?, changed.epoch))
}

fn draft(role: &str, member: &str, tenant: &str) -> LinkDraft {
    LinkDraft::new(member, &named(role), tenant)
}

fn named(role: &str) -> String {
    if role.starts_with("role:") { role.to_owned() } else { format!("role:{role}") }
}

fn link(draft: LinkDraft) -> Result<RoleLink, Error> {
    Ok(RoleLink::new(&draft.member, &draft.role, &draft.tenant, Source::Database)?)
}

/// What a principal, or everybody who holds a role, may do: every collection and action, with conditions and fields.
///
/// # Errors
/// The policies, or a name that is neither a principal nor a role.
pub fn matrix(call: &Call, whom: &str, tenant: &str) -> Result<Vec<Cell>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    check_tenant(tenant, "tenant")?;
    let collections: Vec<_> = call.world.catalog.values().cloned().collect();
    let whom = Named::parse(whom, "whom")?;
    Ok(call.world.policies.matrix(whom.whom(), tenant, &collections))
}

/// Tenants are asked for by name, and what is worked out for them is kept: they must be names.
pub(crate) fn check_tenant(tenant: &str, parameter: &str) -> Result<(), Error> {
    let sound = (1..=64).contains(&tenant.len()) && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let message = "a tenant has 1 to 64 letters, digits, `-` and `_`";
    if sound { Ok(()) } else { Err(Error::Query(Violation::new(Pointer::field(parameter), "query.value", message).into())) }
}

/// A principal or a role, as somebody wrote it.
pub(crate) enum Named {
    Principal(Principal),
    Role(String),
}

impl Named {
    pub(crate) fn parse(text: &str, parameter: &str) -> Result<Self, Error> {
        if text == "anonymous" {
            return Ok(Named::Principal(Principal::Anonymous));
        }
        if text.starts_with("role:") {
            return Ok(Named::Role(text.to_owned()));
        }
        text.parse().map(Named::Principal).map_err(|_| {
            let message = format!("`{text}` is not `user:ID`, `service:ID`, `anonymous` or `role:NAME`");
            Error::Query(Violation::new(Pointer::field(parameter), "query.value", message).into())
        })
    }

    pub(crate) fn whom(&self) -> Whom<'_> {
        match self {
            Named::Principal(principal) => Whom::Principal(principal),
            Named::Role(role) => Whom::Role(role),
        }
    }
}
