//! What a plugin says about itself, and which function implements which rule.

use serde::Serialize;

use crate::bindings::ironrule::rules::types;
use crate::rule::Rule;
use crate::{Answer, Event, Rejection, host};

type Implementation = fn(&Event) -> Answer;

/// A plugin: its name, its rules and what it wishes to be granted.
#[derive(Serialize)]
pub struct Plugin {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writes_as: Option<&'static str>,
    grants: Wishes,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    settings: Vec<Setting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    #[serde(skip)]
    implementations: Vec<Implementation>,
}

#[derive(Default, Serialize)]
struct Wishes {
    read: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    query: Vec<&'static str>,
    write: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhooks: Vec<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    email: bool,
}

/// A value that the operator gives to the plugin, read with `host::setting`.
#[derive(Serialize)]
#[must_use]
pub struct Setting {
    name: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
}

impl Setting {
    /// A setting that has no value until the operator sets one.
    pub fn new(name: &'static str) -> Self {
        Self { name, secret: false, default: None, description: None }
    }

    /// One that the server stores encrypted and never shows again.
    pub fn secret(name: &'static str) -> Self {
        Self { secret: true, ..Self::new(name) }
    }

    /// What holds until the operator sets a value. Secrets have no default: a component is not secret.
    pub fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// A sentence for the operator.
    pub fn description(mut self, description: &'static str) -> Self {
        self.description = Some(description);
        self
    }
}

/// Lower limits than the server's, for each call.
#[derive(Default, Serialize)]
pub struct Limits {
    /// milliseconds that a call computes
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_ms: Option<u64>,
    /// bytes of memory
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max_bytes: Option<u64>,
    /// host calls
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_calls: Option<u32>,
    /// effects that a call enqueues
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effects: Option<u32>,
}

impl Plugin {
    /// A plugin without rules; its name is of lowercase letters, digits and hyphens.
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            rules: Vec::new(),
            writes_as: None,
            grants: Wishes::default(),
            settings: Vec::new(),
            limits: None,
            implementations: Vec::new(),
        }
    }

    /// Collections whose records the rules read by their ids.
    pub fn reads(mut self, collections: impl IntoIterator<Item = &'static str>) -> Self {
        self.grants.read.extend(collections);
        self
    }

    /// Collections that the rules search, with `records::query`; searching implies reading. Whoever writes to one of them takes
    /// turns with the searches, so that none misses a record.
    pub fn searches(mut self, collections: impl IntoIterator<Item = &'static str>) -> Self {
        self.grants.query.extend(collections);
        self
    }

    /// Collections that the rules write; writing implies reading.
    pub fn writes(mut self, collections: impl IntoIterator<Item = &'static str>) -> Self {
        self.grants.write.extend(collections);
        self
    }

    /// Hosts that webhooks go to: `api.example.com`, or `*.example.com` for every name below.
    pub fn webhooks(mut self, hosts: impl IntoIterator<Item = &'static str>) -> Self {
        self.grants.webhooks.extend(hosts);
        self
    }

    /// The rules send e-mail.
    pub fn sends_email(mut self) -> Self {
        self.grants.email = true;
        self
    }

    /// What the rules write has to be allowed by the caller's policies too, not only by the plugin's grants.
    pub fn writes_as_caller(mut self) -> Self {
        self.writes_as = Some("caller");
        self
    }

    /// Declares a setting.
    pub fn setting(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }

    /// Puts limits on the plugin itself.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Adds a rule and the function that implements it.
    pub fn rule(mut self, rule: Rule, implementation: Implementation) -> Self {
        self.rules.push(rule);
        self.implementations.push(implementation);
        self
    }

    #[doc(hidden)]
    pub fn manifest(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    #[doc(hidden)]
    pub fn run(&self, event: types::Event) -> Result<types::Outcome, types::Rejection> {
        std::panic::set_hook(Box::new(host::log_panic));
        let Some(position) = self.rules.iter().position(|rule| rule.name() == event.rule) else {
            return Err(Rejection::internal(format!("unknown rule `{}`", event.rule)).into());
        };
        match self.implementations[position](&Event(event)) {
            Ok(outcome) => Ok(outcome.into()),
            Err(rejection) => Err(rejection.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Operation::{Create, Update};
    use crate::accept;

    fn check(plugin: &Plugin, expected: Value) {
        assert_eq!(serde_json::from_str::<Value>(&plugin.manifest()).expect("a manifest is JSON"), expected);
    }

    #[test]
    fn a_manifest_says_no_more_than_the_plugin() {
        let rule = Rule::before_write("r", "c").on([Create, Update]);
        let plugin = Plugin::new("p", "1.0.0").reads(["a"]).writes(["b"]).rule(rule, |_| accept());
        check(
            &plugin,
            json!({
                "name": "p",
                "version": "1.0.0",
                "rules": [{ "name": "r", "hook": "before-write", "collections": ["c"], "operations": ["create", "update"], "order": 0 }],
                "grants": { "read": ["a"], "write": ["b"] },
            }),
        );
    }

    #[test]
    fn every_hook_has_its_members() {
        let schema = json!({ "type": "object" });
        let endpoint = Rule::endpoint("e", "post", "/pay/{id}").anyone().summary("Pays.").request(schema.clone()).response(schema.clone());
        let plugin = Plugin::new("p", "1.0.0")
            .rule(Rule::after_commit("a", "c").collections(["d"]).on([Update]).order(3), |_| accept())
            .rule(Rule::job("j"), |_| accept())
            .rule(Rule::scheduled("s", "0 3 * * *"), |_| accept())
            .rule(endpoint, |_| accept());
        let rules = json!([
            { "name": "a", "hook": "after-commit", "collections": ["c", "d"], "operations": ["update"], "order": 3 },
            { "name": "j", "hook": "after-commit", "order": 0 },
            { "name": "s", "hook": "scheduled", "schedule": "0 3 * * *", "order": 0 },
            {
                "name": "e",
                "hook": "endpoint",
                "method": "POST",
                "path": "/pay/{id}",
                "access": "anyone",
                "summary": "Pays.",
                "request": schema,
                "response": schema,
                "order": 0
            },
        ]);
        check(&plugin, json!({ "name": "p", "version": "1.0.0", "rules": rules, "grants": { "read": [], "write": [] } }));
    }

    #[test]
    fn wishes_settings_and_limits_are_said() {
        let plugin = Plugin::new("p", "1.0.0")
            .writes_as_caller()
            .searches(["a"])
            .webhooks(["*.example.com"])
            .sends_email()
            .setting(Setting::new("per_owner").default("5").description("How many."))
            .setting(Setting::secret("key"))
            .limits(Limits { effects: Some(2), ..Limits::default() });
        check(
            &plugin,
            json!({
                "name": "p",
                "version": "1.0.0",
                "rules": [],
                "writes_as": "caller",
                "grants": { "read": [], "query": ["a"], "write": [], "webhooks": ["*.example.com"], "email": true },
                "settings": [{ "name": "per_owner", "default": "5", "description": "How many." }, { "name": "key", "secret": true }],
                "limits": { "effects": 2 },
            }),
        );
    }
}
