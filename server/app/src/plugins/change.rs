//! The stories of what becomes of a plugin that is there: switched off and on, upgraded and rolled back to versions that are kept, watched,
//! granted something else, removed.

use model::{Action, Pointer, Violation};
use plugins::{Grants, Manifest};
use serde::{Deserialize, Deserializer};
use store::{
    Transaction,
    plugins::{
        PluginRow,
        versions::{self, VersionRow},
    },
};

use super::{
    OBJECT,
    grants::{cover, sensible},
    install::stored_grants,
    load, look,
    rulebook::Entry,
    settings, unknown,
};
use crate::{Error, call::Call, world};

/// How many versions of a plugin are kept.
const VERSIONS_MAX: usize = 10;

/// The least part of a digest that names a version.
const DIGEST_MIN: usize = 12;

/// A change as somebody asks for it; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeDraft {
    /// Whether anything of the plugin runs.
    #[serde(default)]
    enabled: Option<bool>,
    /// The digest, its beginning or the version of what shall run.
    #[serde(default)]
    version: Option<String>,
    /// The same for what is only watched; null for nothing.
    #[serde(default, deserialize_with = "given")]
    shadow: Option<Option<String>>,
    /// What the versions that this change names may touch; without any, the version that runs.
    #[serde(default)]
    grants: Option<Grants>,
}

/// Tells null from absent.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What a change comes to.
struct Planned {
    row: PluginRow,
    /// Versions that get other grants.
    granted: Vec<VersionRow>,
    /// Digests that must be able to run.
    needed: Vec<String>,
}

/// Changes a plugin, and shows it as it is then.
///
/// # Errors
/// The policies, no such plugin or version, a version that cannot run, or wishes that are not granted.
pub async fn change(call: &Call, name: &str, draft: &ChangeDraft) -> Result<serde_json::Value, Error> {
    carry_out(call, name, |call, entry| planned(call, entry, draft)).await
}

/// Goes back to the version that ran before, and shows the plugin. Doing it again goes forward.
///
/// # Errors
/// The policies, no such plugin, or no version before.
pub async fn roll_back(call: &Call, name: &str) -> Result<serde_json::Value, Error> {
    carry_out(call, name, |call, entry| {
        let Some(previous) = entry.row.previous.clone().filter(|previous| entry.version(previous).is_some()) else {
            let message = format!("there is no version of `{name}` that ran before");
            return Err(refused(Pointer::root(), "plugin.no_previous", message));
        };
        planned(call, entry, &ChangeDraft { version: Some(previous), ..ChangeDraft::default() })
    })
    .await
}

async fn carry_out(call: &Call, name: &str, plan: impl Fn(&Call, &Entry) -> Result<Planned, Error>) -> Result<serde_json::Value, Error> {
    call.authorize(Action::Update, OBJECT)?;
    let entry = call.world.plugins.entry(name).ok_or_else(|| unknown(name))?;
    // What will run is loaded while everybody goes on writing.
    for digest in plan(call, entry)?.needed {
        load::prepare_stored(call, &digest).await?;
    }
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Update, OBJECT)?;
    let entry = call.world.plugins.entry(name).ok_or_else(|| unknown(name))?;
    let planned = plan(call, entry)?;
    let transaction = call.app.store.begin().await?;
    for version in &planned.granted {
        versions::put(&transaction, version).await?;
    }
    let row = planned.row;
    tracing::info!(request = %call.id, plugin = name, by = %call.caller.principal, enabled = row.enabled, active = row.active,
        shadow = row.shadow, granted = planned.granted.len(), "changed a plugin");
    commit(call, transaction, row).await?;
    look::shown(&call.current(), name).await
}

fn planned(call: &Call, entry: &Entry, draft: &ChangeDraft) -> Result<Planned, Error> {
    let mut row = touched(entry);
    let (mut selected, mut needed) = (Vec::new(), Vec::new());
    if let Some(Some(wanted)) = &draft.shadow {
        let version = find(entry, wanted, "shadow")?;
        watch(&mut row, &version.digest, "shadow")?;
        selected.push(version);
    }
    if draft.shadow == Some(None) {
        row.shadow = None;
    }
    if let Some(wanted) = &draft.version {
        let version = find(entry, wanted, "version")?;
        activate(&mut row, &version.digest);
        selected.push(version);
    }
    if row.active.is_none() && row.shadow.is_none() {
        let message = "nothing would be left of the plugin; remove it instead".to_owned();
        return Err(refused(Pointer::field("shadow"), "plugin.version", message));
    }
    needed.extend(selected.iter().map(|version| version.digest.clone()));
    if let Some(enabled) = draft.enabled {
        row.enabled = enabled;
        if enabled {
            needed.extend([&row.active, &row.shadow].into_iter().flatten().cloned());
        }
    }
    if selected.is_empty() && draft.grants.is_some() {
        let running = row.active.as_ref().or(row.shadow.as_ref());
        selected.extend(running.and_then(|digest| entry.version(digest)));
    }
    let granted = granted(call, &selected, draft.grants.as_ref())?;
    Ok(Planned { row, granted, needed })
}

/// The versions that get other grants. Whatever is selected must have what it wishes.
fn granted(call: &Call, selected: &[&VersionRow], grants: Option<&Grants>) -> Result<Vec<VersionRow>, Error> {
    let mut violations = grants.map(|grants| sensible(call, grants, "grants")).unwrap_or_default();
    let mut changed = Vec::new();
    for version in selected {
        let held = || serde_json::from_str(&version.grants).unwrap_or_default();
        let grants = grants.cloned().unwrap_or_else(held);
        if let Ok(manifest) = serde_json::from_str::<Manifest>(&version.manifest) {
            violations.0.extend(cover(&manifest.grants, &grants, "grants").0);
        }
        let version = VersionRow { grants: stored_grants(&grants)?, ..(*version).clone() };
        changed.push(version);
    }
    let changed = if grants.is_some() { changed } else { Vec::new() };
    violations.or(changed).map_err(|violations| Error::Unacceptable { kind: "plugin", violations })
}

/// The version that somebody means: its digest, the beginning of that, or what the version calls itself.
fn find<'a>(entry: &'a Entry, wanted: &str, pointer: &str) -> Result<&'a VersionRow, Error> {
    let by_digest = |version: &&VersionRow| wanted.len() >= DIGEST_MIN && version.digest.starts_with(wanted);
    let by_name = |version: &&VersionRow| version.version == wanted;
    let mut found: Vec<_> = entry.versions.iter().filter(by_digest).collect();
    if found.is_empty() {
        found = entry.versions.iter().filter(by_name).collect();
    }
    match found[..] {
        [version] => Ok(version),
        [] => {
            let message = format!("no version `{wanted}` of `{}` is kept", entry.row.name);
            Err(refused(Pointer::field(pointer), "plugin.version_unknown", message))
        }
        _ => {
            let message = format!("several versions of `{}` are called `{wanted}`; name one by its digest", entry.row.name);
            Err(refused(Pointer::field(pointer), "plugin.version_ambiguous", message))
        }
    }
}

fn refused(pointer: Pointer, code: &str, message: String) -> Error {
    Error::Unacceptable { kind: "plugin", violations: Violation::new(pointer, code, message).into() }
}

/// The row of a plugin that is about to be changed.
pub(super) fn touched(entry: &Entry) -> PluginRow {
    PluginRow { revision: entry.row.revision + 1, ..entry.row.clone() }
}

/// Lets a version run.
pub(super) fn activate(row: &mut PluginRow, digest: &str) {
    if row.active.as_deref() != Some(digest) {
        row.previous = row.active.replace(digest.to_owned());
    }
    // What runs need not be watched.
    row.shadow.take_if(|shadow| shadow == digest);
}

/// Lets a version be watched.
pub(super) fn watch(row: &mut PluginRow, digest: &str, pointer: &str) -> Result<(), Error> {
    if row.active.as_deref() == Some(digest) {
        let message = "this version runs already, there is nothing to compare it with".to_owned();
        return Err(refused(Pointer::field(pointer), "plugin.version", message));
    }
    row.shadow = Some(digest.to_owned());
    Ok(())
}

/// Forgets the oldest versions, but none that is in use.
pub(super) async fn prune(transaction: &Transaction, row: &PluginRow) -> Result<(), Error> {
    let mut kept = versions::of(transaction, &row.name).await?;
    kept.sort_by(|one, other| other.installed.cmp(&one.installed));
    let in_use =
        |version: &VersionRow| [&row.active, &row.previous, &row.shadow].into_iter().flatten().any(|digest| *digest == version.digest);
    let mut room = VERSIONS_MAX.saturating_sub(kept.iter().filter(|version| in_use(version)).count());
    for version in kept.iter().filter(|version| !in_use(version)) {
        if room > 0 {
            room -= 1;
        } else {
            versions::remove(transaction, &version.plugin, &version.digest).await?;
        }
    }
    Ok(())
}

/// Ends a change: the row is written with all else of the transaction, settings that are secrets from now on are encrypted, and what all that
/// means is in force when this is done, here and soon on the other nodes.
pub(super) async fn commit(call: &Call, transaction: Transaction, row: PluginRow) -> Result<(), Error> {
    store::plugins::put(&transaction, &row).await?;
    settings::seal(call, &transaction, &row).await?;
    world::advance(&transaction, call).await?;
    transaction.commit().await?;
    call.app.refresh().await
}

/// Removes a plugin with all that is kept of it, and shows it as it was.
///
/// # Errors
/// The policies, or no such plugin.
pub async fn remove(call: &Call, name: &str) -> Result<serde_json::Value, Error> {
    call.authorize(Action::Delete, OBJECT)?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Delete, OBJECT)?;
    let entry = call.world.plugins.entry(name).ok_or_else(|| unknown(name))?;
    let transaction = call.app.store.begin().await?;
    if !store::plugins::remove(&transaction, name).await? {
        transaction.rollback().await;
        return Err(unknown(name));
    }
    world::advance(&transaction, call).await?;
    transaction.commit().await?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, plugin = name, by = %call.caller.principal, "removed a plugin");
    Ok(look::summary(entry))
}
