//! Rules and the writes of several records: a rule sees what each record would be, and what it writes itself goes with all of them.

use serde_json::{Value, json};
use tests::{Client, TestApp, url};

use super::{THINGS, id, path, things};
use crate::rules::paste;

/// Things whose rule counts their amounts in the record `origin` names.
async fn tallied() -> (TestApp, Client, Value) {
    let (app, admin) = things().await;
    admin.collection("counters", json!([{"name": "count", "type": "integer", "default": 0}])).await;
    let counter = admin.create("counters", json!({})).await;
    paste(&admin, include_str!("tally.js")).await;
    (app, admin, counter)
}

async fn count(admin: &Client, counter: &Value) -> Value {
    admin.get(&format!("/api/records/counters/{}", id(counter))).await.json(200)["count"].clone()
}

#[tokio::test]
async fn a_rule_sees_what_modifiers_make_and_may_use_them() {
    let (_app, admin, counter) = tallied().await;
    let thing = admin.create("things", json!({"title": "ruled", "amount": 10, "origin": counter["id"]})).await;
    assert_eq!(count(&admin, &counter).await, 10);
    admin.patch(&path(&thing), json!({"amount+": 80})).await.expect(200);
    assert_eq!(count(&admin, &counter).await, 100);
    admin.patch(&path(&thing), json!({"amount+": 11})).await.problem(422, "rule.refused").errors(&["/amount amount.large"]);
    assert_eq!((admin.get(&path(&thing)).await.json(200)["amount"].clone(), count(&admin, &counter).await), (json!(90), json!(100)));
}

#[tokio::test]
async fn what_rules_write_for_several_records_stays_or_goes_with_all_of_them() {
    let (_app, admin, counter) = tallied().await;
    let thing = |amount: i64| json!({"title": "ruled", "amount": amount, "origin": counter["id"]});
    admin.post(THINGS, json!([thing(1), thing(2), thing(101)])).await.problem(422, "rule.refused").errors(&["/2/amount amount.large"]);
    assert_eq!((admin.get(THINGS).await.list(), count(&admin, &counter).await), (Vec::new(), json!(0)));
    let made = admin.post(THINGS, json!([thing(1), thing(2), thing(97)])).await.json(201);
    assert_eq!(count(&admin, &counter).await, 100);

    let before = admin.query(THINGS, &[("sort", "id")]).await.list();
    let all = |dry: &'static str| url(THINGS, &[("filter", "true"), ("max", "3"), ("dry_run", dry)]);
    let problem = admin.patch(&all("true"), json!({"amount+": 4})).await.problem(422, "rule.refused").errors(&["/amount amount.large"]);
    assert_eq!(problem.answer.json["record"], made[2]["id"], "{}", problem.answer);
    admin.patch(&all("false"), json!({"amount+": 4})).await.problem(422, "rule.refused").errors(&["/amount amount.large"]);
    admin.patch(&all("true"), json!({"amount+": 3})).await.expect(200);
    assert_eq!((admin.query(THINGS, &[("sort", "id")]).await.list(), count(&admin, &counter).await), (before, json!(100)));
    admin.patch(&all("false"), json!({"amount+": 3})).await.expect(200);
    assert_eq!(count(&admin, &counter).await, 100 + 4 + 5 + 100);
}
