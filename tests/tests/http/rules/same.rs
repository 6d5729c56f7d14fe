//! The same event and the same data give the same outcome, whatever the rule asks of chance, of the clock and of the database.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Client, Method, TestApp};

use super::{NOTES, example, notes, paste};

const RULES: &str = include_str!("same.js");

const THINGS: usize = 30;

/// Writers that want the same record.
const WRITERS: usize = 16;

async fn server() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    notes(&admin).await;
    admin.collection("things", json!([{"name": "name", "type": "text"}])).await;
    admin.collection("counters", json!([{"name": "count", "type": "integer"}])).await;
    for number in 0..THINGS {
        admin.create("things", json!({"name": format!("thing {}", number * 7 % THINGS)})).await;
    }
    admin.create("counters", json!({"count": 0})).await;
    (app, admin)
}

/// The recorded runs of a plugin, as (request, mode, result).
async fn runs(admin: &Client, plugin: &str) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for run in admin.get(&format!("/api/plugins/{plugin}/runs")).await.list() {
        let whole = admin.get(&format!("/api/plugins/{plugin}/runs/{}", run["seq"])).await.json(200);
        let text = |member: &str| run[member].as_str().expect("a text").to_owned();
        found.push((text("request"), text("mode"), whole["result"].clone()));
    }
    found
}

/// A version that is watched is asked the same as the one that runs, in the same transaction: a second run of the same event.
async fn twice(admin: &Client, plugin: &str) -> Vec<Value> {
    let mut both: HashMap<String, BTreeMap<String, Value>> = HashMap::new();
    for (request, mode, result) in runs(admin, plugin).await {
        both.entry(request).or_default().insert(mode, result);
    }
    let results = both.into_iter().filter(|(_, modes)| modes.len() == 2).map(|(request, modes)| {
        assert_eq!(modes["active"], modes["shadow"], "two runs of `{request}` differ");
        modes["active"].clone()
    });
    results.collect()
}

#[tokio::test]
async fn a_rule_in_javascript_decides_the_same_again() {
    let (_app, admin) = server().await;
    paste(&admin, RULES).await;
    let path = "/api/plugins?grant=all&mode=shadow";
    let watched = admin.request(Method::POST, path).body("text/javascript", format!("{RULES}// another digest\n"));
    watched.send().await.expect(201);
    for _ in 0..8 {
        admin.post(NOTES, json!({"text": "draw"})).await.problem(422, "rule.refused").errors(&["/text note.drawn"]);
    }
    let results = twice(&admin, "same").await;
    assert!(results.len() >= 8, "only {} runs were recorded twice", results.len());
    let violations: Vec<&Value> = results.iter().map(|result| &result["rejected"]["violations"][0]).collect();
    // Not because nothing was drawn: every request draws something else. What the database answers is always in the same order.
    let distinct = |of: fn(&Value) -> String| violations.iter().map(|violation| of(violation)).collect::<HashSet<_>>().len();
    assert_eq!(distinct(|violation| violation["message"].to_string()), results.len());
    assert_eq!(distinct(|violation| violation["params"].to_string()), 1);
    assert_eq!(violations[0]["params"]["things"].as_array().map(Vec::len), Some(THINGS), "{}", violations[0]);
}

#[tokio::test]
async fn a_rule_in_rust_decides_the_same_again() {
    let (_app, admin) = server().await;
    admin.upload(example("hostile/hostile.wasm"), "all").await.expect(201);
    // A custom section of one byte: what the component does stays.
    let other = [example("hostile/hostile.wasm"), vec![0, 3, 1, b'v', 1]].concat();
    admin.request(Method::POST, "/api/plugins?grant=all&mode=shadow").body("application/wasm", other).send().await.expect(201);
    // Its patch has fields that the collection does not have, so the record is refused; the runs themselves went well.
    admin.post(NOTES, json!({"behaviour": "random"})).await.problem(422, "record.invalid");
    let results = twice(&admin, "hostile").await;
    assert_eq!(results.len(), 1, "{results:?}");
    let patch = &results[0]["outcome"]["patch"];
    assert!(patch["random"].is_array() && patch["now"].is_u64(), "{patch}");
}

/// A transaction that is run again after a conflict decides the same: every attempt draws the same and sees the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_of_a_write_is_the_same_run() {
    let (_app, admin) = server().await;
    paste(&admin, RULES).await;
    let take = || admin.post(NOTES, json!({"text": "take"}));
    for answer in join_all((0..WRITERS).map(|_| take())).await {
        answer.expect(201);
    }
    let counters = admin.get("/api/records/counters").await.list();
    assert_eq!(counters[0]["count"], WRITERS, "an update was lost");

    let lines = admin.get("/api/plugins/same/logs?after=0&limit=1000").await.json(200);
    let mut drawn: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in lines["lines"].as_array().expect("lines") {
        drawn.entry(line["request"].as_str().expect("a request")).or_default().push(line["message"].as_str().expect("a message"));
    }
    let attempts: usize = drawn.values().map(Vec::len).sum();
    println!("{attempts} attempts of {WRITERS} writes");
    assert!(attempts > WRITERS, "no write was tried again");
    for (request, lines) in &drawn {
        assert!(lines.iter().all(|line| *line == lines[0]), "the attempts of `{request}` differ: {lines:?}");
    }
    let distinct: HashSet<&str> = drawn.values().map(|lines| lines[0]).collect();
    assert_eq!(distinct.len(), drawn.len(), "two requests drew the same");
}
