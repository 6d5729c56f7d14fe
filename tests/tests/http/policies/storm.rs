//! Policies A and B take turns while everybody reads: every answer is one that A gives or one that B gives, never a mixture.
//!
//! `STORM_CHANGES` sets how often they change (1,000 if it is not set).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use tests::{Client, TestApp};

/// A shows the titles of what is red and has the reader's role denied the rest; B shows the bodies of what is blue. Each consists of three
/// parts that mean nothing alone.
fn part(color: &str, field: &str, other: &str) -> Value {
    json!([
        {"subject": "role:authenticated", "object": "notes", "action": "read", "fields": "color title body", "condition": format!("record.color == '{color}'")},
        {"subject": "role:authenticated", "object": "notes", "action": "read", "fields": other, "effect": "deny"},
        {"subject": format!("role:{field}"), "object": "notes", "action": "update", "fields": field},
    ])
}

/// What an answer was: of A, or of B.
fn whose(records: &[Value]) -> &'static str {
    let colors: Vec<&str> = records.iter().filter_map(|record| record["color"].as_str()).collect();
    let has = |name: &str| records.iter().filter(|record| record.get(name).is_some()).count();
    match (colors.as_slice(), has("title"), has("body")) {
        (["red", "red", "red"], 3, 0) => "a",
        (["blue", "blue"], 0, 2) => "b",
        _ => panic!("neither A nor B: {records:?}"),
    }
}

async fn ids(admin: &Client, policies: &Value) -> Vec<String> {
    let changed = admin.post("/api/policies/changes", json!({"add": policies})).await.json(200);
    changed["added"].as_array().into_iter().flatten().filter_map(|policy| policy["id"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_half_of_a_change() {
    let changes: u64 = std::env::var("STORM_CHANGES").ok().map_or(1_000, |text| text.parse().expect("a number"));
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let fields = ["color", "title", "body"].map(|name| json!({"name": name, "type": "text"}));
    admin.collection("notes", json!(fields)).await;
    for (color, count) in [("red", 3), ("blue", 2)] {
        for _ in 0..count {
            admin.create("notes", json!({"color": color, "title": "t", "body": "b"})).await;
        }
    }
    let (a, b) = (part("red", "title", "body"), part("blue", "body", "title"));
    let of_b = ids(&admin, &b).await;
    let of_a = {
        let change = json!({"add": a, "remove": of_b});
        let changed = admin.post("/api/policies/changes", change).await.json(200);
        changed["added"].as_array().into_iter().flatten().filter_map(|policy| policy["id"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!((of_a.len(), of_b.len()), (3, 3));
    let readers = [app.user("ann").await, app.user("ben").await, app.user("cy").await];
    let (done, seen) = (AtomicBool::new(false), [AtomicU64::new(0), AtomicU64::new(0)]);

    let changing = async {
        for number in 0..changes {
            let change = if number % 2 == 0 { json!({"add": b, "remove": of_a}) } else { json!({"add": a, "remove": of_b}) };
            admin.post("/api/policies/changes", change).await.expect(200);
        }
        done.store(true, Ordering::Relaxed);
    };
    let (running, seen) = (&done, &seen);
    let reading = futures_util::future::join_all(readers.iter().map(|reader| async move {
        while !running.load(Ordering::Relaxed) {
            let place = usize::from(whose(&reader.get("/api/records/notes").await.list()) == "b");
            seen[place].fetch_add(1, Ordering::Relaxed);
        }
    }));
    tokio::join!(changing, reading);
    let [a, b] = [&seen[0], &seen[1]].map(|count| count.load(Ordering::Relaxed));
    println!("{changes} changes, {a} answers of A, {b} of B");
    assert!(a > 20 && b > 20, "{a} {b}");
}
