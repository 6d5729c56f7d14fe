//! `POST /api/batch`: several writes to several collections, in order, all or none.

use serde_json::{Value, json};
use tests::{Answer, Client, Method};

use super::{THINGS, id, path, things};
use crate::shop::{self, ORDERS, PRODUCTS};

const BATCH: &str = "/api/batch";

async fn send(client: &Client, operations: Value) -> Answer {
    client.post(BATCH, json!({"operations": operations})).await
}

/// A collection whose records point to things.
async fn notes(admin: &Client) {
    let fields = json!([
        {"name": "text", "type": "text"},
        {"name": "thing", "type": "relation", "collection": "things"},
        {"name": "things", "type": "relation", "collection": "things", "many": true},
        {"name": "data", "type": "json"}
    ]);
    admin.collection("notes", fields).await;
}

#[tokio::test]
async fn operations_of_every_kind_follow_each_other() {
    let (_app, admin) = things().await;
    notes(&admin).await;
    let (old, gone) = (
        admin.create("things", json!({"title": "old", "code": "O", "amount": 1})).await,
        admin.create("things", json!({"title": "gone"})).await,
    );
    let operations = json!([
        {"op": "create", "collection": "things", "record": {"title": "new", "code": "N", "price": "1.50"}, "as": "new"},
        {"op": "create", "collection": "notes", "record": {"text": {"$ref": "new.title"}, "thing": {"$ref": "new.id"}, "things": [old["id"], {"$ref": "new.id"}],
            "data": {"deep": [{"$ref": "new.price"}], "other": {"$ref": "new.amount"}}}, "as": "note"},
        {"op": "update", "collection": "things", "id": old["id"], "record": {"amount+": 4, "title": {"$ref": "note.text"}}, "as": "old"},
        {"op": "replace", "collection": "things", "id": {"$ref": "new.id"}, "record": {"title": "put", "amount": {"$ref": "old.amount"}}},
        {"op": "upsert", "collection": "things", "on": "code", "record": {"code": "O", "state": "done"}},
        {"op": "upsert", "collection": "things", "on": ["code"], "record": {"code": "U", "title": "up"}},
        {"op": "delete", "collection": "things", "id": gone["id"]}
    ]);
    let answer = send(&admin, operations).await.expect(200);
    let results = answer.json["results"].as_array().expect("results");
    let statuses: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [201, 201, 200, 200, 200, 201, 200]);
    let record = |index: usize| &results[index]["record"];
    let new = record(0)["id"].clone();
    let note = json!({"text": "new", "thing": new, "things": [old["id"], new], "data": {"deep": ["1.50"], "other": 1}});
    for (field, value) in note.as_object().expect("an object") {
        assert_eq!(&record(1)[field], value, "`{field}`");
    }
    assert_eq!((&record(2)["amount"], &record(2)["title"]), (&json!(5), &json!("new")));
    assert_eq!(
        (&record(3)["id"], &record(3)["title"], &record(3)["amount"], &record(3)["price"]),
        (&new, &json!("put"), &json!(5), &Value::Null)
    );
    assert_eq!((&record(4)["id"], &record(4)["state"], &record(4)["amount"]), (&old["id"], &json!("done"), &json!(5)));
    assert_eq!(record(6), &gone);
    // What was answered is what is there, with its tag.
    for (index, collection) in [(1, "notes"), (3, "things"), (4, "things"), (5, "things")] {
        let read = admin.get(&format!("/api/records/{collection}/{}", id(record(index)))).await.expect(200);
        assert_eq!((&read.json, read.header("etag")), (record(index), results[index]["etag"].as_str()));
    }
    admin.get(&path(&gone)).await.problem(404, "record.not_found");
    assert_eq!(admin.get(THINGS).await.list().len(), 3);
}

#[tokio::test]
async fn one_that_fails_undoes_all() {
    let (_app, admin) = things().await;
    notes(&admin).await;
    let there = admin.create("things", json!({"title": "there", "code": "A"})).await;
    let pointed = admin.create("things", json!({"title": "pointed at"})).await;
    admin.create("notes", json!({"thing": pointed["id"]})).await;
    let before = (admin.get(THINGS).await.list(), admin.get("/api/records/notes").await.list());
    let nobody = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let cases = [
        (
            json!({"op": "create", "collection": "things", "record": {"title": "x", "amount": -1}}),
            422,
            "record.invalid",
            vec!["/operations/1/record/title field.length", "/operations/1/record/amount field.range"],
        ),
        (
            json!({"op": "create", "collection": "things", "record": {"title": "two", "code": "A"}}),
            409,
            "record.unique",
            vec!["/operations/1/record/code field.unique"],
        ),
        (
            json!({"op": "create", "collection": "notes", "record": {"thing": nobody}}),
            422,
            "record.invalid",
            vec!["/operations/1/record/thing relation.missing"],
        ),
        (
            json!({"op": "create", "collection": "nope", "record": {}}),
            404,
            "collection.not_found",
            vec!["/operations/1 collection.not_found"],
        ),
        (
            json!({"op": "update", "collection": "things", "id": nobody, "record": {}}),
            404,
            "record.not_found",
            vec!["/operations/1 record.not_found"],
        ),
        (
            json!({"op": "update", "collection": "things", "id": there["id"], "record": {"amount-": 9}}),
            422,
            "record.invalid",
            vec!["/operations/1/record/amount- field.range"],
        ),
        (
            json!({"op": "update", "collection": "things", "id": there["id"], "record": {}, "if_match": "\"nope\""}),
            412,
            "record.version_mismatch",
            vec!["/operations/1 record.version_mismatch"],
        ),
        (
            json!({"op": "delete", "collection": "things", "id": pointed["id"]}),
            409,
            "record.referenced",
            vec!["/operations/1 record.referenced"],
        ),
        (
            json!({"op": "upsert", "collection": "things", "on": "title", "record": {"title": "two"}}),
            422,
            "record.invalid",
            vec!["/operations/1/on query.value"],
        ),
        (
            json!({"op": "upsert", "collection": "things", "on": "code", "record": {"title": "two"}}),
            422,
            "record.invalid",
            vec!["/operations/1/record/code field.required"],
        ),
        (
            json!({"op": "create", "collection": "notes", "record": {"thing": {"$ref": "second.id"}}}),
            422,
            "record.invalid",
            vec!["/operations/1/record/thing reference.unknown"],
        ),
        (
            json!({"op": "create", "collection": "notes", "record": {"things": [there["id"], {"$ref": "first.nope"}]}}),
            422,
            "record.invalid",
            vec!["/operations/1/record/things/1 reference.unknown"],
        ),
        (
            json!({"op": "create", "collection": "notes", "record": {"data": {"a": {"$ref": 7}}}}),
            422,
            "record.invalid",
            vec!["/operations/1/record/data/a reference.unknown"],
        ),
        (
            json!({"op": "delete", "collection": "things", "id": {"$ref": "first.amount"}}),
            422,
            "record.invalid",
            vec!["/operations/1/id field.type"],
        ),
        (
            json!({"op": "delete", "collection": "things", "id": {"$ref": "nobody.id"}}),
            422,
            "record.invalid",
            vec!["/operations/1/id reference.unknown"],
        ),
        (json!({"op": "merge", "collection": "things"}), 400, "body.shape", vec!["/operations/1/op body.shape"]),
        (json!({"op": "create", "collection": "things", "record": []}), 400, "body.shape", vec!["/operations/1/record body.shape"]),
    ];
    let first = json!({"op": "create", "collection": "things", "record": {"title": "first"}, "as": "first"});
    for (operation, status, code, errors) in cases {
        let last = json!({"op": "create", "collection": "things", "record": {"title": "last"}, "as": "second"});
        send(&admin, json!([first, operation, last])).await.problem(status, code).errors(&errors);
        let after = (admin.get(THINGS).await.list(), admin.get("/api/records/notes").await.list());
        assert_eq!(after, before, "something is left of the batch with {operation}");
    }
    for body in [json!({}), json!([]), json!({"operations": []}), json!({"operations": [first], "more": 1})] {
        admin.post(BATCH, body).await.problem(400, "body.shape");
    }
    admin.post(&format!("{BATCH}?dry_run=true"), json!({"operations": [first]})).await.problem(400, "query.invalid");
    admin.get(BATCH).await.problem(405, "route.method_not_allowed");
}

#[tokio::test]
async fn every_operation_is_under_the_policies() {
    let (app, admin) = things().await;
    notes(&admin).await;
    let policy = |object: &str, action: &str, fields: &str, condition: &str| json!({"subject": "role:authenticated", "object": object, "action": action, "fields": fields, "condition": condition});
    admin.policy(policy("things", "create", "*", "")).await;
    admin.policy(policy("things", "read", "title amount", "")).await;
    admin.policy(policy("things", "update", "title", "record.amount < 5")).await;
    admin.policy(policy("notes", "create", "*", "")).await;
    let ann = app.user("ann").await;
    let large = admin.create("things", json!({"title": "large", "amount": 9, "origin": "a secret"})).await;
    let before = admin.get(THINGS).await.list();
    let create = json!({"op": "create", "collection": "things", "record": {"title": "mine"}, "as": "mine"});
    let denied = [
        (json!({"op": "delete", "collection": "things", "id": large["id"]}), 403, "policy.denied", "/operations/1 policy.denied"),
        (
            json!({"op": "update", "collection": "notes", "id": large["id"], "record": {}}),
            403,
            "policy.denied",
            "/operations/1 policy.denied",
        ),
        (
            json!({"op": "update", "collection": "things", "id": large["id"], "record": {"title": "no"}}),
            404,
            "record.not_found",
            "/operations/1 record.not_found",
        ),
        (
            json!({"op": "update", "collection": "things", "id": {"$ref": "mine.id"}, "record": {"amount": 2}}),
            403,
            "policy.denied",
            "/operations/1/record/amount field.forbidden",
        ),
        (
            json!({"op": "upsert", "collection": "things", "on": "code", "record": {"code": "A"}}),
            403,
            "field.unreadable",
            "/operations/1/on field.unreadable",
        ),
        // What it may not read it cannot copy to where it may.
        (
            json!({"op": "create", "collection": "things", "record": {"title": {"$ref": "mine.origin"}}}),
            422,
            "record.invalid",
            "/operations/1/record/title reference.unknown",
        ),
    ];
    for (operation, status, code, error) in denied {
        send(&ann, json!([create, operation])).await.problem(status, code).errors(&[error]);
        assert_eq!(admin.get(THINGS).await.list(), before);
    }
    send(&app.anonymous(), json!([create])).await.problem(401, "auth.required");
    let answer =
        send(&ann, json!([create, {"op": "create", "collection": "notes", "record": {"thing": {"$ref": "mine.id"}}}])).await.expect(200);
    assert_eq!(answer.json["results"][0]["record"]["title"], "mine");
    assert!(answer.json["results"][1]["record"].get("thing").is_none(), "{answer}");
}

#[tokio::test]
async fn a_password_is_no_reference() {
    let (app, admin) = things().await;
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ";
    let account =
        |password: Value| json!({"op": "create", "collection": "users", "record": {"email": "new@test.example", "password": password}});
    let text = json!({"op": "create", "collection": "things", "record": {"title": "long enough", "origin": hash}, "as": "text"});
    let problem = send(&admin, json!([text, account(json!({"$ref": "text.origin"}))])).await.problem(422, "record.invalid");
    problem.errors(&["/operations/1/record/password field.type"]);
    send(&admin, json!([account(json!(tests::PASSWORD))])).await.expect(200);
    app.login("new@test.example", tests::PASSWORD).await;
}

#[tokio::test]
async fn a_batch_that_would_oversell_writes_nothing() {
    let shop = shop::open().await;
    let tea = shop::product(&shop.ann, "TEA-1").await;
    let stock = tea["stock"].as_i64().expect("a stock");
    let order = |quantity: i64| json!({"op": "create", "collection": "orders", "record": {"items": [{"product": tea["id"], "quantity": quantity}]}});
    let before = (shop.sam.get(ORDERS).await.list(), shop.sam.get(PRODUCTS).await.list());
    let problem = send(&shop.ann, json!([order(stock), order(1)])).await.problem(422, "rule.refused");
    problem.errors(&["/operations/1/record/items/0/quantity stock.insufficient"]);
    assert_eq!((shop.sam.get(ORDERS).await.list(), shop.sam.get(PRODUCTS).await.list()), before);
    send(&shop.ann, json!([order(1), order(stock - 1)])).await.expect(200);
    assert_eq!(shop::stock(&shop.ann, "TEA-1").await, 0);
}

#[tokio::test]
async fn a_batch_happens_once() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "counted", "amount": 0})).await;
    let body = json!({"operations": [
        {"op": "update", "collection": "things", "id": record["id"], "record": {"amount+": 1}},
        {"op": "create", "collection": "things", "record": {"title": "new"}}
    ]});
    let post = || admin.request(Method::POST, BATCH).header("idempotency-key", "k").json(&body).send();
    let first = post().await.expect(200);
    let again = post().await.expect(200);
    assert_eq!((&first.text, again.header("idempotency-replayed")), (&again.text, Some("true")));
    assert_eq!(admin.get(THINGS).await.list().len(), 2);
    assert_eq!(admin.get(&path(&record)).await.json(200)["amount"], 1);
}

#[tokio::test]
async fn money_moved_by_many_batches_is_neither_made_nor_lost() {
    let (_app, admin) = things().await;
    let mut accounts = Vec::new();
    for number in 0..4 {
        accounts.push(admin.create("things", json!({"title": format!("account {number}"), "amount": 100})).await);
    }
    let transfer = |number: usize| {
        let (from, to) = (&accounts[number % 4]["id"], &accounts[(number + 1 + number / 4 % 3) % 4]["id"]);
        let change = |id: &Value, name: &str| json!({"op": "update", "collection": "things", "id": id, "record": {name: 7}});
        send(&admin, json!([change(from, "amount-"), change(to, "amount+")]))
    };
    let answers = futures_util::future::join_all((0..32).map(transfer)).await;
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.problem(422, "record.invalid").errors(&["/operations/0/record/amount- field.range"]);
    }
    let left = admin.get(THINGS).await.list();
    assert_eq!(left.iter().filter_map(|record| record["amount"].as_i64()).sum::<i64>(), 400);
}
