//! The order that somebody gave to the rules of a collection. Rules that are not listed have the order of their own.

use surrealdb::types::{Array, Value as Stored};

use crate::{
    Error,
    row::{Row, record_id, rows},
    transaction::{Run, bind},
};

const TABLE: &str = "_rule_order";

/// Every collection with a list of rules, each as `plugin/rule`.
///
/// # Errors
/// What the database reports.
pub async fn all(run: &impl Run) -> Result<Vec<(String, Vec<String>)>, Error> {
    let values = run.run(format!("SELECT * FROM {TABLE}"), Vec::new()).await?;
    let read = |row| {
        let mut row = Row::new(row).ok()?;
        let rules = row.take("rules").map(rows).unwrap_or_default();
        let rules = rules.into_iter().filter_map(|rule| if let Stored::String(rule) = rule { Some(rule) } else { None });
        Some((row.optional_text("collection")?, rules.collect()))
    };
    Ok(values.into_iter().flat_map(rows).filter_map(read).collect())
}

/// Writes the list of a collection; an empty one is the same as none.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, collection: &str, rules: &[String]) -> Result<(), Error> {
    let id = bind("id", record_id(TABLE, collection));
    if rules.is_empty() {
        return run.run("DELETE $id RETURN NONE".to_owned(), vec![id]).await.map(drop);
    }
    let rules = Stored::Array(Array::from(rules.iter().cloned().map(Stored::String).collect::<Vec<_>>()));
    let binds = vec![id, bind("collection", collection.to_owned()), bind("rules", rules)];
    run.run("UPSERT $id CONTENT { collection: $collection, rules: $rules } RETURN NONE".to_owned(), binds).await.map(drop)
}
