//! What a plugin says about itself, and which function implements which rule.

use serde::Serialize;

use crate::bindings::ironrule::rules::types;
use crate::{Answer, Event, Operation, Rejection, host};

type Implementation = fn(&Event) -> Answer;

/// A plugin: its name, its rules and what it wishes to be granted.
#[derive(Serialize)]
pub struct Plugin {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
    grants: Wishes,
    #[serde(skip)]
    implementations: Vec<Implementation>,
}

#[derive(Default, Serialize)]
struct Wishes {
    read: Vec<&'static str>,
    write: Vec<&'static str>,
}

/// When a rule runs.
#[derive(Serialize)]
pub struct Rule {
    name: &'static str,
    hook: &'static str,
    collections: Vec<&'static str>,
    operations: Vec<&'static str>,
    order: i32,
}

impl Rule {
    /// A rule that checks what is written to a collection, before it is written.
    pub fn before_write(name: &'static str, collection: &'static str) -> Self {
        Self { name, hook: "before-write", collections: vec![collection], operations: Vec::new(), order: 0 }
    }

    /// For which writes.
    pub fn on(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations.extend(operations.into_iter().map(Operation::as_str));
        self
    }

    /// Rules with a lower number run first; 0 unless told.
    pub fn order(mut self, order: i32) -> Self {
        self.order = order;
        self
    }
}

impl Plugin {
    /// A plugin without rules; its name is of lowercase letters, digits and hyphens.
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self { name, version, rules: Vec::new(), grants: Wishes::default(), implementations: Vec::new() }
    }

    /// Collections that the rules read.
    pub fn reads(mut self, collections: impl IntoIterator<Item = &'static str>) -> Self {
        self.grants.read.extend(collections);
        self
    }

    /// Collections that the rules write; writing implies reading.
    pub fn writes(mut self, collections: impl IntoIterator<Item = &'static str>) -> Self {
        self.grants.write.extend(collections);
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
        log_panics();
        let Some(position) = self.rules.iter().position(|rule| rule.name == event.rule) else {
            return Err(Rejection::internal(format!("unknown rule `{}`", event.rule)).into());
        };
        match self.implementations[position](&Event(event)) {
            Ok(outcome) => Ok(outcome.into()),
            Err(rejection) => Err(rejection.into()),
        }
    }
}

/// A panic ends the instance; without this its message would be lost with it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| host::log(host::Level::Error, &panic.to_string())));
}
