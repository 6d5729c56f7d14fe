//! `PATCH` and `DELETE /api/records/{collection}?filter=...&max=...`: all records that a filter means, or none.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Answer, Client, Method, url};

use super::{THINGS, id, path, things};

/// Twelve things with the amounts 0 to 3, three of each.
async fn dozen(admin: &Client) -> Vec<Value> {
    let body: Value =
        (0..12).map(|number| json!({"title": format!("no {number:02}"), "amount": number % 4, "code": format!("C{number}")})).collect();
    admin.post(THINGS, body).await.json(201).as_array().expect("an array").clone()
}

async fn all(admin: &Client) -> Vec<Value> {
    admin.query(THINGS, &[("sort", "id"), ("limit", "1000")]).await.list()
}

async fn patch(client: &Client, query: &[(&str, &str)], body: Value) -> Answer {
    client.patch(&url(THINGS, query), body).await
}

async fn delete(client: &Client, query: &[(&str, &str)]) -> Answer {
    client.delete(&url(THINGS, query)).await
}

#[tokio::test]
async fn all_that_a_filter_means_are_changed() {
    let (_app, admin) = things().await;
    let records = dozen(&admin).await;
    let report = patch(&admin, &[("filter", "amount == 2"), ("max", "3")], json!({"title": "changed", "amount+": 10})).await.json(200);
    let ids: Vec<&str> = records.iter().filter(|record| record["amount"] == 2).map(id).collect();
    assert_eq!(report, json!({"matched": 3, "changed": 3, "ids": ids, "dry_run": false}));
    for (before, after) in records.iter().zip(all(&admin).await) {
        if before["amount"] == 2 {
            assert_eq!((&after["title"], &after["amount"]), (&json!("changed"), &json!(12)));
        } else {
            assert_eq!(*before, after);
        }
    }
    let none = patch(&admin, &[("filter", "amount == 99"), ("max", "1")], json!({"title": "changed"})).await.json(200);
    assert_eq!(none, json!({"matched": 0, "changed": 0, "ids": [], "dry_run": false}));
}

#[tokio::test]
async fn all_that_a_filter_means_are_deleted() {
    let (_app, admin) = things().await;
    let records = dozen(&admin).await;
    let report = delete(&admin, &[("filter", "amount >= 2"), ("max", "1000")]).await.json(200);
    assert_eq!((&report["matched"], &report["changed"], &report["dry_run"]), (&json!(6), &json!(6), &json!(false)));
    let left: Vec<Value> = records.into_iter().filter(|record| record["amount"].as_i64() < Some(2)).collect();
    assert_eq!(all(&admin).await, left);
}

#[tokio::test]
async fn more_than_a_page_is_found() {
    let (_app, admin) = things().await;
    let body: Value = (0..230).map(|number| json!({"title": format!("no {number}")})).collect();
    admin.post(THINGS, body).await.expect(201);
    let report = patch(&admin, &[("filter", "true"), ("max", "230")], json!({"amount": 7})).await.json(200);
    assert_eq!(report["changed"], 230);
    assert!(all(&admin).await.iter().all(|record| record["amount"] == 7));
    delete(&admin, &[("filter", "amount == 7"), ("max", "229")]).await.problem(409, "bulk.too_many");
    assert_eq!(delete(&admin, &[("filter", "amount == 7"), ("max", "230")]).await.json(200)["changed"], 230);
    assert_eq!(all(&admin).await, Vec::<Value>::new());
}

/// A query and what is wrong with it.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[tokio::test]
async fn nothing_is_meant_by_saying_nothing() {
    let (_app, admin) = things().await;
    let records = dozen(&admin).await;
    let cases: [Case; 12] = [
        (&[], &["/filter query.required", "/max query.required"]),
        (&[("filter", "true")], &["/max query.required"]),
        (&[("max", "5")], &["/filter query.required"]),
        (&[("filter", " "), ("max", "")], &["/filter query.required", "/max query.required"]),
        (&[("filter", "true"), ("max", "0")], &["/max query.value"]),
        (&[("filter", "true"), ("max", "1001")], &["/max query.value"]),
        (&[("filter", "true"), ("max", "many")], &["/max query.value"]),
        (&[("filter", "true"), ("max", "20"), ("dry_run", "yes")], &["/dry_run query.value"]),
        (&[("filter", "amount =="), ("max", "20")], &["/filter query.filter"]),
        (&[("filter", "true"), ("max", "20"), ("limit", "1")], &["/limit query.unknown"]),
        (&[("filter", "true"), ("max", "20"), ("dryrun", "true")], &["/dryrun query.unknown"]),
        (&[("filter", "true"), ("filter", "false"), ("max", "20")], &["/filter query.value"]),
    ];
    for (query, errors) in cases {
        patch(&admin, query, json!({"title": "changed"})).await.problem(400, "query.invalid").errors(errors);
        delete(&admin, query).await.problem(400, "query.invalid").errors(errors);
    }
    for query in [[("filter", "true"), ("max", "11")], [("filter", "amount < 3"), ("max", "8")]] {
        patch(&admin, &query, json!({"title": "changed"})).await.problem(409, "bulk.too_many");
        delete(&admin, &query).await.problem(409, "bulk.too_many");
    }
    assert_eq!(all(&admin).await, records);
}

#[tokio::test]
async fn one_that_cannot_be_changed_keeps_all_as_they_are() {
    let (_app, admin) = things().await;
    let records = dozen(&admin).await;
    let everything = [("filter", "true"), ("max", "12")];
    let problem = patch(&admin, &everything, json!({"amount-": 1})).await.problem(422, "record.invalid").errors(&["/amount- field.range"]);
    assert_eq!(problem.answer.json["record"], records[0]["id"], "{}", problem.answer);
    assert_eq!(all(&admin).await, records);
    let problem = patch(&admin, &everything, json!({"code": "same"})).await.problem(409, "record.unique").errors(&["/code field.unique"]);
    assert_eq!(problem.answer.json["record"], records[1]["id"], "{}", problem.answer);
    patch(&admin, &everything, json!({"nope": 1})).await.problem(422, "record.invalid").errors(&["/nope field.unknown"]);
    patch(&admin, &everything, json!([])).await.problem(400, "body.shape");
    let field = json!({"name": "thing", "type": "relation", "collection": "things"});
    admin.collection("notes", json!([field])).await;
    admin.create("notes", json!({"thing": records[7]["id"]})).await;
    let problem = delete(&admin, &everything).await.problem(409, "record.referenced");
    assert_eq!(problem.answer.json["record"], records[7]["id"], "{}", problem.answer);
    assert_eq!(all(&admin).await, records);
}

#[tokio::test]
async fn a_body_that_no_record_could_take_is_refused_whatever_is_meant() {
    let (app, admin) = things().await;
    let policy = |action: &str, fields: &str| json!({"subject": "role:authenticated", "object": "things", "action": action, "fields": fields, "condition": ""});
    admin.policy(policy("read", "*")).await;
    admin.policy(policy("update", "title")).await;
    let ann = app.user("ann").await;
    let none = [("filter", "false"), ("max", "1000")];
    let body = json!({"title": "fine", "nope": 1, "nope+": 1, "id": "ignored", "expand": {}});
    patch(&admin, &none, body).await.problem(422, "record.invalid").errors(&["/nope field.unknown", "/nope+ field.unknown"]);
    let body = json!({"title": "fine", "code": "A", "amount+": 1});
    let problem = patch(&ann, &none, body).await.problem(403, "policy.denied");
    assert!(problem.answer.json["decision_id"].is_string(), "{}", problem.answer);
    problem.errors(&["/code field.forbidden", "/amount+ field.forbidden"]);
    assert_eq!(patch(&ann, &none, json!({"title": "fine"})).await.json(200)["matched"], 0);
}

#[tokio::test]
async fn many_records_have_no_one_version() {
    let (_app, admin) = things().await;
    let records = dozen(&admin).await;
    let everything = url(THINGS, &[("filter", "true"), ("max", "12")]);
    for (name, tag) in [("if-match", "\"zz\""), ("if-match", "*"), ("if-none-match", "\"zz\""), ("if-none-match", "*")] {
        let change = admin.request(Method::PATCH, &everything).header(name, tag).json(&json!({"title": "changed"}));
        change.send().await.problem(412, "record.version_mismatch");
        admin.request(Method::DELETE, &everything).header(name, tag).send().await.problem(412, "record.version_mismatch");
        let operations = json!({"operations": [{"op": "delete", "collection": "things", "id": records[0]["id"]}]});
        let batch = admin.request(Method::POST, "/api/batch").header(name, tag).json(&operations);
        batch.send().await.problem(412, "record.version_mismatch");
    }
    assert_eq!(all(&admin).await, records);
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let (_app, admin) = things().await;
    let records = dozen(&admin).await;
    let dry = |filter: &'static str| [("filter", filter), ("max", "12"), ("dry_run", "true")];
    let report = patch(&admin, &dry("amount == 1"), json!({"amount-": 1, "title": "tried"})).await.json(200);
    let ids: Vec<&str> = records.iter().filter(|record| record["amount"] == 1).map(id).collect();
    assert_eq!(report, json!({"matched": 3, "changed": 3, "ids": ids, "dry_run": true}));
    patch(&admin, &dry("true"), json!({"amount-": 1})).await.problem(422, "record.invalid").errors(&["/amount- field.range"]);
    patch(&admin, &[("filter", "true"), ("max", "11"), ("dry_run", "true")], json!({})).await.problem(409, "bulk.too_many");
    assert_eq!(delete(&admin, &dry("true")).await.json(200)["changed"], 12);
    assert_eq!(all(&admin).await, records);
    // A key is not used up by what has not happened.
    let path = url(THINGS, &dry("amount == 1"));
    for _ in 0..2 {
        let answer = admin.request(Method::DELETE, &path).header("idempotency-key", "k").send().await.expect(200);
        assert!(answer.header("idempotency-replayed").is_none(), "{answer}");
    }
    admin.request(Method::POST, THINGS).header("idempotency-key", "k").json(&json!({"title": "real"})).send().await.expect(201);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_meant_and_what_cannot_be_written_is_refused() {
    let (app, admin) = things().await;
    let policy = |action: &str, fields: &str, condition: &str| json!({"subject": "role:authenticated", "object": "things", "action": action, "fields": fields, "condition": condition});
    admin.policy(policy("read", "title amount state", "record.amount < 3")).await;
    admin.policy(policy("update", "title", "record.amount > 0")).await;
    admin.policy(policy("delete", "*", "record.amount > 0")).await;
    let ann = app.user("ann").await;
    let records = dozen(&admin).await;
    app.anonymous().patch(&url(THINGS, &[("filter", "true"), ("max", "12")]), json!({"title": "no"})).await.problem(401, "auth.required");
    let all_of = |filter: &'static str| [("filter", filter), ("max", "12")];
    // Nine can be read; three of them may not be written.
    let problem = patch(&ann, &all_of("true"), json!({"title": "no"})).await.problem(404, "record.not_found");
    assert_eq!(problem.answer.json["record"], records[0]["id"], "{}", problem.answer);
    delete(&ann, &all_of("true")).await.problem(404, "record.not_found");
    patch(&ann, &all_of("amount > 0"), json!({"amount+": 1})).await.problem(403, "policy.denied").errors(&["/amount+ field.forbidden"]);
    patch(&ann, &all_of("code == 'C1'"), json!({"title": "no"}))
        .await
        .problem(403, "field.unreadable")
        .errors(&["/filter field.unreadable"]);
    assert_eq!(all(&admin).await, records);
    let report = patch(&ann, &all_of("amount > 0"), json!({"title": "yes"})).await.json(200);
    assert_eq!(report["changed"], 6);
    assert_eq!(delete(&ann, &all_of("amount > 0")).await.json(200)["changed"], 6);
    assert_eq!(all(&admin).await.len(), 6);
    // Who reads nothing finds nothing to write.
    admin.allow("role:anyone", "things", "delete", "").await;
    delete(&app.anonymous(), &all_of("true")).await.problem(401, "auth.required");
}

#[tokio::test]
async fn a_record_that_goes_along_is_not_missed() {
    let (_app, admin) = things().await;
    let pointer = json!({"name": "first", "type": "relation", "collection": "nodes", "on_delete": "cascade"});
    admin.collection("nodes", json!([pointer, {"name": "number", "type": "integer"}])).await;
    let mut last = admin.create("nodes", json!({"number": 0})).await;
    for number in 1..5 {
        last = admin.create("nodes", json!({"number": number, "first": last["id"]})).await;
    }
    let path = url("/api/records/nodes", &[("filter", "number < 4"), ("max", "4")]);
    assert_eq!(admin.delete(&path).await.json(200)["changed"], 4);
    assert_eq!(admin.get("/api/records/nodes").await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_bulk_write_happens_once() {
    let (_app, admin) = things().await;
    dozen(&admin).await;
    let path = url(THINGS, &[("filter", "amount < 2"), ("max", "12")]);
    let send = || admin.request(Method::PATCH, &path).header("idempotency-key", "k").json(&json!({"amount+": 1})).send();
    let first = send().await.expect(200);
    let before = all(&admin).await;
    let again = send().await.expect(200);
    assert_eq!((&first.text, again.header("idempotency-replayed")), (&again.text, Some("true")));
    assert_eq!(all(&admin).await, before);
}

#[tokio::test]
async fn many_bulk_writes_at_once_are_all_kept() {
    let (_app, admin) = things().await;
    let records = dozen(&admin).await;
    let everything = [("filter", "true"), ("max", "12")];
    let answers = join_all((0..8).map(|_| patch(&admin, &everything, json!({"amount+": 1})))).await;
    for answer in answers {
        assert_eq!(answer.json(200)["changed"], 12);
    }
    for (before, after) in records.iter().zip(all(&admin).await) {
        assert_eq!(after["amount"].as_i64(), before["amount"].as_i64().map(|amount| amount + 8));
    }
    assert_eq!(admin.get(&path(&records[0])).await.json(200)["amount"], 8);
}
