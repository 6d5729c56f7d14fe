//! The definitions of collections, as rows of `_collections`: one JSON text each, so that what is read is exactly what was written, and beside
//! it where the records are.

use model::{
    Collection,
    collection::{Definition, Place},
};
use surrealdb::types::Value as Stored;

use crate::{
    Error,
    row::{Row, record_id, rows},
    transaction::{Run, bind},
};

const TABLE: &str = "_collections";

/// Every definition, by name, with the place of its records where that is not the usual one.
///
/// # Errors
/// [`Error::Corrupt`] when one cannot be read.
pub async fn all(run: &impl Run) -> Result<Vec<(Definition, Option<Place>)>, Error> {
    let values = run.run(format!("SELECT * FROM {TABLE} ORDER BY id"), Vec::new()).await?;
    values.into_iter().flat_map(rows).map(definition).collect()
}

fn definition(row: Stored) -> Result<(Definition, Option<Place>), Error> {
    let mut row = Row::new(row)?;
    let text = row.text("definition")?;
    let definition = serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string()))?;
    let place = row.optional_text("place").map(|table| Place { table, marks: row.optional_text("marks") });
    Ok((definition, place))
}

/// Writes the definition of a collection, new or changed, and where its records are.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, collection: &Collection) -> Result<(), Error> {
    let definition = collection.definition();
    let text = serde_json::to_string(definition).map_err(|error| Error::Corrupt(error.to_string()))?;
    let binds = vec![
        bind("id", record_id(TABLE, &definition.name)),
        bind("text", text),
        bind("place", collection.table().to_owned()),
        bind("marks", collection.marks().map(str::to_owned)),
    ];
    run.run("UPSERT $id CONTENT { definition: $text, place: $place, marks: $marks } RETURN NONE".to_owned(), binds).await.map(drop)
}

/// Removes a definition.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, name: &str) -> Result<(), Error> {
    run.run("DELETE $id RETURN NONE".to_owned(), vec![bind("id", record_id(TABLE, name))]).await.map(drop)
}
