//! What the operator has set for each plugin: a text that only the server understands, with secrets encrypted in it.

use crate::{
    Error,
    row::{Row, record_id, rows},
    transaction::{Run, bind},
};

const TABLE: &str = "_plugin_settings";

/// The settings of every plugin that has some: its name and the text, which is empty if it is lost.
///
/// # Errors
/// What the database reports.
pub async fn all(run: &impl Run) -> Result<Vec<(String, String)>, Error> {
    let values = run.run(format!("SELECT * FROM {TABLE}"), Vec::new()).await?;
    let read = |row| {
        let mut row = Row::new(row).ok()?;
        Some((row.optional_text("plugin")?, row.optional_text("text").unwrap_or_default()))
    };
    Ok(values.into_iter().flat_map(rows).filter_map(read).collect())
}

/// The settings of a plugin, if there are any; the text is empty if it is lost.
///
/// # Errors
/// What the database reports.
pub async fn get(run: &impl Run, plugin: &str) -> Result<Option<String>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id(TABLE, plugin))]).await?;
    let row = values.into_iter().flat_map(rows).next();
    row.map(|row| Ok(Row::new(row)?.optional_text("text").unwrap_or_default())).transpose()
}

/// Writes the settings of a plugin.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, plugin: &str, text: &str) -> Result<(), Error> {
    let binds = vec![bind("id", record_id(TABLE, plugin)), bind("plugin", plugin.to_owned()), bind("text", text.to_owned())];
    run.run("UPSERT $id CONTENT { plugin: $plugin, text: $text } RETURN NONE".to_owned(), binds).await.map(drop)
}

/// Removes the settings of a plugin, if there are any.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, plugin: &str) -> Result<(), Error> {
    run.run("DELETE $id RETURN NONE".to_owned(), vec![bind("id", record_id(TABLE, plugin))]).await.map(drop)
}
