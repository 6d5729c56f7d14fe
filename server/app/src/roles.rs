//! The stories of roles: who has which, where.

use model::{Action, Pointer, Principal, Violation};
use policies::{RoleLink, Snapshot, Source};
use store::policies::RoleRow;

use crate::{Error, call::Call, world};

/// The object that policies about this name.
const OBJECT: &str = "_roles";

/// Every role link in force.
///
/// # Errors
/// The policies.
pub fn list(call: &Call) -> Result<Vec<RoleLink>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    Ok(call.world.policies.links().to_vec())
}

/// Gives a role to a principal (or to another role, as `role:x`), in one tenant or in all (`*`).
///
/// # Errors
/// The policies, or a link that cannot be: names that are none, roles that would form a circle.
pub async fn assign(call: &Call, role: &str, member: &str, tenant: &str) -> Result<RoleLink, Error> {
    let (call, _alone) = &call.exclusive().await;
    call.authorize(Action::Create, OBJECT)?;
    let link = link(role, member, tenant)?;
    let (policies, mut links) = world::sources(&call.app.config, &call.app.store).await?;
    links.push(link.clone());
    Snapshot::build(policies, links, 0, &|name| call.world.catalog.get(name).cloned())?;

    let transaction = call.app.store.begin().await?;
    store::policies::put_link(&transaction, &row(&link)).await?;
    world::advance(&transaction, call).await?;
    transaction.commit().await.map_err(|_| Error::Conflict)?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, role, member, tenant, by = %call.caller.principal, "gave a role");
    Ok(link)
}

/// Takes a role from a principal.
///
/// # Errors
/// The policies, or a link that is not in the database.
pub async fn remove(call: &Call, role: &str, member: &str, tenant: &str) -> Result<RoleLink, Error> {
    let (call, _alone) = &call.exclusive().await;
    call.authorize(Action::Delete, OBJECT)?;
    let link = link(role, member, tenant)?;
    // With a source that cannot be read the removal would be stored and not be in force.
    world::sources(&call.app.config, &call.app.store).await?;
    let transaction = call.app.store.begin().await?;
    if !store::policies::remove_link(&transaction, &row(&link)).await? {
        transaction.rollback().await;
        return Err(Error::NotFound { kind: "role", name: format!("{member} in {role}") });
    }
    world::advance(&transaction, call).await?;
    transaction.commit().await.map_err(|_| Error::Conflict)?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, role, member, tenant, by = %call.caller.principal, "took a role");
    Ok(link)
}

fn link(role: &str, member: &str, tenant: &str) -> Result<RoleLink, Error> {
    if !member.starts_with("role:") && member.parse::<Principal>().is_err() {
        let message = format!("`{member}` is not a principal: write `user:ID`, `service:ID` or `role:NAME`");
        return Err(Error::Unacceptable {
            kind: "role",
            violations: Violation::new(Pointer::field("principal"), "role.member", message).into(),
        });
    }
    let role = if role.starts_with("role:") { role.to_owned() } else { format!("role:{role}") };
    let id = format!("{member} {role} {tenant}");
    RoleLink::new(member, &role, tenant, Source::Database { id }).map_err(|error| match Error::from(error) {
        Error::Unacceptable { violations, .. } => Error::Unacceptable { kind: "role", violations },
        other => other,
    })
}

fn row(link: &RoleLink) -> RoleRow {
    RoleRow { member: link.member.clone(), role: link.role.clone(), tenant: link.tenant.clone() }
}
