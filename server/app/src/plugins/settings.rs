//! The stories of a plugin's settings: what its manifest declares, with the values that the operator gave. Secrets are stored encrypted and
//! shown to nobody but the plugin.

use std::collections::{BTreeMap, BTreeSet};

use model::{Action, Pointer, Violations};
use plugins::{Manifest, SettingDeclaration};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{
    Transaction,
    plugins::{
        PluginRow,
        versions::{self, VersionRow},
    },
};

use super::{
    OBJECT, change,
    rulebook::Entry,
    secrets::{SECRET_MIN_BYTES, Secrets},
    unknown,
    vault::Vault,
};
use crate::{Error, call::Call, outbox};

/// Bytes that a value may have: enough for a private key.
const VALUE_MAX_BYTES: usize = 16 << 10;

/// Why, and how else to be rid of one.
const SECRET_SHORT: &str = "because a shorter one cannot be taken out of logs; null takes it away";

/// What somebody hears whose secrets for webhooks are none.
const WEBHOOK_SECRET: &str = "this is what webhooks are signed with (Standard Webhooks): `whsec_` and the base64 of 24 to 64 random bytes; \
     two with a space between while they are changed; null for the one that the server derives";

/// Values as they are stored, by the names of the settings.
type Values = BTreeMap<String, Stored>;

/// A value as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    /// As it was given.
    Plain(String),
    /// Encrypted.
    Sealed(String),
}

/// What becomes of the stored settings of a version.
pub(super) struct Opened {
    /// What the version gets to see, or why it cannot.
    pub(super) values: Result<BTreeMap<String, String>, String>,
    /// What nobody else gets to see.
    pub(super) secrets: Secrets,
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
/// The policies, no such plugin, names that it does not declare, or values that cannot be.
pub async fn put(call: &Call, name: &str, draft: BTreeMap<String, Json>) -> Result<Vec<Setting>, Error> {
    call.authorize(Action::Update, OBJECT)?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Update, OBJECT)?;
    let entry = call.world.plugins.entry(name).ok_or_else(|| unknown(name))?;
    let before = store::plugins::settings::get(&call.app.store, name).await?;
    // What cannot be read is of no use to anybody.
    let mut stored = parse(before.as_deref()).unwrap_or_default();
    let declared = declared(entry, &stored);
    let draft = checked(&declared, draft)?;
    for setting in declared.values() {
        match draft.get(&setting.name) {
            Some(Some(value)) => {
                let value = match setting.secret {
                    true => Stored::Sealed(call.app.vault.seal(name, &setting.name, value)?),
                    false => Stored::Plain(value.clone()),
                };
                stored.insert(setting.name.clone(), value);
            }
            None if setting.secret => {}
            None | Some(None) => {
                stored.remove(&setting.name);
            }
        }
    }
    let text = written(&stored)?;
    let transaction = call.app.store.begin().await?;
    store::plugins::settings::put(&transaction, name, &text).await?;
    change::commit(call, transaction, change::touched(entry)).await?;
    tracing::info!(request = %call.id, plugin = name, by = %call.caller.principal, "changed the settings of a plugin");
    let entry = call.current();
    let entry = entry.world.plugins.entry(name).ok_or_else(|| unknown(name))?;
    Ok(shown(&call.app.vault, entry, Some(&text)))
}

/// Encrypts what is stored as it was given and is a secret to a version that is in use from now on.
pub(super) async fn seal(call: &Call, transaction: &Transaction, row: &PluginRow) -> Result<(), Error> {
    let text = store::plugins::settings::get(transaction, &row.name).await?;
    let mut stored = parse(text.as_deref()).unwrap_or_default();
    if stored.values().all(is_sealed) {
        return Ok(());
    }
    let versions = versions::of(transaction, &row.name).await?;
    let is_in_use = |version: &VersionRow| [&row.active, &row.shadow].into_iter().flatten().any(|digest| *digest == version.digest);
    let in_use = versions.iter().filter(|version| is_in_use(version));
    let manifests = in_use.filter_map(|version| serde_json::from_str::<Manifest>(&version.manifest).ok());
    let secrets = manifests.flat_map(|manifest| manifest.settings).filter(|setting| setting.secret);
    let secrets: BTreeSet<String> = secrets.map(|setting| setting.name).collect();
    for (name, value) in stored.iter_mut().filter(|(name, _)| secrets.contains(*name)) {
        let Stored::Plain(plain) = &*value else { continue };
        if plain.len() < SECRET_MIN_BYTES {
            tracing::warn!(request = %call.id, plugin = row.name, setting = name, "a secret is too short to be taken out of logs");
        }
        *value = Stored::Sealed(call.app.vault.seal(&row.name, name, plain)?);
    }
    Ok(store::plugins::settings::put(transaction, &row.name, &written(&stored)?).await?)
}

/// What each setting that the versions in use declare is about. What the one declares that runs, holds; but a secret is what either of them
/// calls one, or what is stored as one.
fn declared(entry: &Entry, stored: &Values) -> BTreeMap<String, SettingDeclaration> {
    let both = [&entry.shadow, &entry.active].into_iter().flatten();
    let mut declared: BTreeMap<String, SettingDeclaration> = BTreeMap::new();
    for setting in both.flat_map(|installed| &installed.manifest().settings) {
        let is_secret = setting.secret
            || stored.get(&setting.name).is_some_and(is_sealed)
            || declared.get(&setting.name).is_some_and(|other| other.secret);
        declared.insert(setting.name.clone(), SettingDeclaration { secret: is_secret, ..setting.clone() });
    }
    declared
}

fn is_sealed(stored: &Stored) -> bool {
    matches!(stored, Stored::Sealed(_))
}

fn checked(
    declared: &BTreeMap<String, SettingDeclaration>,
    draft: BTreeMap<String, Json>,
) -> Result<BTreeMap<String, Option<String>>, Error> {
    let (mut violations, mut values) = (Violations::default(), BTreeMap::new());
    let is_secret = |name: &str| declared.get(name).is_some_and(|setting| setting.secret);
    for (name, value) in draft {
        let pointer = Pointer::field(&name);
        match value {
            _ if !declared.contains_key(&name) => {
                violations.add(pointer, "plugin.setting_unknown", format!("the plugin declares no setting `{name}`"));
            }
            Json::String(value) if value.len() > VALUE_MAX_BYTES => {
                violations.add(pointer, "plugin.setting_length", format!("a setting has at most {VALUE_MAX_BYTES} bytes"));
            }
            Json::String(value) if name == outbox::SECRET_SETTING && !outbox::are_webhook_secrets(&value) => {
                violations.add(pointer, "plugin.setting_value", WEBHOOK_SECRET.to_owned());
            }
            Json::String(value) if is_secret(&name) && value.len() < SECRET_MIN_BYTES => {
                violations.add(pointer, "plugin.setting_length", format!("a secret has at least {SECRET_MIN_BYTES} bytes, {SECRET_SHORT}"));
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
    let declared = match &parsed {
        Ok(stored) => declared(entry, stored),
        Err(_) => declared(entry, &Values::new()),
    };
    let one = |declared: SettingDeclaration| {
        let SettingDeclaration { name, secret, default, description } = declared;
        let stored = parsed.as_ref().ok().and_then(|stored| stored.get(&name));
        let opened = stored.map(|stored| open(vault, &entry.row.name, &name, stored));
        let problem = match &opened {
            Some(Err(reason)) => Some(reason.clone()),
            _ => parsed.as_ref().err().cloned(),
        };
        let value = opened.and_then(Result::ok).filter(|_| !secret);
        Setting { secret, set: stored.is_some(), value, default, description, problem, name }
    };
    declared.into_values().map(one).collect()
}

/// Opens what is stored for a version. What is encrypted is a secret, whatever this version says of it: to another version it was one, and may
/// be in what that one has sent.
pub(super) fn opened(vault: &Vault, manifest: &Manifest, text: Option<&str>) -> Opened {
    let (plugin, parsed) = (&*manifest.name, parse(text));
    let secret = manifest.settings.iter().filter(|setting| setting.secret).map(|setting| setting.name.clone());
    let sealed = parsed.iter().flatten().filter(|(_, stored)| is_sealed(stored)).map(|(name, _)| name.clone());
    let names: BTreeSet<String> = secret.chain(sealed).collect();
    let hidden = parsed.iter().flatten().filter(|(name, _)| names.contains(*name));
    let hidden: Vec<String> = hidden.filter_map(|(name, stored)| open(vault, plugin, name, stored).ok()).collect();
    let values = parsed.and_then(|stored| {
        let declared = stored.into_iter().filter(|(name, _)| manifest.settings.iter().any(|setting| setting.name == *name));
        declared.map(|(name, stored)| open(vault, plugin, &name, &stored).map(|value| (name, value))).collect()
    });
    Opened { values, secrets: Secrets::new(names, hidden) }
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

fn written(stored: &Values) -> Result<String, Error> {
    serde_json::to_string(stored).map_err(|error| Error::Internal(error.to_string()))
}

fn parse(text: Option<&str>) -> Result<Values, String> {
    text.map_or_else(|| Ok(Values::new()), serde_json::from_str).map_err(|error| format!("its settings cannot be read: {error}"))
}
