//! What rules promise when many use them at once, when they are hostile, and while they are exchanged. Each of these tests takes its size from
//! an environment variable that it names; without one it is as large as every run of the tests has time for.

use std::{env, fs, path::Path};

use serde_json::{Value, json};
use tests::{Client, Method, TestApp, repository, url};

mod orders;

mod guests;

mod hostile;

mod flood;

mod state;

mod swap;

mod hundred;

mod same;

mod nested;

const NOTES: &str = "/api/records/notes";

/// How large a test is.
fn size(variable: &str, otherwise: usize) -> usize {
    env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: `{text}`")))
}

fn example(path: &str) -> Vec<u8> {
    let path = repository().join("plugins/examples").join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Installs a plugin that is given as JavaScript, with all that it wishes for. Answers what is said of it.
pub async fn paste(admin: &Client, text: impl Into<String>) -> Value {
    admin.request(Method::POST, "/api/plugins?grant=all").body("text/javascript", text.into()).send().await.json(201)
}

/// The collections that the plugin `hostile` is about.
async fn notes(admin: &Client) {
    let fields = json!([
        {"name": "behaviour", "type": "text"},
        {"name": "text", "type": "text"},
        {"name": "count", "type": "integer"},
        {"name": "depth", "type": "integer"},
        {"name": "found", "type": "bool"}
    ]);
    admin.collection("notes", fields).await;
    admin.collection("audit", json!([{"name": "note", "type": "text"}])).await;
}

/// Every record of a collection.
async fn all(client: &Client, collection: &str) -> Vec<Value> {
    let path = format!("/api/records/{collection}");
    let mut records = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut query = vec![("limit", "500"), ("sort", "id")];
        if !cursor.is_empty() {
            query.push(("cursor", &cursor));
        }
        let page = client.query(&path, &query).await.expect(200);
        let next = page.header("x-next-cursor").map(str::to_owned);
        records.extend(page.list());
        match next {
            Some(next) => cursor = next,
            None => return records,
        }
    }
}

/// Every delivery of a plugin.
async fn deliveries(admin: &Client, plugin: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut next = Some(url("/api/deliveries", &[("plugin", plugin), ("limit", "500")]));
    while let Some(path) = next {
        let page = admin.get(&path).await.expect(200);
        next = page.header("link").and_then(|link| Some(link.split_once('<')?.1.split_once('>')?.0.to_owned()));
        found.extend(page.list());
    }
    found
}

/// The process of a server, found by its folder.
pub fn process(app: &TestApp) -> u32 {
    let data = app.data_dir();
    let serves = |folder: &Path| {
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        words.contains(&&b"serve"[..]) && words.contains(&data.as_bytes())
    };
    let entries = fs::read_dir("/proc").expect("this is Linux").filter_map(Result::ok);
    let mut found = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().filter(|_| serves(&entry.path())));
    found.next().expect("the server runs")
}

/// Bytes of memory that a process has.
pub fn resident_bytes(process: u32) -> usize {
    let pages = fs::read_to_string(format!("/proc/{process}/statm")).expect("the process is alive");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * 4_096
}
