//! The story of a version that comes: compiled while everybody goes on writing, then stored and put in force in one step.

use std::sync::Arc;

use model::Action;
use plugins::{Grants, Plugin};
use store::plugins::{
    PluginRow,
    versions::{self, VersionRow},
};

use super::{
    OBJECT, change,
    grants::{Granted, cover, sensible},
    installed::Installed,
    load,
    rulebook::Entry,
};
use crate::{Error, call::Call};

/// What somebody uploads.
#[derive(Clone, Debug)]
pub enum Code {
    /// A WebAssembly component.
    Component(Vec<u8>),
    /// The text of a rule, which is made a component here.
    JavaScript(String),
}

impl From<Vec<u8>> for Code {
    fn from(component: Vec<u8>) -> Self {
        Code::Component(component)
    }
}

/// What becomes of an uploaded version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its rules run from the next request on.
    Activate,
    /// It is only watched, beside the version that runs.
    Shadow,
}

/// Installs a version and lets its rules run from the next request on. The version that ran before is kept.
///
/// # Errors
/// The policies, code that does not keep the contract, or wishes that are not granted.
pub async fn install(call: &Call, code: impl Into<Code>, granted: Granted) -> Result<Arc<Installed>, Error> {
    install_as(call, code.into(), granted, Mode::Activate).await
}

/// The same for either mode.
///
/// # Errors
/// As above.
pub async fn install_as(call: &Call, code: Code, granted: Granted, mode: Mode) -> Result<Arc<Installed>, Error> {
    call.authorize(Action::Create, OBJECT)?;
    let Made { code, text } = made(call, code).await?;
    let plugin = load::prepare(call, code.component.clone()).await?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Create, OBJECT)?;
    let before = call.world.plugins.entry(plugin.name());
    let version = version(call, &plugin, granted, before, text)?;
    let row = row(call, &version, before, mode)?;

    let transaction = call.app.store.begin().await?;
    versions::put_code(&transaction, &version.digest, &code).await?;
    versions::put(&transaction, &version).await?;
    change::prune(&transaction, &row).await?;
    change::commit(call, transaction, row).await?;
    let installed = installed(call, &version, mode)?;
    tracing::info!(request = %call.id, plugin = %installed.label(), ?mode, by = %call.caller.principal, "installed a plugin");
    for warning in installed.warnings(&call.world.catalog) {
        tracing::warn!(request = %call.id, plugin = %installed.label(), "{warning}");
    }
    Ok(installed)
}

/// What is stored of an upload.
struct Made {
    code: versions::Code,
    /// The digest of the text that it was made of.
    text: Option<String>,
}

/// Makes a component of the upload. The same text is compiled once: another component of it would be another version that does the same.
async fn made(call: &Call, code: Code) -> Result<Made, Error> {
    let source = match code {
        Code::Component(component) => return Ok(Made { code: versions::Code { component, source: None }, text: None }),
        Code::JavaScript(source) => source,
    };
    // A newer server may make something else of it.
    let text = blake3::hash(format!("{}\n{source}", env!("CARGO_PKG_VERSION")).as_bytes()).to_hex().to_string();
    let component = match load::made_before(call, &text).await? {
        Some(component) => component,
        None => {
            let component = call.app.runtime.compiler().javascript(&source).await?;
            call.world.plugins.shelf.put_made(&text, &component);
            component
        }
    };
    Ok(Made { code: versions::Code { component, source: Some(source) }, text: Some(text) })
}

fn version(call: &Call, plugin: &Plugin, granted: Granted, before: Option<&Entry>, text: Option<String>) -> Result<VersionRow, Error> {
    let as_before = matches!(granted, Granted::AsBefore);
    let held = before.and_then(Entry::foremost).map(|installed| installed.grants());
    let wishes = &plugin.manifest().grants;
    let grants = granted.to(wishes, held);
    let mut violations = cover(wishes, &grants, "grant");
    if !as_before {
        violations.0.extend(sensible(call, &grants, "grant").0);
    }
    violations.or(()).map_err(|violations| Error::Unacceptable { kind: "plugin", violations })?;
    Ok(VersionRow {
        plugin: plugin.name().to_owned(),
        digest: plugin.digest().to_owned(),
        version: plugin.version().to_owned(),
        manifest: serde_json::to_string(plugin.manifest()).map_err(|error| Error::Internal(error.to_string()))?,
        grants: stored_grants(&grants)?,
        text,
        installed: call.now.to_string(),
        by: call.caller.principal.to_string(),
    })
}

/// Grants as they are stored.
pub(super) fn stored_grants(grants: &Grants) -> Result<String, Error> {
    serde_json::to_string(grants).map_err(|error| Error::Internal(error.to_string()))
}

/// The row of the plugin with the new version in its place.
fn row(call: &Call, version: &VersionRow, before: Option<&Entry>, mode: Mode) -> Result<PluginRow, Error> {
    let new = || PluginRow { name: version.plugin.clone(), enabled: true, ..PluginRow::default() };
    let mut row = before.map_or_else(new, change::touched);
    if row.installed.is_empty() {
        // An upgrade keeps its place among the others.
        row.installed = call.now.to_string();
    }
    match mode {
        Mode::Activate => {
            change::activate(&mut row, &version.digest);
            row.enabled = true;
        }
        Mode::Shadow => change::watch(&mut row, &version.digest, "mode")?,
    }
    Ok(row)
}

fn installed(call: &Call, version: &VersionRow, mode: Mode) -> Result<Arc<Installed>, Error> {
    let world = call.app.world();
    let entry = world.plugins.entry(&version.plugin);
    let found = entry.and_then(|entry| if mode == Mode::Shadow { entry.shadow.as_ref() } else { entry.active.as_ref() });
    found.cloned().ok_or_else(|| Error::Internal(format!("the plugin `{}` is gone", version.plugin)))
}
