//! From the first form of the tables, in which the row of a plugin held its component, and there was one version of each.

use super::{
    PluginRow, put,
    versions::{self, Code, VersionRow},
};
use crate::{
    Error, Store,
    row::{Row, rows},
    transaction::Run,
};

/// Brings old rows into today's form. What a version says about itself is not known here; whoever loads it writes it down.
///
/// # Errors
/// What the database reports; nothing is changed then.
pub async fn migrate(store: &Store) -> Result<(), Error> {
    let text = "SELECT *, record::id(id) AS key FROM _plugins WHERE component != NONE";
    let values = store.run(text.to_owned(), Vec::new()).await?;
    let old: Vec<_> = values.into_iter().flat_map(rows).collect();
    if old.is_empty() {
        return Ok(());
    }
    let transaction = store.begin().await?;
    for row in old {
        let mut row = Row::new(row)?;
        let name = row.text("key")?;
        // A row that lost one of these is nothing that could run; it is read as far as it goes, and shown as broken.
        let (Some(digest), Ok(component)) = (row.optional_text("digest"), row.bytes("component")) else { continue };
        let installed = row.optional_text("installed").unwrap_or_default();
        let version = VersionRow {
            plugin: name.clone(),
            digest: digest.clone(),
            grants: row.optional_text("grants").unwrap_or_default(),
            installed: installed.clone(),
            ..VersionRow::default()
        };
        versions::put(&transaction, &version).await?;
        versions::put_code(&transaction, &digest, &Code { component, source: None }).await?;
        let enabled = row.flag("enabled");
        put(&transaction, &PluginRow { name, active: Some(digest), enabled, installed, ..PluginRow::default() }).await?;
    }
    match transaction.commit().await {
        // Another node came first, with the same.
        Err(Error::Conflict) => Ok(()),
        committed => committed,
    }
}
