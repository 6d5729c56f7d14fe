//! Modifiers in the body of `PATCH`: `field+` and `field-` change what is stored, without reading it first.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::Client;

use super::{THINGS, id, path, things};

/// A collection with everything that can be modified, and one record of it.
async fn counters(admin: &Client) -> String {
    let fields = json!([
        {"name": "count", "type": "integer", "min": 0, "max": 1000, "default": 10},
        {"name": "big", "type": "integer"},
        {"name": "ratio", "type": "number"},
        {"name": "price", "type": "decimal", "scale": 2},
        {"name": "fine", "type": "decimal"},
        {"name": "tags", "type": "select", "values": ["x", "y", "z"], "many": true, "max": 2},
        {"name": "peers", "type": "relation", "collection": "users", "many": true},
        {"name": "data", "type": "json"},
        {"name": "fixed", "type": "integer", "immutable": true},
        {"name": "hidden", "type": "integer", "hidden": true},
        {"name": "title", "type": "text"}
    ]);
    admin.collection("counters", fields).await;
    let record =
        json!({"count": 10, "big": i64::MAX - 1, "price": "4.50", "fine": "1000000000000000000000000000", "fixed": 1, "hidden": 1});
    format!("/api/records/counters/{}", id(&admin.create("counters", record).await))
}

#[tokio::test]
async fn numbers_and_lists_are_changed_where_they_are() {
    let (app, admin) = things().await;
    let one = counters(&admin).await;
    let ann = app.user("ann").await;
    let body = json!({"count-": 3, "big+": 1, "ratio+": 0.5, "price+": "0.1", "tags+": ["x", "y", "x"], "peers+": ann.id(), "data+": [1, 2], "title": "t"});
    let changed = admin.patch(&one, body).await.json(200);
    let expected = json!({"count": 7, "big": i64::MAX, "ratio": 0.5, "price": "4.60", "tags": ["x", "y"], "peers": [ann.id()], "data": [1, 2], "title": "t"});
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&changed[field], value, "`{field}`");
    }
    let changed = admin.patch(&one, json!({"count+": 993, "tags-": "x", "peers-": [ann.id()], "data-": 1, "fine-": 1})).await.json(200);
    let expected = json!({"count": 1000, "tags": ["y"], "peers": [], "data": [2], "fine": "999999999999999999999999999"});
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&changed[field], value, "`{field}`");
    }
    assert_eq!(admin.get(&one).await.json(200), changed);
}

#[tokio::test]
async fn what_cannot_be_changed_so_changes_nothing() {
    let (_app, admin) = things().await;
    let one = counters(&admin).await;
    let before = admin.get(&one).await.json(200);
    let cases = [
        (json!({"count-": 11}), "/count- field.range"),
        (json!({"count+": 991}), "/count+ field.range"),
        (json!({"big+": 2}), "/big+ field.range"),
        (json!({"count+": 1.5}), "/count+ field.type"),
        (json!({"count+": "1"}), "/count+ field.type"),
        (json!({"count+": null}), "/count+ field.type"),
        (json!({"ratio+": [1]}), "/ratio+ field.type"),
        (json!({"price+": "0.001"}), "/price+ field.scale"),
        (json!({"fine+": "0.001"}), "/fine+ field.range"),
        (json!({"tags+": "q"}), "/tags+ field.choice"),
        (json!({"tags+": ["x", "y", "z"]}), "/tags+ field.length"),
        (json!({"tags+": 7}), "/tags+ field.type"),
        (json!({"peers+": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}), "/peers+ relation.missing"),
        (json!({"fixed+": 1}), "/fixed+ field.immutable"),
        (json!({"title+": "x"}), "/title+ field.type"),
        (json!({"nope+": 1}), "/nope+ field.unknown"),
        (json!({"id+": 1}), "/id+ field.unknown"),
        (json!({"+": 1}), "/+ field.unknown"),
        (json!({"count+ ": 1}), "/count+  field.unknown"),
        (json!({"count": 1, "count+": 1}), "/count+ field.ambiguous"),
        (json!({"count+": 1, "count-": 1}), "/count- field.ambiguous"),
    ];
    for (body, error) in cases {
        let problem = admin.patch(&one, body).await.problem(422, "record.invalid");
        let (pointer, code) = error.rsplit_once(' ').expect("two words");
        problem.errors(&[&format!("{pointer} {code}")]);
        assert_eq!(admin.get(&one).await.json(200), before);
    }
    // A list is only where one is stored.
    admin.patch(&one, json!({"data": {"a": 1}})).await.expect(200);
    admin.patch(&one, json!({"data+": 1})).await.problem(422, "record.invalid").errors(&["/data+ field.type"]);
    // Where a record is sent whole there is nothing to modify.
    admin.put(&one, json!({"count+": 1})).await.problem(422, "record.invalid").errors(&["/count+ field.unknown"]);
    admin.post("/api/records/counters", json!({"count+": 1})).await.problem(422, "record.invalid").errors(&["/count+ field.unknown"]);
}

#[tokio::test]
async fn of_many_who_count_at_once_everyone_counts() {
    let (_app, admin) = things().await;
    let one = counters(&admin).await;
    let counting = (0..32).map(|number| {
        let (admin, one) = (admin.clone(), one.clone());
        async move {
            for _ in 0..5 {
                let answer = admin.patch(&one, json!({"count+": 2, "data+": [number]})).await;
                answer.expect(200);
            }
        }
    });
    join_all(counting).await;
    let record = admin.get(&one).await.json(200);
    assert_eq!(record["count"], 10 + 32 * 5 * 2);
    let mut numbers: Vec<u64> = record["data"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..32).flat_map(|number| [number; 5]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_modifier_is_a_write_of_its_field() {
    let (app, admin) = things().await;
    admin.allow("role:authenticated", "things", "read", "").await;
    let policy = json!({"subject": "role:authenticated", "object": "things", "action": "update", "fields": "title amount", "condition": "record.amount < 5"});
    admin.policy(policy).await;
    let ann = app.user("ann").await;
    let record = admin.create("things", json!({"title": "masked", "amount": 3, "price": "1"})).await;
    let problem = ann.patch(&path(&record), json!({"amount+": 1, "price+": "1"})).await.problem(403, "policy.denied");
    problem.errors(&["/price+ field.forbidden"]);
    // The condition holds for what comes of it.
    ann.patch(&path(&record), json!({"amount+": 2})).await.problem(403, "policy.denied");
    assert_eq!(admin.get(&path(&record)).await.json(200), record);
    assert_eq!(ann.patch(&path(&record), json!({"amount+": 1})).await.json(200)["amount"], 4);
    // Adding nothing changes nothing, so it does no harm.
    ann.patch(&path(&record), json!({"price+": 0})).await.expect(200);
}

#[tokio::test]
async fn a_modifier_tells_nothing_about_what_cannot_be_read() {
    let (app, admin) = things().await;
    admin.policy(json!({"subject": "role:authenticated", "object": "things", "action": "read", "fields": "title"})).await;
    admin.allow("role:authenticated", "things", "update", "").await;
    let ann = app.user("ann").await;
    let fields = [("amount", json!([0, 5, i64::MAX])), ("ratio", json!([-1.0, 0.5, 1])), ("tags", json!([["x"], ["x", "y"], []]))];
    for (field, values) in fields {
        for value in values.as_array().expect("values") {
            let record = admin.create("things", json!({"title": "guess", field: value})).await;
            for sign in ['+', '-'] {
                for step in [json!(1), json!(-1), json!(i64::MAX), json!("x"), json!(["x", "y", "z"]), json!(null)] {
                    let name = format!("{field}{sign}");
                    let problem = ann.patch(&path(&record), json!({&name: step})).await.problem(403, "policy.denied");
                    problem.errors(&[&format!("/{name} field.forbidden")]);
                }
            }
            assert_eq!(admin.get(&path(&record)).await.json(200), record);
        }
    }
    // Nobody can read a hidden field, not even an admin.
    let one = counters(&admin).await;
    admin.patch(&one, json!({"hidden+": 1})).await.problem(403, "policy.denied").errors(&["/hidden+ field.forbidden"]);
    let own = format!("/api/records/users/{}", ann.id());
    admin.patch(&own, json!({"password+": "x"})).await.problem(403, "policy.denied").errors(&["/password+ field.forbidden"]);
}

#[tokio::test]
async fn if_match_holds_for_modifiers_too() {
    let (_app, admin) = things().await;
    let created = admin.post(THINGS, json!({"title": "guarded", "amount": 1})).await.expect(201);
    let (one, tag) = (path(&created.json), created.expect_header("etag"));
    let add = || admin.request(tests::Method::PATCH, &one).header("if-match", tag).json(&json!({"amount+": 1})).send();
    add().await.expect(200);
    add().await.problem(412, "record.version_mismatch");
    assert_eq!(admin.get(&one).await.json(200)["amount"], 2);
}
