//! Plugins as the document describes them. What is sent is written by the stories.

use std::collections::HashMap;

use poem_openapi::{Enum, Object, types::Any};
use serde_json::Value as Json;

/// What to expect of a plugin.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the answer in the document")]
pub(super) enum PluginState {
    /// Its rules run.
    Running,
    /// Somebody has switched it off.
    Disabled,
    /// It cannot run, and what it would check is refused.
    Broken,
    /// No version runs, one is watched.
    Watched,
}

/// An installed plugin.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
pub(super) struct InstalledPlugin {
    name: String,
    /// The version that runs; null if one is only watched.
    version: Option<String>,
    /// The blake3 digest of the component that runs.
    digest: Option<String>,
    state: PluginState,
    /// Why it is broken.
    broken: Option<String>,
    enabled: bool,
    /// When it was first installed.
    installed: String,
    /// The digest of the version that ran before.
    previous: Option<String>,
    /// The digest of the version that is watched.
    shadow: Option<String>,
    /// What it may touch: `{read, query, write: [collections], webhooks: [hosts], email}`.
    grants: Any<Json>,
    /// What it says about itself.
    manifest: Any<Json>,
}

/// An installed plugin with its versions and settings.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
pub(super) struct PluginDetails {
    name: String,
    /// The version that runs; null if one is only watched.
    version: Option<String>,
    /// The blake3 digest of the component that runs.
    digest: Option<String>,
    state: PluginState,
    /// Why it is broken.
    broken: Option<String>,
    enabled: bool,
    /// When it was first installed.
    installed: String,
    /// The digest of the version that ran before.
    previous: Option<String>,
    /// The digest of the version that is watched.
    shadow: Option<String>,
    /// What it may touch: `{read, query, write: [collections], webhooks: [hosts], email}`.
    grants: Any<Json>,
    /// What it says about itself.
    manifest: Any<Json>,
    /// What it wishes to touch, in the form of `grants`.
    wishes: Any<Json>,
    /// The versions that are kept, the one installed last first.
    versions: Vec<PluginVersion>,
    settings: Vec<PluginSetting>,
    /// What should be known though it is no fault, in words for people, of the version that runs and of the one that is watched: a rule is
    /// about a collection that is not there, for instance. It runs once there is one.
    warnings: Vec<String>,
    /// The JavaScript text that it was made of, if that was asked for and there is one.
    source: Option<String>,
}

/// A version of a plugin.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
pub(super) struct PluginVersion {
    /// The blake3 digest of the component.
    digest: String,
    /// What the version calls itself.
    version: String,
    /// It is the one that runs.
    active: bool,
    /// It is the one that ran before.
    previous: bool,
    /// It is the one that is watched.
    shadow: bool,
    /// It was made of JavaScript text here.
    javascript: bool,
    /// What it may touch.
    grants: Any<Json>,
    /// When it was installed last.
    installed: String,
    /// Who installed it.
    by: String,
}

/// A setting of a plugin.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
pub(super) struct PluginSetting {
    name: String,
    /// It is stored encrypted and never shown.
    secret: bool,
    /// Somebody has given it a value.
    set: bool,
    /// The value that was given.
    value: Option<String>,
    /// What holds without a value.
    default: Option<String>,
    description: Option<String>,
    /// Why the plugin cannot have the value.
    problem: Option<String>,
}

/// The values of settings by name; null for none.
pub(super) type PluginSettings = HashMap<String, Any<Json>>;

/// A change of a plugin; what is absent stays.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
pub(super) struct PluginChange {
    /// Whether anything of it runs.
    enabled: Option<bool>,
    /// The version to run: its digest, 12 or more letters of that, or what it calls itself.
    version: Option<String>,
    /// The version to watch, named in the same way; null for none.
    shadow: Option<String>,
    /// What the versions named here may touch; without any, the version that runs: `{read, query, write: [collections], webhooks: [hosts],
    /// email}`.
    grants: Option<Any<Json>>,
}

/// The rules of a collection in the order in which they run.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
pub(super) struct RuleOrder {
    collection: String,
    /// What somebody has listed, as `plugin/rule`.
    order: Vec<String>,
    rules: Vec<OrderedRule>,
}

/// A rule in its place.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
pub(super) struct OrderedRule {
    /// As `plugin/rule`.
    rule: String,
    /// `before-write` or `after-commit`.
    hook: String,
    /// `create`, `update`, `delete`.
    operations: Vec<String>,
    /// The order that the rule gives itself.
    order: i32,
    /// Somebody has listed it.
    listed: bool,
    /// Its plugin is switched on.
    enabled: bool,
}

/// An order for the rules of a collection.
#[derive(Object)]
#[allow(dead_code, reason = "describes the body in the document")]
pub(super) struct RuleOrderDraft {
    /// Rules as `plugin/rule`. Those that are not listed run after them, by the order of their own.
    order: Vec<String>,
}
