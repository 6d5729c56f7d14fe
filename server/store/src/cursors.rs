//! Positions in lists that are too long for a cursor to carry along, each under a name that it can carry.

use crate::{
    Error,
    row::{Row, first_row, record_id},
    transaction::{Run, bind},
};

const TABLE: &str = "_cursors";

/// Keeps a position at least until `expires`, a canonical datetime.
///
/// # Errors
/// What the database reports.
pub async fn keep(run: &impl Run, name: &str, position: &str, expires: &str) -> Result<(), Error> {
    let text = "UPSERT $id CONTENT { position: $position, expires: $expires } RETURN NONE";
    let binds = vec![bind("id", record_id(TABLE, name)), bind("position", position.to_owned()), bind("expires", expires.to_owned())];
    match run.run(text.to_owned(), binds).await {
        // Somebody else keeps the same position under the same name in this moment.
        Ok(_) | Err(Error::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A position by its name; none if it is not kept, or not any more.
///
/// # Errors
/// What the database reports.
pub async fn get(run: &impl Run, name: &str) -> Result<Option<String>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id(TABLE, name))]).await?;
    values.into_iter().next().and_then(first_row).map(|row| Row::new(row)?.text("position")).transpose()
}

/// Forgets what has expired.
///
/// # Errors
/// What the database reports.
pub async fn remove_expired(run: &impl Run, now: &str) -> Result<(), Error> {
    run.run(format!("DELETE {TABLE} WHERE expires <= $now RETURN NONE"), vec![bind("now", now.to_owned())]).await.map(drop)
}
