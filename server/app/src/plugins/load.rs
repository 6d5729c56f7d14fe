//! From what is stored to a picture of it. What was loaded for an earlier picture is not compiled again, and a plugin that cannot be loaded
//! keeps nobody from starting: it stands there as broken.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use model::{Pointer, Violation};
use plugins::{Grants, Ground, Manifest, Plugin, Runtime};
use serde_json::json;
use store::{
    Store, Transaction,
    plugins::{PluginRow, order, settings as stored, versions, versions::VersionRow},
};

use super::{
    installed::{Installed, State, label},
    rulebook::{Entry, Rulebook},
    secrets::Secrets,
    settings::{self, Opened},
    vault::Vault,
};
use crate::{Error, call::Call};

/// How many versions stay loaded that no picture needs: those that were just compiled for an installation, and those that were replaced
/// and may come back.
const SHELF_MAX: usize = 8;

/// How many components stay that were made of JavaScript text: whoever forgot the grants sends the same text again.
const MADE_MAX: usize = 4;

/// What took long to make and may be needed soon; what was put there last is at the end.
#[derive(Default)]
pub(super) struct Shelf {
    /// Loaded versions.
    plugins: Mutex<Vec<Plugin>>,
    /// Components by the digests of the texts that they were made of.
    made: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Shelf {
    fn put(&self, plugin: Plugin) {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        plugins.retain(|other| other.digest() != plugin.digest());
        if plugins.len() >= SHELF_MAX {
            plugins.remove(0);
        }
        plugins.push(plugin);
    }

    fn get(&self, digest: &str) -> Option<Plugin> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|plugin| plugin.digest() == digest).cloned()
    }

    pub(super) fn put_made(&self, text: &str, component: &[u8]) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|(other, _)| other != text);
        if made.len() >= MADE_MAX {
            made.remove(0);
        }
        made.push((text.to_owned(), component.to_vec()));
    }

    fn made(&self, text: &str) -> Option<Vec<u8>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().find(|(other, _)| other == text).map(|(_, component)| component.clone())
    }
}

/// The component that was made of a text before: for a version that is kept, or just now.
pub(super) async fn made_before(call: &Call, text: &str) -> Result<Option<Vec<u8>>, Error> {
    let mut kept = call.world.plugins.entries().iter().flat_map(|entry| &entry.versions);
    if let Some(version) = kept.find(|version| version.text.as_deref() == Some(text))
        && let Some(code) = versions::code(&call.app.store, &version.digest).await?
        && blake3::hash(&code.component).to_hex().as_str() == version.digest
    {
        return Ok(Some(code.component));
    }
    Ok(call.world.plugins.shelf.made(text))
}

impl Rulebook {
    /// The loaded version of this digest.
    fn loaded(&self, digest: &str) -> Option<Plugin> {
        let mut plugins = self.plugins();
        plugins.find(|plugin| plugin.digest() == digest).cloned().or_else(|| self.shelf.get(digest))
    }

    fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        let both = self.entries().iter().flat_map(|entry| [&entry.active, &entry.shadow]).flatten();
        both.filter_map(|installed| if let State::Ready(plugin) = &installed.state { Some(plugin) } else { None })
    }
}

/// Compiles a component before the gate is closed, so that nobody waits for it: the next picture finds it loaded.
pub(super) async fn prepare(call: &Call, component: Vec<u8>) -> Result<Plugin, Error> {
    let digest = blake3::hash(&component).to_hex();
    if let Some(plugin) = call.world.plugins.loaded(&digest) {
        return Ok(plugin);
    }
    let plugin = call.app.runtime.load(component).await?;
    call.world.plugins.shelf.put(plugin.clone());
    Ok(plugin)
}

/// The same for a version that is stored.
pub(super) async fn prepare_stored(call: &Call, digest: &str) -> Result<Plugin, Error> {
    if let Some(plugin) = call.world.plugins.loaded(digest) {
        return Ok(plugin);
    }
    let code = versions::code(&call.app.store, digest).await?;
    let code = code.filter(|code| blake3::hash(&code.component).to_hex().as_str() == digest).ok_or_else(|| {
        let violation = Violation::new(Pointer::root(), "plugin.code_lost", format!("the code of the version `{digest}` is lost"));
        Error::Unacceptable { kind: "plugin", violations: violation.into() }
    })?;
    prepare(call, code.component).await
}

/// Every installed plugin as it is stored now.
///
/// # Errors
/// What the database reports. What is wrong with one plugin is written beside that plugin.
pub(crate) async fn load_all(store: &Store, runtime: &Runtime, vault: &Vault, loaded: &Rulebook) -> Result<Rulebook, Error> {
    store::plugins::migrate(store).await?;
    // One moment for all tables, whatever other nodes change meanwhile.
    let transaction = store.begin().await?;
    let loader = Loader { store, runtime, vault, loaded, transaction: &transaction };
    let read = loader.read().await;
    transaction.rollback().await;
    let (entries, orders) = read?;
    let book = Rulebook::new(entries, orders, Arc::clone(&loaded.shelf));
    let needed: HashSet<&str> = book.plugins().map(Plugin::digest).collect();
    loaded.plugins().filter(|plugin| !needed.contains(plugin.digest())).for_each(|plugin| book.shelf.put(plugin.clone()));
    Ok(book)
}

struct Loader<'a> {
    store: &'a Store,
    runtime: &'a Runtime,
    vault: &'a Vault,
    loaded: &'a Rulebook,
    transaction: &'a Transaction,
}

/// One version of one plugin, as it is stored.
struct Chosen<'a> {
    row: &'a PluginRow,
    digest: &'a str,
    version: Option<&'a VersionRow>,
    settings: Option<&'a str>,
    shadow: bool,
}

impl Loader<'_> {
    async fn read(&self) -> Result<(Vec<Entry>, BTreeMap<String, Vec<String>>), Error> {
        let mut versions: HashMap<String, Vec<VersionRow>> = HashMap::new();
        for version in versions::all(self.transaction).await? {
            versions.entry(version.plugin.clone()).or_default().push(version);
        }
        let settings: HashMap<String, String> = stored::all(self.transaction).await?.into_iter().collect();
        let mut entries = Vec::new();
        for row in store::plugins::all(self.transaction).await? {
            let versions = versions.remove(&row.name).unwrap_or_default();
            let settings = settings.get(&row.name).map(String::as_str);
            entries.push(self.entry(row, versions, settings).await?);
        }
        Ok((entries, order::all(self.transaction).await?.into_iter().collect()))
    }

    async fn entry(&self, row: PluginRow, mut versions: Vec<VersionRow>, settings: Option<&str>) -> Result<Entry, Error> {
        versions.sort_by(|one, other| other.installed.cmp(&one.installed));
        // A plugin that names no version at all has lost what it had.
        let active = row.active.as_deref().or_else(|| row.shadow.is_none().then_some(""));
        let (mut chosen, mut described) = ([None, None], Vec::new());
        for (slot, (digest, shadow)) in chosen.iter_mut().zip([(active, false), (row.shadow.as_deref(), true)]) {
            let Some(digest) = digest else { continue };
            let version = versions.iter().find(|version| version.digest == digest);
            let installed = self.installed(&Chosen { row: &row, digest, version, settings, shadow }).await?;
            described.extend(version.and_then(|version| described_anew(version, &installed)));
            *slot = Some(Arc::new(installed));
        }
        for version in described {
            // Other nodes may be writing the same; if nobody succeeds, the next picture brings another try.
            if let Err(error) = versions::put(self.store, &version).await {
                tracing::warn!(plugin = row.name, %error, "cannot write down what a version says about itself");
            }
            versions.iter_mut().filter(|old| old.digest == version.digest).for_each(|old| *old = version.clone());
        }
        let [active, shadow] = chosen;
        Ok(Entry { row, versions, active, shadow })
    }

    async fn installed(&self, chosen: &Chosen<'_>) -> Result<Installed, Error> {
        let row = chosen.row;
        let state = match row.enabled {
            true => self.state(chosen).await?,
            false => State::Disabled,
        };
        let (state, manifest) = match state {
            State::Ready(plugin) => {
                let manifest = plugin.manifest().clone();
                (State::Ready(plugin), manifest)
            }
            state => (state, stored_manifest(chosen)),
        };
        let mut installed = Installed {
            state,
            manifest,
            digest: chosen.digest.to_owned(),
            ground: Ground::default(),
            secrets: Secrets::default(),
            enabled: row.enabled,
            shadow: chosen.shadow,
            revision: row.revision,
        };
        let grants = chosen.version.map(|version| serde_json::from_str::<Grants>(&version.grants));
        let Opened { values, secrets } = settings::opened(self.vault, &installed.manifest, chosen.settings);
        installed.secrets = secrets;
        let reason = match (grants, values) {
            (Some(Ok(grants)), Ok(settings)) => {
                installed.ground = Ground { grants: Arc::new(grants), settings: Arc::new(settings), ..Ground::default() };
                None
            }
            (Some(Ok(grants)), Err(reason)) => {
                installed.ground.grants = Arc::new(grants);
                Some(reason)
            }
            (Some(Err(error)), _) => Some(format!("its grants cannot be read: {error}")),
            (None, _) => Some("this version is not stored any more".to_owned()),
        };
        if let Some(reason) = reason.filter(|_| row.enabled && installed.broken().is_none()) {
            installed.state = State::Broken(reason);
        }
        self.report(&installed);
        Ok(installed)
    }

    async fn state(&self, chosen: &Chosen<'_>) -> Result<State, Error> {
        let plugin = match self.plugin(chosen).await? {
            Ok(plugin) => plugin,
            Err(reason) => return Ok(State::Broken(reason)),
        };
        Ok(match (plugin.digest() == chosen.digest, plugin.name() == chosen.row.name) {
            (true, true) => State::Ready(plugin),
            (false, _) => State::Broken("the stored code is not that of this version".to_owned()),
            (true, false) => State::Broken(format!("the stored code is that of `{}`", plugin.name())),
        })
    }

    /// The version, loaded, or why it cannot be.
    async fn plugin(&self, chosen: &Chosen<'_>) -> Result<Result<Plugin, String>, Error> {
        if let Some(plugin) = self.loaded.loaded(chosen.digest) {
            return Ok(Ok(plugin));
        }
        if let Some(reason) = self.known_reason(chosen) {
            return Ok(Err(reason));
        }
        match versions::code(self.transaction, chosen.digest).await {
            Ok(Some(code)) => Ok(self.runtime.load(code.component).await.map_err(|error| error.to_string())),
            Ok(None) | Err(store::Error::Corrupt(_)) => Ok(Err("the code of this version is lost".to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// Why the same version could not be loaded before. Nothing about it has changed since, and trying again may take long.
    fn known_reason(&self, chosen: &Chosen<'_>) -> Option<String> {
        let before = self.before(&chosen.row.name, chosen.shadow)?;
        let same = before.digest == chosen.digest && before.revision == chosen.row.revision;
        before.broken().filter(|_| same).map(str::to_owned)
    }

    fn before(&self, name: &str, shadow: bool) -> Option<&Arc<Installed>> {
        let entry = self.loaded.entry(name)?;
        if shadow { entry.shadow.as_ref() } else { entry.active.as_ref() }
    }

    /// Tells the operator once.
    fn report(&self, installed: &Installed) {
        let Some(reason) = installed.broken() else { return };
        let before = self.before(installed.name(), installed.shadow);
        if before.and_then(|before| before.broken()) != Some(reason) {
            let plugin = label(installed.name(), &installed.manifest.version, &installed.digest);
            tracing::error!(plugin, reason, "a plugin is broken, what it would check is refused");
        }
    }
}

/// What the version said about itself when it was loaded the last time.
fn stored_manifest(chosen: &Chosen<'_>) -> Manifest {
    let stored = chosen.version.and_then(|version| serde_json::from_str::<Manifest>(&version.manifest).ok());
    stored.filter(|manifest| manifest.name == chosen.row.name).unwrap_or_else(|| {
        let unknown = json!({"name": chosen.row.name, "version": "", "rules": []});
        // INVARIANT: these are all members of a manifest that have no default.
        serde_json::from_value(unknown).expect("a manifest without rules")
    })
}

/// The row of a version that nobody has loaded before, now that it says what it is.
fn described_anew(version: &VersionRow, installed: &Installed) -> Option<VersionRow> {
    let State::Ready(plugin) = &installed.state else { return None };
    let manifest = serde_json::to_string(plugin.manifest()).ok().filter(|_| version.manifest.is_empty())?;
    Some(VersionRow { manifest, version: plugin.version().to_owned(), ..version.clone() })
}

#[cfg(test)]
mod tests;
