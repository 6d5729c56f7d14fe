//! Policies and role links that were made at run time. The store keeps their columns and does not know what they mean.

use surrealdb::types::Value as Stored;

use crate::{
    Error,
    row::{Row, record_id, rows},
    transaction::{Run, bind},
};

/// The columns of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns are explained in the policies crate")]
pub struct PolicyRow {
    pub id: String,
    pub subject: String,
    pub domain: String,
    pub object: String,
    pub action: String,
    pub fields: String,
    pub condition: String,
    pub effect: String,
}

/// That a member (a principal or a role) has a role in a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns are explained in the policies crate")]
pub struct RoleRow {
    pub member: String,
    pub role: String,
    pub tenant: String,
}

/// Every policy.
///
/// # Errors
/// [`Error::Corrupt`] when one cannot be read.
pub async fn all(run: &impl Run) -> Result<Vec<PolicyRow>, Error> {
    let values = run.run("SELECT * FROM _policies ORDER BY id".to_owned(), Vec::new()).await?;
    values.into_iter().flat_map(rows).map(policy).collect()
}

fn policy(row: Stored) -> Result<PolicyRow, Error> {
    let mut row = Row::new(row)?;
    Ok(PolicyRow {
        id: row.text("key")?,
        subject: row.text("subject")?,
        domain: row.text("domain")?,
        object: row.text("object")?,
        action: row.text("action")?,
        fields: row.text("fields")?,
        condition: row.text("condition")?,
        effect: row.text("effect")?,
    })
}

/// Writes a policy; writing it again changes nothing.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, policy: &PolicyRow) -> Result<(), Error> {
    let text = "UPSERT $id CONTENT { key: $key, subject: $subject, domain: $domain, object: $object, action: $action,
        fields: $fields, condition: $condition, effect: $effect } RETURN NONE";
    let binds = vec![
        bind("id", record_id("_policies", &policy.id)),
        bind("key", policy.id.clone()),
        bind("subject", policy.subject.clone()),
        bind("domain", policy.domain.clone()),
        bind("object", policy.object.clone()),
        bind("action", policy.action.clone()),
        bind("fields", policy.fields.clone()),
        bind("condition", policy.condition.clone()),
        bind("effect", policy.effect.clone()),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Removes a policy; true if it was there.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, id: &str) -> Result<bool, Error> {
    removed(run, record_id("_policies", id)).await
}

/// Every role link.
///
/// # Errors
/// [`Error::Corrupt`] when one cannot be read.
pub async fn links(run: &impl Run) -> Result<Vec<RoleRow>, Error> {
    let values = run.run("SELECT * FROM _role_links ORDER BY id".to_owned(), Vec::new()).await?;
    let link = |row| {
        let mut row = Row::new(row)?;
        Ok(RoleRow { member: row.text("member")?, role: row.text("role")?, tenant: row.text("tenant")? })
    };
    values.into_iter().flat_map(rows).map(link).collect()
}

/// Writes a role link; writing it again changes nothing.
///
/// # Errors
/// What the database reports.
pub async fn put_link(run: &impl Run, link: &RoleRow) -> Result<(), Error> {
    let binds = vec![
        bind("id", link_id(link)),
        bind("member", link.member.clone()),
        bind("role", link.role.clone()),
        bind("tenant", link.tenant.clone()),
    ];
    run.run("UPSERT $id CONTENT { member: $member, role: $role, tenant: $tenant } RETURN NONE".to_owned(), binds).await.map(drop)
}

/// Removes a role link; true if it was there.
///
/// # Errors
/// What the database reports.
pub async fn remove_link(run: &impl Run, link: &RoleRow) -> Result<bool, Error> {
    removed(run, link_id(link)).await
}

fn link_id(link: &RoleRow) -> Stored {
    // The newline stands in none of the three, so the key is unambiguous.
    record_id("_role_links", &[link.member.as_str(), &link.role, &link.tenant].join("\n"))
}

async fn removed(run: &impl Run, id: Stored) -> Result<bool, Error> {
    let values = run.run("DELETE $id RETURN BEFORE".to_owned(), vec![bind("id", id)]).await?;
    Ok(values.into_iter().flat_map(rows).next().is_some())
}
