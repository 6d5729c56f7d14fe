//! The definitions of collections, as rows of `_collections`: one JSON text each, so that what is read is exactly what was written.

use model::collection::Definition;
use surrealdb::types::Value as Stored;

use crate::{
    Error,
    row::{Row, record_id, rows},
    transaction::{Run, bind},
};

const TABLE: &str = "_collections";

/// Every definition, by name.
///
/// # Errors
/// [`Error::Corrupt`] when one cannot be read.
pub async fn all(run: &impl Run) -> Result<Vec<Definition>, Error> {
    let values = run.run(format!("SELECT * FROM {TABLE} ORDER BY id"), Vec::new()).await?;
    values.into_iter().flat_map(rows).map(definition).collect()
}

fn definition(row: Stored) -> Result<Definition, Error> {
    let text = Row::new(row)?.text("definition")?;
    serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Writes a definition, new or changed.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, definition: &Definition) -> Result<(), Error> {
    let text = serde_json::to_string(definition).map_err(|error| Error::Corrupt(error.to_string()))?;
    let binds = vec![bind("id", record_id(TABLE, &definition.name)), bind("text", text)];
    run.run("UPSERT $id CONTENT { definition: $text } RETURN NONE".to_owned(), binds).await.map(drop)
}

/// Removes a definition.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, name: &str) -> Result<(), Error> {
    run.run("DELETE $id RETURN NONE".to_owned(), vec![bind("id", record_id(TABLE, name))]).await.map(drop)
}
