//! Installed plugins: the component itself and what the operator decided about it.

use surrealdb::types::{Bytes, Value as Stored};

use crate::{
    Error,
    row::{Row, record_id, rows},
    transaction::{Run, bind},
};

/// An installed plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRow {
    /// The name, unique.
    pub name: String,
    /// The blake3 digest of the component, in hex.
    pub digest: String,
    /// The component.
    pub component: Vec<u8>,
    /// What it may touch: JSON, as the plugins crate writes it.
    pub grants: String,
    /// Whether its rules run.
    pub enabled: bool,
    /// When it was installed, a canonical datetime; rules of the same order run in the order of installation.
    pub installed: String,
}

/// Every installed plugin, the oldest installation first.
///
/// # Errors
/// [`Error::Corrupt`] when one cannot be read.
pub async fn all(run: &impl Run) -> Result<Vec<PluginRow>, Error> {
    let values = run.run("SELECT * FROM _plugins ORDER BY installed, id".to_owned(), Vec::new()).await?;
    values.into_iter().flat_map(rows).map(plugin).collect()
}

fn plugin(row: Stored) -> Result<PluginRow, Error> {
    let mut row = Row::new(row)?;
    Ok(PluginRow {
        name: row.text("name")?,
        digest: row.text("digest")?,
        component: row.bytes("component")?,
        grants: row.text("grants")?,
        enabled: row.flag("enabled"),
        installed: row.text("installed")?,
    })
}

/// Installs a plugin or replaces the one of that name.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, plugin: &PluginRow) -> Result<(), Error> {
    let text = "UPSERT $id CONTENT { name: $name, digest: $digest, component: $component, grants: $grants, enabled: $enabled,
        installed: $installed } RETURN NONE";
    let binds = vec![
        bind("id", record_id("_plugins", &plugin.name)),
        bind("name", plugin.name.clone()),
        bind("digest", plugin.digest.clone()),
        bind("component", Stored::Bytes(Bytes::from(plugin.component.clone()))),
        bind("grants", plugin.grants.clone()),
        bind("enabled", plugin.enabled),
        bind("installed", plugin.installed.clone()),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Removes a plugin; true if it was there.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, name: &str) -> Result<bool, Error> {
    let binds = vec![bind("id", record_id("_plugins", name))];
    let values = run.run("DELETE $id RETURN BEFORE".to_owned(), binds).await?;
    Ok(values.into_iter().flat_map(rows).next().is_some())
}
