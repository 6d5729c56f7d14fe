//! The HTTP server itself, over real sockets: what slow, greedy and broken clients get, and that honest ones do not notice.

use serde_json::{Value, json};
use tests::{Client, Options, TestApp};

mod slow;

mod crowd;

mod drain;

mod streams;

mod head;

mod tls;

mod compression;

mod patience;

mod rates;

mod bombs;

mod addresses;

/// A server with these settings beside those of every test.
async fn with(settings: &[(&str, &str)]) -> TestApp {
    let environment = settings.iter().map(|(name, value)| (format!("IRONRULE_{name}"), (*value).to_owned())).collect();
    TestApp::start_with(Options { environment, ..Options::default() }).await
}

/// A collection that anybody may read and write.
async fn notes(admin: &Client) {
    admin.collection("notes", json!([{"name": "text", "type": "text"}, {"name": "number", "type": "integer"}])).await;
    admin.allow("role:anyone", "notes", "*", "").await;
}

const NOTES: &str = "/api/records/notes";

/// The texts of all notes, sorted.
async fn texts(client: &Client) -> Vec<Value> {
    let mut texts: Vec<Value> = client.get("/api/records/notes?limit=1000").await.list().iter().map(|note| note["text"].clone()).collect();
    texts.sort_by_key(Value::to_string);
    texts
}
