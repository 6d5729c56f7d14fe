//! `/api/records`: what every action on records shares is here, the actions are in the modules.

mod bodies;

mod create;

mod read;

mod list;

mod pages;

mod cursor_walk;

mod parameters;

mod search;

mod dialects;

mod expand;

mod aggregate;

mod update;

mod delete;

mod arrays;

mod modifiers;

mod upsert;

mod idempotency;

mod bulk;

mod batch;

mod ruled;

mod access;

mod export;

mod import;

mod relations;

use serde_json::{Value, json};
use tests::{Client, TestApp};

/// A collection with a field of every type.
pub const THINGS: &str = "/api/records/things";

/// A server whose admin has made the collection `things`.
pub async fn things() -> (TestApp, Client) {
    things_on(TestApp::start().await).await
}

/// The same on a server that was started already.
pub async fn things_on(app: TestApp) -> (TestApp, Client) {
    let admin = app.admin().await;
    admin.collection("things", fields()).await;
    (app, admin)
}

fn fields() -> Value {
    json!([
        {"name": "title", "type": "text", "required": true, "min": 2, "max": 20},
        {"name": "code", "type": "text", "unique": true},
        {"name": "mail", "type": "email"},
        {"name": "site", "type": "url"},
        {"name": "amount", "type": "integer", "min": 0, "default": 1},
        {"name": "ratio", "type": "number", "max": 1},
        {"name": "price", "type": "decimal", "min": 0},
        {"name": "active", "type": "bool"},
        {"name": "at", "type": "datetime"},
        {"name": "day", "type": "date"},
        {"name": "state", "type": "select", "values": ["new", "done"]},
        {"name": "tags", "type": "select", "values": ["x", "y", "z"], "many": true, "max": 2},
        {"name": "data", "type": "json", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        {"name": "owner", "type": "relation", "collection": "users"},
        {"name": "origin", "type": "text", "immutable": true},
        {"name": "secret", "type": "text", "hidden": true}
    ])
}

/// The id of a record.
#[track_caller]
pub fn id(record: &Value) -> &str {
    record["id"].as_str().unwrap_or_else(|| panic!("no id: {record}"))
}

/// The path of a record of `things`.
#[track_caller]
pub fn path(record: &Value) -> String {
    format!("{THINGS}/{}", id(record))
}
