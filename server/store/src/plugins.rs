//! Installed plugins: which version of each runs, every version that is kept, their settings, and the order of rules. The store keeps the
//! texts that describe a version and does not know what they mean.

mod migration;

pub mod order;

pub mod settings;

pub mod versions;

pub use migration::migrate;

use surrealdb::types::Value as Stored;

use crate::{
    Error,
    row::{Row, record_id, rows},
    transaction::{Run, bind},
};

/// An installed plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginRow {
    /// The name, unique.
    pub name: String,
    /// The digest of the version whose rules run; none if there is only one to be watched.
    pub active: Option<String>,
    /// The version that ran before that one.
    pub previous: Option<String>,
    /// The version that is only watched.
    pub shadow: Option<String>,
    /// Whether anything of it runs.
    pub enabled: bool,
    /// When it was first installed, a canonical datetime; rules of the same order run in the order of installation.
    pub installed: String,
    /// Counts the changes of this row, so that what could not be loaded is tried again after each.
    pub revision: u64,
}

/// Every installed plugin, the oldest installation first. A row that lost a column is read as far as it goes: what is wrong with a plugin must
/// not hide the others, nor hide from anybody that there is one.
///
/// # Errors
/// What the database reports.
pub async fn all(run: &impl Run) -> Result<Vec<PluginRow>, Error> {
    let text = "SELECT *, record::id(id) AS key OMIT component FROM _plugins ORDER BY installed, id";
    let values = run.run(text.to_owned(), Vec::new()).await?;
    values.into_iter().flat_map(rows).map(plugin).collect()
}

fn plugin(row: Stored) -> Result<PluginRow, Error> {
    let mut row = Row::new(row)?;
    Ok(PluginRow {
        name: row.text("key")?,
        active: row.optional_text("active"),
        previous: row.optional_text("previous"),
        shadow: row.optional_text("shadow"),
        enabled: !matches!(row.take("enabled"), Some(Stored::Bool(false))),
        installed: row.optional_text("installed").unwrap_or_default(),
        revision: row.integer("revision").map_or(0, i64::unsigned_abs),
    })
}

/// Writes the row of a plugin.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, plugin: &PluginRow) -> Result<(), Error> {
    let text = "UPSERT $id CONTENT { name: $name, active: $active, previous: $previous, shadow: $shadow, enabled: $enabled,
        installed: $installed, revision: $revision } RETURN NONE";
    let binds = vec![
        bind("id", record_id("_plugins", &plugin.name)),
        bind("name", plugin.name.clone()),
        bind("active", plugin.active.clone()),
        bind("previous", plugin.previous.clone()),
        bind("shadow", plugin.shadow.clone()),
        bind("enabled", plugin.enabled),
        bind("installed", plugin.installed.clone()),
        bind("revision", i64::try_from(plugin.revision).unwrap_or(i64::MAX)),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Removes a plugin with every version and its settings; true if it was there.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, name: &str) -> Result<bool, Error> {
    for version in versions::of(run, name).await? {
        versions::remove(run, name, &version.digest).await?;
    }
    settings::remove(run, name).await?;
    let values = run.run("DELETE $id RETURN BEFORE".to_owned(), vec![bind("id", record_id("_plugins", name))]).await?;
    Ok(values.into_iter().flat_map(rows).next().is_some())
}

#[cfg(test)]
mod tests;
