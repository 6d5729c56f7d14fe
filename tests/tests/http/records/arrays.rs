//! `POST /api/records/{collection}` with an array: all of it or nothing.

use serde_json::{Value, json};
use tests::PASSWORD;

use super::{THINGS, id, path, things};
use crate::shop::{self, ORDERS};

#[tokio::test]
async fn all_records_of_an_array_are_created() {
    let (_app, admin) = things().await;
    let body = json!([{"title": "one", "code": "A"}, {"title": "two", "price": "1.50"}, {"title": "three", "amount": 3}]);
    let answer = admin.post(THINGS, body).await.expect(201);
    assert!(answer.header("etag").is_none() && answer.header("location").is_none(), "{answer}");
    let created = answer.json.as_array().expect("an array").clone();
    let titles: Vec<&Value> = created.iter().map(|record| &record["title"]).collect();
    assert_eq!(titles, ["one", "two", "three"]);
    assert_eq!((&created[0]["amount"], &created[1]["price"]), (&json!(1), &json!("1.50")));
    assert!(id(&created[0]) < id(&created[1]) && id(&created[1]) < id(&created[2]), "not in order: {answer}");
    for record in &created {
        assert_eq!(&admin.get(&path(record)).await.json(200), record);
    }
    let mut listed = admin.query(THINGS, &[("sort", "id")]).await.list();
    assert_eq!(listed, created);
    // Each is a record like any other: it has a version, and can be changed.
    listed[0] = admin.patch(&path(&created[0]), json!({"amount": 2})).await.json(200);
    assert_eq!(admin.query(THINGS, &[("sort", "id")]).await.list(), listed);
}

#[tokio::test]
async fn an_array_of_one_is_still_an_array() {
    let (_app, admin) = things().await;
    let created = admin.post(THINGS, json!([{"title": "alone"}])).await.json(201);
    assert_eq!(created.as_array().map(Vec::len), Some(1), "{created}");
}

#[tokio::test]
async fn an_array_has_a_thousand_records_at_most() {
    let (_app, admin) = things().await;
    let many = |count: usize| Value::Array((0..count).map(|number| json!({"title": format!("no {number}")})).collect());
    admin.post(THINGS, many(1_001)).await.problem(400, "body.too_many_records");
    admin.post(THINGS, json!([])).await.problem(400, "body.shape");
    let counted = || admin.query(THINGS, &[("count", "exact"), ("limit", "1")]);
    assert_eq!(counted().await.expect_header("x-total-count"), "0");
    admin.post(THINGS, many(1_000)).await.expect(201);
    assert_eq!(counted().await.expect_header("x-total-count"), "1000");
}

#[tokio::test]
async fn one_wrong_record_and_none_is_written() {
    let (_app, admin) = things().await;
    admin.create("things", json!({"title": "first", "code": "A"})).await;
    let before = admin.get(THINGS).await.list();
    let good = json!({"title": "good"});
    let wrong = [
        (json!({"title": "x", "amount": -1}), 422, "record.invalid", vec!["/1/title field.length", "/1/amount field.range"]),
        (json!({"title": "ok", "data": {"n": "x"}}), 422, "record.invalid", vec!["/1/data/n field.schema"]),
        (json!({"title": "ok", "code": "A"}), 409, "record.unique", vec!["/1/code field.unique"]),
        (json!({"title": "ok", "owner": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}), 422, "record.invalid", vec!["/1/owner relation.missing"]),
        (json!({"title": "ok", "amount+": 1}), 422, "record.invalid", vec!["/1/amount+ field.unknown"]),
        (json!([]), 400, "body.shape", vec!["/1 body.shape"]),
        (json!(null), 400, "body.shape", vec!["/1 body.shape"]),
    ];
    for (record, status, code, errors) in wrong {
        let problem = admin.post(THINGS, json!([good, record, good])).await.problem(status, code);
        problem.errors(&errors);
        assert_eq!(admin.get(THINGS).await.list(), before, "something was written beside {record}");
    }
}

#[tokio::test]
async fn what_is_unique_is_unique_within_the_array_too() {
    let (_app, admin) = things().await;
    let body = json!([{"title": "one", "code": "A"}, {"title": "two", "code": "B"}, {"title": "three", "code": "A"}]);
    admin.post(THINGS, body).await.problem(409, "record.unique").errors(&["/2/code field.unique"]);
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn of_many_arrays_with_the_same_value_one_is_written() {
    let (_app, admin) = things().await;
    let body = |number: usize| json!([{"title": format!("a {number}")}, {"title": format!("b {number}"), "code": "A"}]);
    let answers = futures_util::future::join_all((0..16).map(|number| admin.post(THINGS, body(number)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "record.unique").errors(&["/1/code field.unique"]);
    }
    assert_eq!(admin.get(THINGS).await.list().len(), 2);
}

#[tokio::test]
async fn every_record_is_under_the_policies() {
    let (app, admin) = things().await;
    let policy = json!({"subject": "role:authenticated", "object": "things", "action": "create", "fields": "title owner", "condition": "record.owner == caller.id"});
    admin.policy(policy).await;
    let ann = app.user("ann").await;
    let (own, foreign) = (json!({"title": "mine", "owner": ann.id()}), json!({"title": "not mine"}));
    app.anonymous().post(THINGS, json!([own])).await.problem(401, "auth.required");
    ann.post(THINGS, json!([own, foreign])).await.problem(403, "policy.denied").errors(&["/1 policy.denied"]);
    let masked = json!({"title": "mine", "owner": ann.id(), "amount": 9});
    ann.post(THINGS, json!([own, own, masked])).await.problem(403, "policy.denied").errors(&["/2/amount field.forbidden"]);
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
    // Who may not read what it has written hears the ids.
    let created = ann.post(THINGS, json!([own, own])).await.json(201);
    assert_eq!(created.as_array().map(Vec::len), Some(2));
    assert!(created[0].get("title").is_none() && created[0]["id"].is_string(), "{created}");
}

#[tokio::test]
async fn accounts_can_be_made_together_but_not_too_many() {
    let (app, admin) = things().await;
    let account = |number: usize| json!({"email": format!("user{number}@test.example"), "password": PASSWORD});
    let answer = admin.post("/api/records/users", json!([account(0), account(1)])).await.expect(201);
    assert!(!answer.text.contains("password"), "{answer}");
    app.login("user1@test.example", PASSWORD).await;
    let many = Value::Array((2..103).map(account).collect());
    admin.post("/api/records/users", many).await.problem(400, "body.too_many_passwords");
}

#[tokio::test]
async fn an_array_of_orders_never_oversells() {
    let shop = shop::open().await;
    let tea = shop::product(&shop.ann, "TEA-1").await;
    let stock = tea["stock"].as_i64().expect("a stock");
    let order = |quantity: i64| json!({"items": [{"product": tea["id"], "quantity": quantity}]});
    let before = (shop.sam.get(ORDERS).await.list(), shop::stock(&shop.ann, "TEA-1").await);
    // Each alone could be had.
    let problem = shop.ann.post(ORDERS, json!([order(1), order(stock - 1), order(1)])).await.problem(422, "rule.refused");
    problem.errors(&["/2/items/0/quantity stock.insufficient"]);
    assert_eq!((shop.sam.get(ORDERS).await.list(), shop::stock(&shop.ann, "TEA-1").await), before);
    let created = shop.ann.post(ORDERS, json!([order(1), order(stock - 1)])).await.json(201);
    assert_eq!(created.as_array().map(Vec::len), Some(2));
    assert_eq!(shop::stock(&shop.ann, "TEA-1").await, 0);
    shop.ann.post(ORDERS, json!([order(1)])).await.problem(422, "rule.refused").errors(&["/0/items/0/quantity stock.insufficient"]);
}
