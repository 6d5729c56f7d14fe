//! When a rule runs: around a write, at a time, or for a request.

use serde::Serialize;
use serde_json::Value;

use crate::Operation;

/// When a rule runs.
#[derive(Serialize)]
#[must_use]
pub struct Rule {
    name: &'static str,
    hook: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    collections: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operations: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Value>,
    order: i32,
}

impl Rule {
    /// A rule that checks what is written to a collection, before it is written.
    pub fn before_write(name: &'static str, collection: &'static str) -> Self {
        Self::new(name, "before-write").collections([collection])
    }

    /// A rule that reacts to what was written to a collection. It runs soon after the commit in a transaction of its own, at
    /// least once: when it fails, it is tried again. `Context::delivery` tells a second run from a first one.
    pub fn after_commit(name: &'static str, collection: &'static str) -> Self {
        Self::new(name, "after-commit").collections([collection])
    }

    /// A rule that runs when another rule of the plugin asks for it, with `effects::job`.
    pub fn job(name: &'static str) -> Self {
        Self::new(name, "after-commit")
    }

    /// A rule that runs at certain times: five fields of cron, in UTC. `0 3 * * *` is each night at three.
    pub fn scheduled(name: &'static str, cron: &'static str) -> Self {
        Self { schedule: Some(cron), ..Self::new(name, "scheduled") }
    }

    /// A rule that answers requests to `/api/ext/PLUGIN` and this path, for whoever is logged in; see [`Rule::anyone`].
    /// A variable of the path is a whole segment: `/pay/{id}`.
    pub fn endpoint(name: &'static str, method: &str, path: &'static str) -> Self {
        Self { method: Some(method.to_ascii_uppercase()), path: Some(path), ..Self::new(name, "endpoint") }
    }

    /// For which writes.
    pub fn on(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations.extend(operations.into_iter().map(Operation::as_str));
        self
    }

    /// For these collections too.
    pub fn collections(mut self, collections: impl IntoIterator<Item = &'static str>) -> Self {
        self.collections.extend(collections);
        self
    }

    /// Rules with a lower number run first; 0 unless told.
    pub fn order(mut self, order: i32) -> Self {
        self.order = order;
        self
    }

    /// Opens an endpoint to callers that are not logged in. The rule has to find out itself whom it can trust.
    pub fn anyone(mut self) -> Self {
        self.access = Some("anyone");
        self
    }

    /// A sentence about an endpoint for the API document.
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.summary = Some(summary);
        self
    }

    /// JSON Schema of the body that an endpoint takes.
    pub fn request(mut self, schema: Value) -> Self {
        self.request = Some(schema);
        self
    }

    /// JSON Schema of the body that an endpoint answers.
    pub fn response(mut self, schema: Value) -> Self {
        self.response = Some(schema);
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    fn new(name: &'static str, hook: &'static str) -> Self {
        Self {
            name,
            hook,
            collections: Vec::new(),
            operations: Vec::new(),
            schedule: None,
            method: None,
            path: None,
            access: None,
            summary: None,
            request: None,
            response: None,
            order: 0,
        }
    }
}
