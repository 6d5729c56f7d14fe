//! Two versions of a plugin are exchanged under load: no request fails, every write is that of exactly one version, and everything that it did
//! is of the same one. `IRONRULE_SWAPS` (40) says how often.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Instant,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Client, Method, TestApp, eventually};

use super::{all, deliveries, paste, size};

const WRITERS: usize = 16;

const PATH: &str = "/api/plugins/swap";

/// A server with both versions, and the digest of each; the second one runs.
async fn both() -> (TestApp, Client, [String; 2]) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let text = |name: &str| json!({"name": name, "type": "text"});
    let number = |name: &str| json!({"name": name, "type": "integer"});
    admin.collection("notes", json!([number("number"), text("version"), number("product")])).await;
    admin.collection("marks", json!([text("note"), text("version"), text("seen")])).await;
    admin.collection("told", json!([text("note"), text("version")])).await;
    let mut digests = Vec::new();
    for version in ["1.0.0", "2.0.0"] {
        let installed = paste(&admin, include_str!("swap.js").replace("VERSION", version)).await;
        assert_eq!(installed["version"], version);
        digests.push(installed["digest"].as_str().expect("a digest").to_owned());
    }
    (app, admin, digests.try_into().expect("two digests"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_exchanged_under_load_and_nobody_notices() {
    let swaps = size("IRONRULE_SWAPS", 40);
    let (_app, admin, digests) = both().await;
    let (over, begin) = (AtomicBool::new(false), Instant::now());
    let exchange = async {
        for swap in 0..swaps {
            let wanted = &digests[swap % 2];
            let changed = match swap % 4 {
                0 | 3 => admin.patch(PATH, json!({"version": wanted})).await,
                _ => admin.request(Method::POST, &format!("{PATH}/rollback")).send().await,
            };
            assert_eq!(changed.json(200)["digest"], wanted.as_str(), "swap {swap}");
        }
        over.store(true, Relaxed);
        begin.elapsed()
    };
    let write = |writer: usize| {
        let (admin, over) = (&admin, &over);
        async move {
            let mut versions = HashMap::new();
            for turn in 0.. {
                if over.load(Relaxed) {
                    break;
                }
                let note = admin.create("notes", json!({"number": writer * 1_000_000 + turn})).await;
                versions.insert(text(&note, "id").to_owned(), text(&note, "version").to_owned());
            }
            versions
        }
    };
    let (took, written) = tokio::join!(exchange, join_all((0..WRITERS).map(write)));
    let written: HashMap<String, String> = written.into_iter().flatten().collect();
    check(&admin, &written, &digests).await;
    let of = |version: &str| written.values().filter(|one| *one == version).count();
    println!("{swaps} swaps in {took:?}: {} writes of version 1, {} of version 2", of("1.0.0"), of("2.0.0"));
    assert!(of("1.0.0") > 0 && of("2.0.0") > 0, "one version never ran");
}

/// Every trace of a write names the version that the answer to it named.
async fn check(admin: &Client, written: &HashMap<String, String>, digests: &[String; 2]) {
    let notes = all(admin, "notes").await;
    assert_eq!(notes.len(), written.len(), "records and answers differ");
    for note in &notes {
        let version = &written[text(note, "id")];
        let factor = if version == "1.0.0" { 1 } else { 2 };
        assert_eq!(text(note, "version"), version, "{note}");
        assert_eq!(note["product"].as_i64(), note["number"].as_i64().map(|number| number * factor), "{note}");
    }
    let marks = all(admin, "marks").await;
    assert!(marks.iter().all(|mark| mark["seen"] == mark["version"]), "the rules of one write are of two versions");
    once_each(&marks, written, |mark| (text(mark, "note").to_owned(), text(mark, "version").to_owned()));

    // Which version a write is of also stands in the outbox, written in the same transaction by the server itself.
    let labels = [1, 2].map(|number| format!("swap@{number}.0.0#{}", &digests[number - 1][..12]));
    let rows = deliveries(admin, "swap").await;
    once_each(&rows, written, |row| {
        let label = text(row, "version");
        assert!(labels.iter().any(|one| one == label), "no version of this plugin: {row}");
        let note = text(row, "key").rsplit_once('/').expect("the key of a record").1;
        (note.to_owned(), label[5..].split('#').next().unwrap_or_default().to_owned())
    });
    once_each(&told(admin, written.len()).await, written, |told| (text(told, "note").to_owned(), text(told, "version").to_owned()));
}

/// Waits until every rule that runs after a commit has run. How long that takes is not known; that it goes on is.
async fn told(admin: &Client, expected: usize) -> Vec<Value> {
    let count = async || {
        let answer = admin.query("/api/records/told", &[("count", "exact"), ("limit", "1")]).await;
        answer.expect_header("x-total-count").parse::<usize>().expect("a number")
    };
    let mut known = count().await;
    while known < expected {
        known = eventually("another rule has run after its commit", async || Some(count().await).filter(|now| *now > known)).await;
    }
    all(admin, "told").await
}

/// For every write there is one of these, of the same version, and there are no others.
fn once_each(found: &[Value], written: &HashMap<String, String>, of: impl Fn(&Value) -> (String, String)) {
    let mut seen = HashMap::new();
    for one in found {
        let (note, version) = of(one);
        assert_eq!(written.get(&note), Some(&version), "{one}");
        assert_eq!(seen.insert(note, version), None, "twice: {one}");
    }
    assert_eq!(seen.len(), written.len(), "some writes left no trace");
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no `{member}`: {value}"))
}
