//! What a plugin says about itself. Parsed and checked once, when it is loaded.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::grants::Grants;

pub use rule::{Access, Hook, Method, Operation, RuleDeclaration};

mod path;
mod rule;
mod schedule;
#[cfg(test)]
mod tests;

const RULES_MAX: usize = 100;
const SETTINGS_MAX: usize = 50;
const NAME_MAX_BYTES: usize = 64;

/// A plugin's name, rules and wishes. The format is described in `plugins/README.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// Lowercase letters, digits and hyphens, beginning with a letter.
    pub name: String,
    /// The plugin's own version: `1.0.0`.
    pub version: String,
    /// At least one rule; their names differ.
    pub rules: Vec<RuleDeclaration>,
    /// Whose policies the rules' own writes are checked against, beside the grants.
    #[serde(default)]
    pub writes_as: WritesAs,
    /// What it wishes to use. Only what an operator grants is allowed.
    #[serde(default)]
    pub grants: Grants,
    /// Values that an operator gives it; their names differ.
    #[serde(default)]
    pub settings: Vec<SettingDeclaration>,
    /// Lower limits than the server's.
    #[serde(default)]
    pub limits: WishedLimits,
}

/// Whose policies the rules' own writes are checked against. The grants hold in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WritesAs {
    /// Those of the principal `plugin:NAME`: what is granted is allowed unless a policy denies it.
    #[default]
    Plugin,
    /// Those of the caller whose request made the rule run.
    Caller,
}

/// A value that an operator gives to a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingDeclaration {
    /// Like the plugin's name; underscores are allowed too.
    pub name: String,
    /// Stored encrypted and never shown. A secret has no default.
    #[serde(default)]
    pub secret: bool,
    /// What holds while the operator has set nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// For the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Limits that a plugin puts on itself; see [`Limits`](crate::Limits).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WishedLimits {
    /// Milliseconds that a call computes.
    pub call_ms: Option<u64>,
    /// Bytes of linear memory.
    pub memory_max_bytes: Option<usize>,
    /// Host calls.
    pub host_calls: Option<u32>,
    /// Effects that a call enqueues.
    pub effects: Option<u32>,
}

impl Manifest {
    /// Reads and checks the text that a plugin gives.
    ///
    /// # Errors
    /// [`Error::Manifest`] if it is not in the documented format; unknown members are refused, because a misspelt one
    /// would silently mean a rule that does not run.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let manifest: Self = serde_json::from_str(text).map_err(|cause| Error::Manifest(cause.to_string()))?;
        manifest.check().map_err(Error::Manifest)?;
        Ok(manifest)
    }

    /// The rule with this name.
    pub fn rule(&self, name: &str) -> Option<&RuleDeclaration> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// The setting with this name.
    pub fn setting(&self, name: &str) -> Option<&SettingDeclaration> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Names of the after-commit rules, which jobs may call.
    pub(crate) fn jobs(&self) -> BTreeSet<String> {
        self.rules.iter().filter(|rule| rule.hook == Hook::AfterCommit).map(|rule| rule.name.clone()).collect()
    }

    /// Every declared setting, with its default.
    pub(crate) fn defaults(&self) -> BTreeMap<String, Option<String>> {
        self.settings.iter().map(|setting| (setting.name.clone(), setting.default.clone())).collect()
    }

    fn check(&self) -> Result<(), String> {
        check_name("plugin", &self.name)?;
        if self.version.is_empty() || self.version.len() > NAME_MAX_BYTES || self.version.chars().any(char::is_control) {
            return Err(format!("`{}` is no version", self.version));
        }
        if self.rules.is_empty() || self.rules.len() > RULES_MAX {
            return Err(format!("a plugin has 1 to {RULES_MAX} rules, this one has {}", self.rules.len()));
        }
        unique("rules", self.rules.iter().map(|rule| rule.name.clone()))?;
        self.rules.iter().try_for_each(RuleDeclaration::check)?;
        unique("endpoints", self.rules.iter().filter_map(RuleDeclaration::route))?;
        self.grants.check()?;
        if self.settings.len() > SETTINGS_MAX {
            return Err(format!("a plugin has at most {SETTINGS_MAX} settings"));
        }
        unique("settings", self.settings.iter().map(|setting| setting.name.clone()))?;
        self.settings.iter().try_for_each(SettingDeclaration::check)
    }
}

impl SettingDeclaration {
    fn check(&self) -> Result<(), String> {
        check_name("setting", &self.name.replace('_', "-"))?;
        if self.secret && self.default.is_some() {
            return Err(format!("the secret `{}` has a default; what stands in a component is no secret", self.name));
        }
        Ok(())
    }
}

fn unique(what: &str, names: impl Iterator<Item = String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if let Some(name) = seen.replace(name) {
            return Err(format!("two {what} have the same name: `{name}`"));
        }
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if starts && name.len() <= NAME_MAX_BYTES && name.bytes().all(letters) {
        return Ok(());
    }
    Err(format!("`{name}` is no name for a {what}: use lowercase letters, digits and hyphens"))
}
