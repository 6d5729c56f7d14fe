//! What a rule keeps in its memory is gone with its transaction: nobody sees what was there for somebody else. `IRONRULE_STATE_CALLS` (20) says
//! how often each of 64 clients asks.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::{NOTES, example, paste, size};

const CLIENTS: usize = 64;

/// Records of one transaction.
const MANY: usize = 5;

/// A server with a rule in Rust and one in JavaScript that count.
async fn counting() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let text = |name: &str| json!({"name": name, "type": "text"});
    let number = |name: &str| json!({"name": name, "type": "integer"});
    admin.collection("notes", json!([text("behaviour"), text("text"), number("count"), number("calls"), text("kept")])).await;
    admin.collection("audit", json!([text("note")])).await;
    admin.upload(example("hostile/hostile.wasm"), "all").await.expect(201);
    paste(&admin, include_str!("state.js")).await;
    (app, admin)
}

/// Lets every client do this so many times.
async fn everybody(times: usize, what: impl AsyncFn(String)) {
    let client = async |client: usize| {
        for time in 0..times {
            what(format!("{client}-{time}")).await;
        }
    };
    join_all((0..CLIENTS).map(client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_counts_sees_one_every_time() {
    let (_app, admin) = counting().await;
    let times = size("IRONRULE_STATE_CALLS", 20);
    let counted = async |text: String| {
        let note = admin.post(NOTES, json!({"behaviour": "count-global", "text": text})).await.json(201);
        assert_eq!((&note["count"], &note["calls"], &note["kept"]), (&json!(1), &json!(1), &json!("[]")), "{note}");
    };
    everybody(times, counted).await;
    println!("{} calls of each rule", times * CLIENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_remembers_is_not_there_for_the_next_caller() {
    let (_app, admin) = counting().await;
    let remembered = async |text: String| {
        admin.create("notes", json!({"behaviour": "remember", "text": text})).await;
        let note = admin.create("notes", json!({"behaviour": "recall", "text": text})).await;
        assert_eq!((&note["text"], &note["kept"]), (&json!(""), &json!("[]")), "{note}");
    };
    everybody(size("IRONRULE_STATE_CALLS", 20) / 4 + 1, remembered).await;
}

/// Records that are written in one transaction share an instance, unless the server needs its place for others; never do two transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_records_at_once_see_only_each_other() {
    let (_app, admin) = counting().await;
    let times = size("IRONRULE_STATE_CALLS", 20) / 5 + 1;
    let written = async |text: String| {
        let texts: Vec<String> = (0..MANY).map(|number| format!("{text}-{number}")).collect();
        let made = admin.post("/api/ext/state/many", json!({"texts": texts})).await.json(200);
        assert_eq!(made["calls"], 1, "{made}");
        let notes = made["notes"].as_array().expect("notes");
        assert_eq!(notes.len(), MANY, "{made}");
        let (mut rust, mut script) = (0, 0);
        for (place, note) in notes.iter().enumerate() {
            rust = next(rust, &note["count"], &made);
            script = next(script, &note["calls"], &made);
            let kept: Vec<String> = serde_json::from_str(note["kept"].as_str().expect("a text")).expect("a list");
            let own = &texts[place + 1 - usize::try_from(script).expect("a small number")..place];
            assert!(kept.iter().all(|text| own.contains(text)), "what others wrote is there: {made}");
        }
    };
    everybody(times, written).await;
}

/// A count goes on in the same instance, or begins again in a fresh one.
fn next(last: i64, count: &Value, made: &Value) -> i64 {
    let count = count.as_i64().unwrap_or_else(|| panic!("no count: {made}"));
    assert!(count == 1 || count == last + 1, "{last} was followed by {count}: {made}");
    count
}

/// The same when nobody else is there: then nothing is given back early.
#[tokio::test]
async fn one_transaction_has_one_instance() {
    let (_app, admin) = counting().await;
    for _ in 0..3 {
        let made = admin.post("/api/ext/state/many", json!({"texts": ["a", "b", "c"]})).await.json(200);
        let counts: Vec<_> = made["notes"].as_array().expect("notes").iter().map(|note| (&note["count"], &note["calls"])).collect();
        assert_eq!(counts, [(&json!(1), &json!(1)), (&json!(2), &json!(2)), (&json!(3), &json!(3))], "{made}");
    }
}
