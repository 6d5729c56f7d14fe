//! Plugins as they are shown to whoever may look at them.

use std::collections::BTreeSet;

use model::Action;
use serde_json::{Value as Json, json};
use store::plugins::{settings as stored, versions, versions::VersionRow};

use super::{
    OBJECT,
    installed::{Installed, State},
    rulebook::Entry,
    settings, unknown,
};
use crate::{Error, call::Call};

/// Every installed plugin, the oldest installation first.
///
/// # Errors
/// The policies.
pub fn list(call: &Call) -> Result<Vec<Json>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    Ok(call.world.plugins.entries().iter().map(summary).collect())
}

/// One plugin with its versions and settings.
///
/// # Errors
/// The policies, or no such plugin.
pub async fn get(call: &Call, name: &str) -> Result<Json, Error> {
    call.authorize(Action::Read, OBJECT)?;
    shown(call, name).await
}

/// The same with the JavaScript text that the version was made of: the one that runs, or else the one that is watched.
///
/// # Errors
/// The policies, or no such plugin.
pub async fn get_with_source(call: &Call, name: &str) -> Result<Json, Error> {
    let mut plugin = get(call, name).await?;
    let digest = call.world.plugins.entry(name).and_then(Entry::foremost).map(|installed| installed.digest());
    let code = versions::code(&call.app.store, digest.unwrap_or_default()).await?;
    plugin["source"] = code.and_then(|code| code.source).into();
    Ok(plugin)
}

/// What somebody sees of a version that was just installed: it may be shown to whoever may install it.
///
/// # Errors
/// The database, or a plugin that is gone again.
pub async fn installed(call: &Call, installed: &Installed) -> Result<Json, Error> {
    shown(&call.current(), installed.name()).await
}

/// One plugin for somebody who may see it.
pub(super) async fn shown(call: &Call, name: &str) -> Result<Json, Error> {
    let entry = call.world.plugins.entry(name).ok_or_else(|| unknown(name))?;
    let mut plugin = summary(entry);
    let settings = stored::get(&call.app.store, name).await?;
    plugin["wishes"] = entry.foremost().map_or(Json::Null, |installed| json!(installed.manifest().grants));
    plugin["versions"] = entry.versions.iter().map(|version| shown_version(entry, version)).collect();
    let versions = [&entry.active, &entry.shadow].into_iter().flatten();
    let warnings: BTreeSet<String> = versions.flat_map(|installed| installed.warnings(&call.world.catalog)).collect();
    plugin["warnings"] = json!(warnings);
    plugin["settings"] = json!(settings::shown(&call.app.vault, entry, settings.as_deref()));
    Ok(plugin)
}

/// One plugin without what has to be looked up.
pub(super) fn summary(entry: &Entry) -> Json {
    let foremost = entry.foremost();
    let version = entry.active.as_ref().map(|installed| &installed.manifest().version);
    let mut plugin = json!({
        "name": entry.row.name,
        "version": version,
        "digest": entry.row.active,
        "state": foremost.map_or("broken", |installed| state(installed)),
        "enabled": entry.row.enabled,
        "installed": entry.row.installed,
        "previous": entry.row.previous,
        "shadow": entry.row.shadow,
        "grants": foremost.map(|installed| installed.grants()),
        "manifest": foremost.map(|installed| installed.manifest()),
    });
    let broken = [&entry.active, &entry.shadow].into_iter().flatten().find_map(|installed| installed.broken());
    if let Some(reason) = broken {
        plugin["broken"] = reason.into();
    }
    plugin
}

fn state(installed: &Installed) -> &'static str {
    match &installed.state {
        State::Disabled => "disabled",
        State::Broken(_) => "broken",
        State::Ready(_) if installed.shadow => "watched",
        State::Ready(_) => "running",
    }
}

fn shown_version(entry: &Entry, version: &VersionRow) -> Json {
    let is = |digest: &Option<String>| digest.as_ref() == Some(&version.digest);
    json!({
        "digest": version.digest,
        "version": version.version,
        "active": is(&entry.row.active),
        "previous": is(&entry.row.previous),
        "shadow": is(&entry.row.shadow),
        "javascript": version.text.is_some(),
        "grants": serde_json::from_str::<Json>(&version.grants).unwrap_or_default(),
        "installed": version.installed,
        "by": version.by,
    })
}
