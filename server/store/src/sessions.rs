//! Sessions: who is logged in where. A session lives until it is revoked or its last refresh token expires.

use surrealdb::types::Value as Stored;

use crate::{
    Error,
    row::{Row, first_row, record_id},
    transaction::{Run, bind},
};

/// One login on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// A ULID.
    pub id: String,
    /// The id of the record that logged in.
    pub account: String,
    /// The tenant it acts in.
    pub tenant: String,
    /// The blake3 hash of the only refresh token that is good now, in hex.
    pub refresh_hash: String,
    /// When it began, a canonical datetime.
    pub created: String,
    /// When the refresh token expires, a canonical datetime.
    pub expires: String,
}

const TABLE: &str = "_sessions";

/// A session by id.
///
/// # Errors
/// What the database reports.
pub async fn get(run: &impl Run, id: &str) -> Result<Option<SessionRow>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id(TABLE, id))]).await?;
    values.into_iter().next().and_then(first_row).map(session).transpose()
}

fn session(row: Stored) -> Result<SessionRow, Error> {
    let mut row = Row::new(row)?;
    Ok(SessionRow {
        id: row.text("key")?,
        account: row.text("account")?,
        tenant: row.text("tenant")?,
        refresh_hash: row.text("refresh_hash")?,
        created: row.text("created")?,
        expires: row.text("expires")?,
    })
}

/// Begins a session or gives it its next refresh token.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, session: &SessionRow) -> Result<(), Error> {
    let text = "UPSERT $id CONTENT { key: $key, account: $account, tenant: $tenant, refresh_hash: $refresh_hash, created: $created,
        expires: $expires } RETURN NONE";
    let binds = vec![
        bind("id", record_id(TABLE, &session.id)),
        bind("key", session.id.clone()),
        bind("account", session.account.clone()),
        bind("tenant", session.tenant.clone()),
        bind("refresh_hash", session.refresh_hash.clone()),
        bind("created", session.created.clone()),
        bind("expires", session.expires.clone()),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Ends a session.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, id: &str) -> Result<(), Error> {
    run.run("DELETE $id RETURN NONE".to_owned(), vec![bind("id", record_id(TABLE, id))]).await.map(drop)
}

/// Ends every session of an account, as after a changed password or a deleted account.
///
/// # Errors
/// What the database reports.
pub async fn remove_all(run: &impl Run, account: &str) -> Result<(), Error> {
    let binds = vec![bind("account", account.to_owned())];
    run.run(format!("DELETE {TABLE} WHERE account = $account RETURN NONE"), binds).await.map(drop)
}

/// Removes the sessions whose refresh token expired before a moment.
///
/// # Errors
/// What the database reports.
pub async fn remove_expired(run: &impl Run, now: &str) -> Result<(), Error> {
    let binds = vec![bind("now", now.to_owned())];
    run.run(format!("DELETE {TABLE} WHERE expires < $now RETURN NONE"), binds).await.map(drop)
}
