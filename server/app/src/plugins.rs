//! The stories of plugins: installed and removed while the server runs. Requests under way finish with what they began with.

use std::{collections::HashMap, sync::Arc};

use model::{Action, Pointer, Violations};
use plugins::{Grants, Manifest, Plugin, Runtime};
use store::{Store, plugins::PluginRow};

use crate::{App, Error, call::Call, world};

/// The object that policies about this name.
pub(crate) const OBJECT: &str = "_plugins";

/// A plugin that is ready to run, with what the operator lets it touch.
pub struct Installed {
    pub(crate) plugin: Plugin,
    pub(crate) grants: Grants,
    pub(crate) installed: String,
}

impl Installed {
    /// The name, unique.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.manifest().name
    }

    /// What the plugin says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.plugin.manifest()
    }

    /// Name, version and the beginning of the digest: exactly which code ran.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}#{}", self.name(), self.manifest().version, &self.plugin.digest()[..12])
    }
}

/// What the operator grants at installation.
#[derive(Clone, Debug)]
pub enum Granted {
    /// Everything that the manifest wishes.
    Wishes,
    /// Exactly this; wishes beyond it are refused.
    Only(Grants),
}

/// Every installed plugin.
///
/// # Errors
/// The policies.
pub fn list(call: &Call) -> Result<Vec<Arc<Installed>>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    Ok(call.world.plugins.to_vec())
}

/// Installs a component, or replaces the plugin of that name. Its rules run from the next request on.
///
/// # Errors
/// The policies, a component that does not keep the contract, or wishes that are not granted.
pub async fn install(call: &Call, component: Vec<u8>, granted: Granted) -> Result<Arc<Installed>, Error> {
    call.authorize(Action::Create, OBJECT)?;
    let plugin = call.app.runtime.load(component.clone()).await?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Create, OBJECT)?;
    let wishes = &plugin.manifest().grants;
    let grants = match granted {
        Granted::Wishes => wishes.clone(),
        Granted::Only(grants) => grants,
    };
    check_grants(call, wishes, &grants)?;
    let name = plugin.manifest().name.clone();
    let before = call.world.plugins.iter().find(|other| other.name() == name);
    let row = PluginRow {
        name: name.clone(),
        digest: plugin.digest().to_owned(),
        component,
        grants: serde_json::to_string(&grants).map_err(|error| Error::Internal(error.to_string()))?,
        enabled: true,
        // An upgrade keeps its place among the others.
        installed: before.map_or_else(|| call.now.to_string(), |before| before.installed.clone()),
    };
    let transaction = call.app.store.begin().await?;
    store::plugins::put(&transaction, &row).await?;
    world::advance(&transaction, call).await?;
    transaction.commit().await?;
    call.app.refresh().await?;
    let installed = Arc::new(Installed { plugin, grants, installed: row.installed });
    tracing::info!(request = %call.id, plugin = %installed.label(), by = %call.caller.principal, "installed a plugin");
    Ok(installed)
}

/// Removes a plugin.
///
/// # Errors
/// The policies, or no such plugin.
pub async fn remove(call: &Call, name: &str) -> Result<Arc<Installed>, Error> {
    call.authorize(Action::Delete, OBJECT)?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Delete, OBJECT)?;
    let unknown = || Error::NotFound { kind: "plugin", name: name.to_owned() };
    let installed = call.world.plugins.iter().find(|other| other.name() == name).cloned().ok_or_else(unknown)?;
    let transaction = call.app.store.begin().await?;
    if !store::plugins::remove(&transaction, name).await? {
        transaction.rollback().await;
        return Err(unknown());
    }
    world::advance(&transaction, call).await?;
    transaction.commit().await?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, plugin = %installed.label(), by = %call.caller.principal, "removed a plugin");
    Ok(installed)
}

fn check_grants(call: &Call, wishes: &Grants, grants: &Grants) -> Result<(), Error> {
    let mut violations = Violations::default();
    if !grants.cover(wishes) {
        let wishes = serde_json::to_string(wishes).unwrap_or_default();
        violations.add(Pointer::field("grant"), "plugin.grants", format!("the plugin wishes {wishes}; grant it all or do not install it"));
    }
    for name in grants.read.union(&grants.write).filter(|name| !call.world.catalog.contains_key(*name)) {
        violations.add(Pointer::field("grant"), "collection.unknown", format!("there is no collection `{name}`"));
    }
    violations.or(()).map_err(|violations| Error::Unacceptable { kind: "plugin", violations })
}

/// Loads the enabled plugins of the database, in the order of their installation. Those that are loaded already are not compiled again.
pub(crate) async fn load_all(store: &Store, runtime: &Runtime, loaded: &[Arc<Installed>]) -> Result<Vec<Arc<Installed>>, Error> {
    let known: HashMap<&str, &Arc<Installed>> = loaded.iter().map(|installed| (installed.plugin.digest(), installed)).collect();
    let mut installed = Vec::new();
    for row in store::plugins::all(store).await?.into_iter().filter(|row| row.enabled) {
        let grants: Grants = serde_json::from_str(&row.grants).map_err(|error| Error::Internal(error.to_string()))?;
        let plugin = match known.get(row.digest.as_str()) {
            Some(known) => known.plugin.clone(),
            None => runtime.load(row.component).await?,
        };
        installed.push(Arc::new(Installed { plugin, grants, installed: row.installed }));
    }
    Ok(installed)
}

/// Installs every component of the folder `plugins` in the data directory that is not installed in the same form. Who may write there owns
/// the server, so the wishes of these plugins are granted.
pub(crate) async fn install_folder(app: &Arc<App>) -> Result<(), Error> {
    let folder = app.config.data_dir.join("plugins");
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    paths.sort();
    for path in paths {
        let component = std::fs::read(&path)?;
        let digest = blake3::hash(&component).to_hex().to_string();
        if app.world().plugins.iter().any(|installed| installed.plugin.digest() == digest) {
            continue;
        }
        let installed = install(&Call::system(app), component, Granted::Wishes).await;
        installed.map_err(|error| Error::Configuration(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}
