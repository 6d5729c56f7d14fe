//! What a plugin says about itself. Parsed and checked once, when it is loaded.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::grants::Grants;

const RULES_MAX: usize = 100;
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
    /// Collections it wishes to use. Only what an operator grants is allowed.
    #[serde(default)]
    pub grants: Grants,
    /// Lower limits than the server's.
    #[serde(default)]
    pub limits: WishedLimits,
}

/// When a rule runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDeclaration {
    /// Like the plugin's name.
    pub name: String,
    /// Where in the story it runs.
    pub hook: Hook,
    /// Collections whose records it checks; at least one.
    pub collections: BTreeSet<String>,
    /// What must happen to a record; at least one.
    pub operations: BTreeSet<Operation>,
    /// Rules with a lower number run first.
    #[serde(default)]
    pub order: i32,
}

impl RuleDeclaration {
    /// Whether the rule runs for this write.
    pub fn applies(&self, hook: Hook, operation: Operation, collection: &str) -> bool {
        self.hook == hook && self.operations.contains(&operation) && self.collections.contains(collection)
    }
}

/// Where in the story rules run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// In the transaction, before the record is validated and written.
    BeforeWrite,
}

impl Hook {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeWrite => "before-write",
        }
    }
}

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is created.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
}

impl Operation {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
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

    fn check(&self) -> Result<(), String> {
        check_name("plugin", &self.name)?;
        if self.version.is_empty() || self.version.len() > NAME_MAX_BYTES {
            return Err(format!("`{}` is no version", self.version));
        }
        if self.rules.is_empty() || self.rules.len() > RULES_MAX {
            return Err(format!("a plugin has 1 to {RULES_MAX} rules, this one has {}", self.rules.len()));
        }
        let names: BTreeSet<&str> = self.rules.iter().map(|rule| rule.name.as_str()).collect();
        if names.len() < self.rules.len() {
            return Err("two rules have the same name".to_owned());
        }
        self.rules.iter().try_for_each(RuleDeclaration::check)
    }
}

impl RuleDeclaration {
    fn check(&self) -> Result<(), String> {
        check_name("rule", &self.name)?;
        if self.collections.is_empty() {
            return Err(format!("rule `{}` names no collection", self.name));
        }
        if self.operations.is_empty() {
            return Err(format!("rule `{}` names no operation", self.name));
        }
        Ok(())
    }
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if starts && name.len() <= NAME_MAX_BYTES && name.bytes().all(letters) {
        return Ok(());
    }
    Err(format!("`{name}` is no name for a {what}: use lowercase letters, digits and hyphens"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(manifest: &str, expected: Result<(), &str>) {
        match (Manifest::parse(manifest), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{error} lacks {part}")
            }
            (parsed, _) => panic!("{manifest}: {parsed:?}, expected {expected:?}"),
        }
    }

    fn with(rule: &str) -> String {
        format!(r#"{{"name":"p","version":"1","rules":[{rule}]}}"#)
    }

    const RULE: &str = r#"{"name":"r","hook":"before-write","collections":["c"],"operations":["create"]}"#;

    #[test]
    fn manifests_are_checked() {
        check(&with(RULE), Ok(()));
        check(&with(""), Err("1 to 100 rules"));
        check(&with(&format!("{RULE},{RULE}")), Err("same name"));
        check(&with(&RULE.replace("before-write", "after-write")), Err("unknown variant `after-write`"));
        check(&with(&RULE.replace("[\"c\"]", "[]")), Err("names no collection"));
        check(&with(&RULE.replace("[\"create\"]", "[]")), Err("names no operation"));
        check(&with(&RULE.replace("\"create\"", "\"read\"")), Err("unknown variant `read`"));
        check(&with(&RULE.replace("\"r\"", "\"No\"")), Err("is no name for a rule"));
        check(&with(&RULE.replace("\"hook\"", "\"when\":1,\"hook\"")), Err("unknown field `when`"));
        check(&with(RULE).replace("\"p\"", "\"1p\""), Err("is no name for a plugin"));
        check(&with(RULE).replace("}]}", "}],\"network\":true}"), Err("unknown field `network`"));
        check("[]", Err("not valid"));
    }
}
