//! Small facts that the server keeps for itself, by name: the format of the database, the secret that signs tokens, the loaded demo.

use crate::{
    Error,
    row::{Row, first_row, record_id},
    transaction::{Run, bind},
};

const TABLE: &str = "_settings";

/// The text kept under a name.
///
/// # Errors
/// What the database reports.
pub async fn get(run: &impl Run, name: &str) -> Result<Option<String>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id(TABLE, name))]).await?;
    let row = values.into_iter().next().and_then(first_row);
    row.map(|row| Row::new(row)?.text("text")).transpose()
}

/// Keeps a text under a name.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, name: &str, text: &str) -> Result<(), Error> {
    let binds = vec![bind("id", record_id(TABLE, name)), bind("text", text.to_owned())];
    run.run("UPSERT $id CONTENT { text: $text } RETURN NONE".to_owned(), binds).await.map(drop)
}

/// The version counters by which nodes notice that the catalog, the policies or the plugins changed.
pub mod versions {
    use super::{Error, Row, Run, bind, first_row, record_id};

    /// Reads a counter; 0 if nothing was counted yet.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn get(run: &impl Run, name: &str) -> Result<u64, Error> {
        let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id("_versions", name))]).await?;
        match values.into_iter().next().and_then(first_row) {
            Some(row) => Ok(Row::new(row)?.integer("count")?.unsigned_abs()),
            None => Ok(0),
        }
    }

    /// Counts one more in the same transaction as the change itself, and returns the new count.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn advance(run: &impl Run, name: &str) -> Result<u64, Error> {
        let next = get(run, name).await? + 1;
        let count = i64::try_from(next).unwrap_or(i64::MAX);
        let binds = vec![bind("id", record_id("_versions", name)), bind("count", count)];
        run.run("UPSERT $id CONTENT { count: $count } RETURN NONE".to_owned(), binds).await?;
        Ok(next)
    }
}
