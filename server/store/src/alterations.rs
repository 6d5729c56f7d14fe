//! Changes of collections with records: what is under way, what came of it, and which tables are left over. What there is to tell is one text
//! of the application.

use surrealdb::types::Value as Stored;

use crate::{
    Error,
    row::{Row, first_row, record_id, rows},
    transaction::{Run, bind},
};

const TABLE: &str = "_alterations";

/// One change of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterationRow {
    /// A ULID.
    pub id: String,
    /// The collection.
    pub collection: String,
    /// A word of the application.
    pub state: String,
    /// Tables that are to go when it is over, and for the old records some time after.
    pub leftovers: Vec<String>,
    /// When it was last known to go on, a canonical datetime.
    pub touched: String,
    /// Everything else.
    pub text: String,
}

fn alteration(row: Stored) -> Result<AlterationRow, Error> {
    let mut row = Row::new(row)?;
    let leftovers = row.optional_text("leftovers").unwrap_or_default();
    Ok(AlterationRow {
        id: row.text("key")?,
        collection: row.text("collection")?,
        state: row.text("state")?,
        leftovers: leftovers.split_whitespace().map(str::to_owned).collect(),
        touched: row.text("touched")?,
        text: row.text("text")?,
    })
}

/// One of them.
///
/// # Errors
/// What the database reports.
pub async fn get(run: &impl Run, id: &str) -> Result<Option<AlterationRow>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id(TABLE, id))]).await?;
    values.into_iter().next().and_then(first_row).map(alteration).transpose()
}

/// Writes one, new or changed.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, alteration: &AlterationRow) -> Result<(), Error> {
    let text =
        "UPSERT $id CONTENT { key: $key, collection: $collection, state: $state, leftovers: $leftovers, touched: $touched, text: $text }
        RETURN NONE";
    let binds = vec![
        bind("id", record_id(TABLE, &alteration.id)),
        bind("key", alteration.id.clone()),
        bind("collection", alteration.collection.clone()),
        bind("state", alteration.state.clone()),
        bind("leftovers", alteration.leftovers.join(" ")),
        bind("touched", alteration.touched.clone()),
        bind("text", alteration.text.clone()),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Those of a collection, the newest first.
///
/// # Errors
/// What the database reports.
pub async fn list(run: &impl Run, collection: &str, limit: usize) -> Result<Vec<AlterationRow>, Error> {
    let text = format!("SELECT * FROM {TABLE} WHERE collection = $collection ORDER BY key DESC LIMIT {limit}");
    let values = run.run(text, vec![bind("collection", collection.to_owned())]).await?;
    values.into_iter().flat_map(rows).map(alteration).collect()
}

/// Those that have left something over.
///
/// # Errors
/// What the database reports.
pub async fn unfinished(run: &impl Run) -> Result<Vec<AlterationRow>, Error> {
    let values = run.run(format!("SELECT * FROM {TABLE} WHERE leftovers != ''"), Vec::new()).await?;
    values.into_iter().flat_map(rows).map(alteration).collect()
}

/// Forgets those that have ended before a moment and left nothing over.
///
/// # Errors
/// What the database reports.
pub async fn remove_before(run: &impl Run, moment: &str) -> Result<(), Error> {
    let binds = vec![bind("moment", moment.to_owned())];
    run.run(format!("DELETE {TABLE} WHERE leftovers = '' AND touched < $moment RETURN NONE"), binds).await.map(drop)
}
