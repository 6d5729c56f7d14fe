//! Imports: how far each of them is. What there is to know is one text of the application; beside it stands what is searched by.

use surrealdb::types::Value as Stored;

use crate::{
    Error,
    row::{Row, first_row, record_id, rows},
    transaction::{Run, bind},
};

const TABLE: &str = "_imports";

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// A ULID.
    pub id: String,
    /// Who began it.
    pub principal: String,
    /// The tenant that it writes to.
    pub tenant: String,
    /// A word of the application.
    pub state: String,
    /// Who writes for it.
    pub run: String,
    /// From when on it is forgotten, a canonical datetime.
    pub expires: String,
    /// Everything else.
    pub text: String,
}

/// An import by id.
///
/// # Errors
/// What the database reports.
pub async fn get(run: &impl Run, id: &str) -> Result<Option<ImportRow>, Error> {
    read(run, id, "").await
}

/// An import whose state decides what this transaction writes: a change of it before the commit makes this one conflict.
///
/// # Errors
/// [`Error::Conflict`] when others queue for it, or what the database reports.
pub async fn get_locked(run: &impl Run, id: &str) -> Result<Option<ImportRow>, Error> {
    run.touch(format!("{TABLE}:{id}"))?;
    read(run, id, " FOR UPDATE").await
}

async fn read(run: &impl Run, id: &str, lock: &str) -> Result<Option<ImportRow>, Error> {
    let values = run.run(format!("SELECT * FROM $id{lock}"), vec![bind("id", record_id(TABLE, id))]).await?;
    values.into_iter().next().and_then(first_row).map(import).transpose()
}

fn import(row: Stored) -> Result<ImportRow, Error> {
    let mut row = Row::new(row)?;
    Ok(ImportRow {
        id: row.text("key")?,
        principal: row.text("principal")?,
        tenant: row.text("tenant")?,
        state: row.text("state")?,
        run: row.text("run")?,
        expires: row.text("expires")?,
        text: row.text("text")?,
    })
}

/// Writes an import, new or changed.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, import: &ImportRow) -> Result<(), Error> {
    let text = "UPSERT $id CONTENT { key: $key, principal: $principal, tenant: $tenant, state: $state, run: $run, expires: $expires,
        text: $text } RETURN NONE";
    let binds = vec![
        bind("id", record_id(TABLE, &import.id)),
        bind("key", import.id.clone()),
        bind("principal", import.principal.clone()),
        bind("tenant", import.tenant.clone()),
        bind("state", import.state.clone()),
        bind("run", import.run.clone()),
        bind("expires", import.expires.clone()),
        bind("text", import.text.clone()),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Some imports of a tenant, the newest first: those of a principal, or of everybody.
///
/// # Errors
/// What the database reports.
pub async fn list(
    run: &impl Run,
    tenant: &str,
    principal: Option<&str>,
    below: Option<&str>,
    limit: usize,
) -> Result<Vec<ImportRow>, Error> {
    let mut binds = vec![bind("tenant", tenant.to_owned())];
    let mut text = format!("SELECT * FROM {TABLE} WHERE tenant = $tenant");
    for (name, test, value) in [("principal", " AND principal = $principal", principal), ("below", " AND key < $below", below)] {
        if let Some(value) = value {
            text.push_str(test);
            binds.push(bind(name, value.to_owned()));
        }
    }
    let values = run.run(format!("{text} ORDER BY key DESC LIMIT {limit}"), binds).await?;
    values.into_iter().flat_map(rows).map(import).collect()
}

/// Gives those in one state another one: what a server that has died was at.
///
/// # Errors
/// What the database reports.
pub async fn restate(run: &impl Run, state: &str, next: &str) -> Result<(), Error> {
    let binds = vec![bind("state", state.to_owned()), bind("next", next.to_owned())];
    run.run(format!("UPDATE {TABLE} SET state = $next WHERE state = $state RETURN NONE"), binds).await.map(drop)
}

/// Forgets what has expired.
///
/// # Errors
/// What the database reports.
pub async fn remove_expired(run: &impl Run, now: &str) -> Result<(), Error> {
    run.run(format!("DELETE {TABLE} WHERE expires <= $now RETURN NONE"), vec![bind("now", now.to_owned())]).await.map(drop)
}
