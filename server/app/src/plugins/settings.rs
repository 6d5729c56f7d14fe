//! The stories of a plugin's settings: what its manifest declares, with the values that the operator gave. Secrets are stored encrypted and
//! shown to nobody but the plugin.

use std::collections::{BTreeMap, BTreeSet};

use model::{Action, Pointer, Violations};
use plugins::{Manifest, SettingDeclaration};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{OBJECT, change, rulebook::Entry, unknown, vault::Vault};
use crate::{Error, call::Call};

/// Bytes that a value may have: enough for a private key.
const VALUE_MAX_BYTES: usize = 16 << 10;

/// A value as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    /// As it was given.
    Plain(String),
    /// Encrypted.
    Sealed(String),
}

/// A setting as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    name: String,
    secret: bool,
    /// Whether somebody has given it a value.
    set: bool,
    /// The value that was given; none for a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Why the plugin cannot have the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The settings of a plugin.
///
/// # Errors
/// The policies, or no such plugin.
pub async fn get(call: &Call, name: &str) -> Result<Vec<Setting>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    let entry = call.world.plugins.entry(name).ok_or_else(|| unknown(name))?;
    let stored = store::plugins::settings::get(&call.app.store, name).await?;
    Ok(shown(&call.app.vault, entry, stored.as_deref()))
}

/// Gives a plugin its settings. What is absent goes back to its default, but a secret stays, because whoever writes back what was read cannot
/// know it; null takes a secret away, too.
///
/// # Errors
/// The policies, no such plugin, names that it does not declare, or values that are no text.
pub async fn put(call: &Call, name: &str, draft: BTreeMap<String, Json>) -> Result<Vec<Setting>, Error> {
    call.authorize(Action::Update, OBJECT)?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Update, OBJECT)?;
    let entry = call.world.plugins.entry(name).ok_or_else(|| unknown(name))?;
    let declared = declared(entry);
    let draft = checked(&declared, draft)?;
    let before = store::plugins::settings::get(&call.app.store, name).await?;
    // What cannot be read is of no use to anybody.
    let mut stored = parse(before.as_deref()).unwrap_or_default();
    for setting in declared.values() {
        match draft.get(&setting.name) {
            Some(Some(value)) => {
                let value = match setting.secret {
                    true => Stored::Sealed(call.app.vault.seal(name, &setting.name, value)?),
                    false => Stored::Plain(value.clone()),
                };
                stored.insert(setting.name.clone(), value);
            }
            None if setting.secret || matches!(stored.get(&setting.name), Some(Stored::Sealed(_))) => {}
            None | Some(None) => {
                stored.remove(&setting.name);
            }
        }
    }
    let text = serde_json::to_string(&stored).map_err(|error| Error::Internal(error.to_string()))?;
    let transaction = call.app.store.begin().await?;
    store::plugins::settings::put(&transaction, name, &text).await?;
    change::commit(call, transaction, change::touched(entry)).await?;
    tracing::info!(request = %call.id, plugin = name, by = %call.caller.principal, "changed the settings of a plugin");
    let entry = call.current();
    let entry = entry.world.plugins.entry(name).ok_or_else(|| unknown(name))?;
    Ok(shown(&call.app.vault, entry, Some(&text)))
}

/// What each setting that the versions in use declare is about. What the one declares that runs, holds.
fn declared(entry: &Entry) -> BTreeMap<String, SettingDeclaration> {
    let both = [&entry.shadow, &entry.active].into_iter().flatten();
    both.flat_map(|installed| &installed.manifest().settings).map(|setting| (setting.name.clone(), setting.clone())).collect()
}

fn checked(
    declared: &BTreeMap<String, SettingDeclaration>,
    draft: BTreeMap<String, Json>,
) -> Result<BTreeMap<String, Option<String>>, Error> {
    let (mut violations, mut values) = (Violations::default(), BTreeMap::new());
    for (name, value) in draft {
        let pointer = Pointer::field(&name);
        match value {
            _ if !declared.contains_key(&name) => {
                violations.add(pointer, "plugin.setting_unknown", format!("the plugin declares no setting `{name}`"));
            }
            Json::String(value) if value.len() > VALUE_MAX_BYTES => {
                violations.add(pointer, "plugin.setting_length", format!("a setting has at most {VALUE_MAX_BYTES} bytes"));
            }
            Json::String(value) => {
                values.insert(name, Some(value));
            }
            Json::Null => {
                values.insert(name, None);
            }
            Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                violations.add(pointer, "plugin.setting_type", "the value of a setting is a text, or null".to_owned());
            }
        }
    }
    violations.or(values).map_err(|violations| Error::Unacceptable { kind: "plugin", violations })
}

/// The settings without what nobody may see.
pub(super) fn shown(vault: &Vault, entry: &Entry, text: Option<&str>) -> Vec<Setting> {
    let parsed = parse(text);
    let declared = declared(entry).into_values();
    let one = |declared: SettingDeclaration| {
        let SettingDeclaration { name, secret, default, description } = declared;
        let stored = parsed.as_ref().ok().and_then(|stored| stored.get(&name));
        let opened = stored.map(|stored| open(vault, &entry.row.name, &name, stored));
        let problem = match &opened {
            Some(Err(reason)) => Some(reason.clone()),
            _ => parsed.as_ref().err().cloned(),
        };
        let secret = secret || matches!(stored, Some(Stored::Sealed(_)));
        let value = opened.and_then(Result::ok).filter(|_| !secret);
        Setting { secret, set: stored.is_some(), value, default, description, problem, name }
    };
    declared.map(one).collect()
}

/// What a version gets to see: values of the settings that it declares.
pub(super) fn opened(vault: &Vault, manifest: &Manifest, text: Option<&str>) -> Result<BTreeMap<String, String>, String> {
    let declared: BTreeSet<&str> = manifest.settings.iter().map(|setting| setting.name.as_str()).collect();
    let stored = parse(text)?.into_iter().filter(|(name, _)| declared.contains(name.as_str()));
    stored.map(|(name, stored)| Ok((name.clone(), open(vault, &manifest.name, &name, &stored)?))).collect()
}

fn open(vault: &Vault, plugin: &str, name: &str, stored: &Stored) -> Result<String, String> {
    match stored {
        Stored::Plain(value) => Ok(value.clone()),
        Stored::Sealed(sealed) => vault.unseal(plugin, name, sealed).ok_or_else(|| {
            format!(
                "the secret `{name}` was stored under another key than the one in use (`secret_key`, or `secret.key` in the data \
                 directory): bring that key back, or set the secret anew"
            )
        }),
    }
}

fn parse(text: Option<&str>) -> Result<BTreeMap<String, Stored>, String> {
    text.map_or_else(|| Ok(BTreeMap::new()), serde_json::from_str).map_err(|error| format!("its settings cannot be read: {error}"))
}
