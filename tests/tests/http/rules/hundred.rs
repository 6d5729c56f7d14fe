//! A hundred rules of one plugin about one collection: each write makes one instance, in which all of them run, in their order.

use std::time::Instant;

use serde_json::json;
use tests::TestApp;

use super::paste;

const RULES: u64 = 100;
const WRITES: u64 = 10;

#[tokio::test]
async fn a_hundred_rules_run_in_one_instance() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let fields = json!([{"name": "calls", "type": "integer"}, {"name": "first", "type": "integer"}, {"name": "order", "type": "text"}]);
    admin.collection("notes", fields).await;
    paste(&admin, include_str!("hundred.js")).await;

    let (begin, order) = (Instant::now(), (0..RULES).map(|number| format!("{number} ")).collect::<String>());
    for _ in 0..WRITES {
        let note = admin.create("notes", json!({})).await;
        assert_eq!((&note["calls"], &note["first"], &note["order"]), (&json!(RULES), &json!(1), &json!(order)), "{note}");
    }
    println!("{WRITES} writes with {RULES} rules each: {:?}", begin.elapsed());

    let stats = admin.get("/api/plugins/hundred/stats").await.json(200);
    let rules = stats["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), RULES as usize);
    for rule in rules {
        // Only the first rule of a write has to make an instance.
        let made = if rule["rule"] == "rule-0" { WRITES } else { 0 };
        assert_eq!((&rule["calls"], &rule["latency_us"]["instantiate"]["count"]), (&json!(WRITES), &json!(made)), "{rule}");
    }
}
