//! The versions of plugins that are kept. What describes a version and what it is made of are two rows, because a look at all versions must
//! not read megabytes of code.

use std::ops::Bound;

use surrealdb::types::{Bytes, RecordId, RecordIdKey, RecordIdKeyRange, SurrealValue, Value as Stored};

use crate::{
    Error,
    row::{Row, first_row, record_id, rows},
    transaction::{Run, bind},
};

const TABLE: &str = "_plugin_versions";

/// A version of a plugin, without its code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionRow {
    /// The plugin.
    pub plugin: String,
    /// The blake3 digest of the component, in hex.
    pub digest: String,
    /// The plugin's own version.
    pub version: String,
    /// What it says about itself: JSON, as the plugins crate writes it; empty if nobody has loaded it yet.
    pub manifest: String,
    /// What it may touch: JSON, as the plugins crate writes it.
    pub grants: String,
    /// The digest of the JavaScript text that it was made of here, if it was.
    pub text: Option<String>,
    /// When it was installed last, a canonical datetime.
    pub installed: String,
    /// Who installed it.
    pub by: String,
}

/// What a version is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// The component.
    pub component: Vec<u8>,
    /// The JavaScript text that it was made of.
    pub source: Option<String>,
}

/// Every version of every plugin, in the order of plugins and digests. A row that does not say of what it is, is none.
///
/// # Errors
/// What the database reports.
pub async fn all(run: &impl Run) -> Result<Vec<VersionRow>, Error> {
    range(run, "version ").await
}

/// Every version of a plugin.
///
/// # Errors
/// What the database reports.
pub async fn of(run: &impl Run, plugin: &str) -> Result<Vec<VersionRow>, Error> {
    range(run, &format!("version {plugin} ")).await
}

/// The rows whose keys begin with this text, which ends with a space.
async fn range(run: &impl Run, prefix: &str) -> Result<Vec<VersionRow>, Error> {
    let key = |text: String| RecordIdKey::String(text);
    // The sign after the space: no key between the two begins otherwise.
    let end = format!("{}!", prefix.trim_end());
    let ids = RecordIdKeyRange { start: Bound::Included(key(prefix.to_owned())), end: Bound::Excluded(key(end)) };
    let range = RecordId::new(TABLE, RecordIdKey::Range(Box::new(ids))).into_value();
    let values = run.run("SELECT * FROM $range".to_owned(), vec![bind("range", range)]).await?;
    Ok(values.into_iter().flat_map(rows).filter_map(version).collect())
}

fn version(row: Stored) -> Option<VersionRow> {
    let mut row = Row::new(row).ok()?;
    Some(VersionRow {
        plugin: row.optional_text("plugin")?,
        digest: row.optional_text("digest")?,
        version: row.optional_text("version").unwrap_or_default(),
        manifest: row.optional_text("manifest").unwrap_or_default(),
        grants: row.optional_text("grants").unwrap_or_default(),
        text: row.optional_text("text"),
        installed: row.optional_text("installed").unwrap_or_default(),
        by: row.optional_text("by").unwrap_or_default(),
    })
}

/// Writes what describes a version.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, version: &VersionRow) -> Result<(), Error> {
    let text = "UPSERT $id CONTENT { plugin: $plugin, digest: $digest, version: $version, manifest: $manifest, grants: $grants,
        text: $text, installed: $installed, by: $by } RETURN NONE";
    let binds = vec![
        bind("id", record_id(TABLE, &version_key(&version.plugin, &version.digest))),
        bind("plugin", version.plugin.clone()),
        bind("digest", version.digest.clone()),
        bind("version", version.version.clone()),
        bind("manifest", version.manifest.clone()),
        bind("grants", version.grants.clone()),
        bind("text", version.text.clone()),
        bind("installed", version.installed.clone()),
        bind("by", version.by.clone()),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// What a version is made of.
///
/// # Errors
/// [`Error::Corrupt`] when it cannot be read.
pub async fn code(run: &impl Run, digest: &str) -> Result<Option<Code>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id(TABLE, &code_key(digest)))]).await?;
    let row = values.into_iter().next().and_then(first_row);
    let read = |row| {
        let mut row = Row::new(row)?;
        Ok(Code { component: row.bytes("component")?, source: row.optional_text("source") })
    };
    row.map(read).transpose()
}

/// Writes what a version is made of.
///
/// # Errors
/// What the database reports.
pub async fn put_code(run: &impl Run, digest: &str, code: &Code) -> Result<(), Error> {
    let binds = vec![
        bind("id", record_id(TABLE, &code_key(digest))),
        bind("component", Stored::Bytes(Bytes::from(code.component.clone()))),
        bind("source", code.source.clone()),
    ];
    run.run("UPSERT $id CONTENT { component: $component, source: $source } RETURN NONE".to_owned(), binds).await.map(drop)
}

/// Removes a version with its code.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, plugin: &str, digest: &str) -> Result<(), Error> {
    let binds = vec![bind("version", record_id(TABLE, &version_key(plugin, digest))), bind("code", record_id(TABLE, &code_key(digest)))];
    run.run("DELETE $version RETURN NONE; DELETE $code RETURN NONE".to_owned(), binds).await.map(drop)
}

/// Names of plugins have no space, so the key is unambiguous.
fn version_key(plugin: &str, digest: &str) -> String {
    format!("version {plugin} {digest}")
}

fn code_key(digest: &str) -> String {
    format!("code {digest}")
}
