//! `POST /api/records/{collection}`.

use serde_json::{Value, json};
use tests::{Method, PASSWORD};

use super::{THINGS, id, path, things};

#[tokio::test]
async fn every_failing_field_is_reported_and_nothing_is_written() {
    let (_app, admin) = things().await;
    let body = json!({
        "mail": "x", "site": "ftp://a", "amount": -1, "ratio": 2, "price": "-1", "active": 1, "at": "now", "day": "2026-02-30",
        "state": "old", "tags": ["x", "y", "z"], "data": {"n": "1"}, "owner": "me", "nope": 1
    });
    let problem = admin.post(THINGS, body).await.problem(422, "record.invalid");
    problem.errors(&[
        "/title field.required",
        "/mail field.format",
        "/site field.format",
        "/amount field.range",
        "/ratio field.range",
        "/price field.range",
        "/active field.type",
        "/at field.format",
        "/day field.format",
        "/state field.choice",
        "/tags field.length",
        "/data/n field.schema",
        "/owner field.format",
        "/nope field.unknown",
    ]);
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn single_faults_are_told_apart() {
    let (_app, admin) = things().await;
    let cases = [
        (json!({"title": null}), "/title field.required"),
        (json!({"title": "a"}), "/title field.length"),
        (json!({"title": "x".repeat(21)}), "/title field.length"),
        (json!({"title": 7}), "/title field.type"),
        (json!({"title": "ok", "amount": 1.5}), "/amount field.type"),
        (json!({"title": "ok", "amount": 9_223_372_036_854_775_808_u64}), "/amount field.type"),
        (json!({"title": "ok", "price": "1,50"}), "/price field.format"),
        (json!({"title": "ok", "price": "1e400"}), "/price field.format"),
        (json!({"title": "ok", "tags": "x"}), "/tags field.type"),
        (json!({"title": "ok", "tags": ["x", "x"]}), "/tags/1 field.duplicate"),
        (json!({"title": "ok", "tags": ["x", "q"]}), "/tags/1 field.choice"),
        (json!({"title": "ok", "": 1}), "/ field.unknown"),
        (json!({"title": "ok", "a/b~c": 1}), "/a~1b~0c field.unknown"),
    ];
    for (body, error) in cases {
        let problem = admin.post(THINGS, body).await.problem(422, "record.invalid");
        let (pointer, code) = error.split_once(' ').expect("two words");
        if code == "field.format" {
            // Whether a text that is no number has the wrong type or the wrong format is not promised.
            problem.at(pointer);
        } else {
            problem.errors(&[error]);
        }
    }
}

#[tokio::test]
async fn a_created_record_comes_back_whole() {
    let (_app, admin) = things().await;
    let body = json!({
        "title": "Grüße 🦀", "mail": "a@b.example", "site": "https://b.example/x", "amount": 9_007_199_254_740_993_i64, "ratio": 0.5,
        "price": "4.50", "active": false, "at": "2026-11-22T01:00:00+01:00", "day": "2026-11-22", "state": "new", "tags": ["x", "z"],
        "data": {"n": 1, "deep": [{"x": null}]}, "origin": "here"
    });
    let answer = admin.post(THINGS, body).await.expect(201);
    let record = answer.json.clone();
    assert_eq!(answer.expect_header("location"), path(&record));
    let etag = answer.expect_header("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"'), "not a strong entity tag: {answer}");
    assert_eq!(id(&record).len(), 26);
    assert!(answer.text.contains("9007199254740993"), "an integer lost its last digit: {answer}");
    assert_eq!(record["title"], "Grüße 🦀");
    assert_eq!(record["price"], "4.50");
    assert_eq!(record["active"], false);
    let at = record["at"].as_str().expect("a text");
    assert!(at.starts_with("2026-11-22T00:00:00") && at.ends_with('Z'), "not in UTC: {at}");
    assert_eq!(record["tags"], json!(["x", "z"]));
    assert_eq!(record["data"], json!({"n": 1, "deep": [{"x": null}]}));
    assert_eq!(record["created"], record["updated"]);
    let read = admin.get(&path(&record)).await.expect(200);
    assert_eq!(read.json, record);
    assert_eq!(read.header("etag"), Some(etag));
    assert_eq!(admin.get(THINGS).await.list(), [record]);
}

#[tokio::test]
async fn absent_fields_take_their_default_or_are_null() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "small"})).await;
    assert_eq!(record["amount"], 1);
    for field in ["code", "mail", "price", "active", "at", "tags", "data", "owner", "origin"] {
        assert_eq!(record.get(field), Some(&Value::Null), "`{field}` of {record}");
    }
    let emptied = admin.create("things", json!({"title": "small", "amount": null})).await;
    assert_eq!(emptied["amount"], Value::Null, "null was said, the default was taken");
}

#[tokio::test]
async fn system_fields_are_ignored_in_bodies() {
    let (_app, admin) = things().await;
    let chosen = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let body = json!({"id": chosen, "title": "mine", "created": "2000-01-01T00:00:00Z", "updated": "x"});
    let record = admin.create("things", body).await;
    assert_ne!(record["id"], chosen);
    assert!(record["created"].as_str().is_some_and(|time| time > "2026"), "{record}");
}

#[tokio::test]
async fn inner_names_of_the_server_are_no_fields() {
    let (_app, admin) = things().await;
    for name in ["tenant", "_tenant", "version", "_version", "key", "_key", "__proto__"] {
        let problem = admin.post(THINGS, json!({"title": "inner", name: "x"})).await.problem(422, "record.invalid");
        problem.errors(&[&format!("/{name} field.unknown")]);
    }
}

#[tokio::test]
async fn hidden_fields_are_stored_and_never_shown() {
    let (_app, admin) = things().await;
    let answer = admin.post(THINGS, json!({"title": "hides", "secret": "sesame"})).await.expect(201);
    let one = path(&answer.json);
    let answers = [
        answer,
        admin.get(&one).await.expect(200),
        admin.get(THINGS).await.expect(200),
        admin.patch(&one, json!({"secret": "sesame again"})).await.expect(200),
        admin.put(&one, json!({"title": "hides"})).await.expect(200),
        admin.delete(&one).await.expect(200),
    ];
    for answer in answers {
        assert!(!answer.text.contains("secret") && !answer.text.contains("sesame"), "{answer}");
    }
}

#[tokio::test]
async fn a_unique_value_is_taken_once() {
    let (_app, admin) = things().await;
    admin.create("things", json!({"title": "one", "code": "A"})).await;
    let problem = admin.post(THINGS, json!({"title": "two", "code": "A"})).await.problem(409, "record.unique");
    problem.errors(&["/code field.unique"]);
    // Nulls do not count.
    admin.create("things", json!({"title": "three"})).await;
    admin.create("things", json!({"title": "four"})).await;
    assert_eq!(admin.get(THINGS).await.list().len(), 3);
}

#[tokio::test]
async fn of_many_who_want_a_unique_value_at_once_one_gets_it() {
    let (_app, admin) = things().await;
    let tries = (0..30).map(|number| admin.post(THINGS, json!({"title": format!("try {number}"), "code": "A"})));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "record.unique").errors(&["/code field.unique"]);
    }
    assert_eq!(admin.get(THINGS).await.list().len(), 1);
}

#[tokio::test]
async fn a_relation_points_at_what_is_there() {
    let (app, admin) = things().await;
    let ann = app.user("ann").await;
    let record = admin.create("things", json!({"title": "owned", "owner": ann.id()})).await;
    assert_eq!(record["owner"], ann.id());
    let missing = json!({"title": "owned", "owner": "01ARZ3NDEKTSV4RRFFQ69G5FAV"});
    admin.post(THINGS, missing).await.problem(422, "record.invalid").at("/owner");
    // The id of a record of another collection is not good enough.
    let other = json!({"title": "owned", "owner": record["id"]});
    admin.post(THINGS, other).await.problem(422, "record.invalid").at("/owner");
}

#[tokio::test]
async fn a_relation_can_default_to_the_caller() {
    let (app, admin) = things().await;
    let owner = json!({"name": "owner", "type": "relation", "collection": "users", "default": "caller.id"});
    admin.collection("posts", json!([{"name": "title", "type": "text"}, owner])).await;
    admin.allow("role:authenticated", "posts", "create", "record.owner == caller.id").await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let answer = ann.post("/api/records/posts", json!({"title": "mine"})).await.expect(201);
    assert_eq!(admin.get(answer.expect_header("location")).await.json(200)["owner"], ann.id());
    let foreign = json!({"title": "not mine", "owner": ben.id()});
    ann.post("/api/records/posts", foreign).await.problem(403, "policy.denied");
    assert_eq!(admin.get("/api/records/posts").await.list().len(), 1);
}

#[tokio::test]
async fn fields_outside_of_the_write_mask_are_forbidden() {
    let (app, admin) = things().await;
    let policy = json!({"subject": "role:authenticated", "object": "things", "action": "create", "fields": "title amount"});
    admin.policy(policy).await;
    let ann = app.user("ann").await;
    ann.post(THINGS, json!({"title": "allowed"})).await.expect(201);
    let problem = ann.post(THINGS, json!({"title": "no", "price": "1", "state": "done"})).await.problem(403, "policy.denied");
    problem.errors(&["/price field.forbidden", "/state field.forbidden"]);
    assert_eq!(admin.get(THINGS).await.list().len(), 1);
}

#[tokio::test]
async fn who_may_create_may_not_read_for_that() {
    let (app, admin) = things().await;
    admin.allow("role:anyone", "things", "create", "").await;
    let answer = app.anonymous().post(THINGS, json!({"title": "letterbox"})).await.expect(201);
    assert!(!answer.text.contains("letterbox"), "shown to somebody who may not read: {answer}");
    app.anonymous().get(THINGS).await.problem(401, "auth.required");
}

#[tokio::test]
async fn a_user_made_by_an_admin_can_log_in() {
    let (app, admin) = things().await;
    let answer = admin.post("/api/records/users", json!({"email": "cat@test.example", "password": PASSWORD})).await.expect(201);
    assert!(answer.json.get("password").is_none(), "{answer}");
    app.login("cat@test.example", PASSWORD).await;
    let weak = json!({"email": "dog@test.example", "password": "short"});
    let problem = admin.post("/api/records/users", weak).await.any_problem();
    assert_eq!(problem.answer.status, 422, "{}", problem.answer);
    problem.at("/password");
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ";
    let smuggled = json!({"email": "elk@test.example", "password": hash});
    if admin.post("/api/records/users", smuggled).await.is_success() {
        // If it was taken, then as the password itself, not as the hash of another one.
        app.login("elk@test.example", hash).await;
    }
}

#[tokio::test]
async fn an_unknown_collection_is_not_found() {
    let (_app, admin) = things().await;
    admin.post("/api/records/nope", json!({"title": "lost"})).await.problem(404, "collection.not_found");
    admin.get("/api/records/nope").await.problem(404, "collection.not_found");
    for name in ["_collections", "_sessions", "Things", "things%2F", "things;drop", "%22"] {
        let problem = admin.get(&format!("/api/records/{name}")).await.any_problem();
        assert_eq!(problem.answer.status, 404, "{}", problem.answer);
    }
}

#[tokio::test]
async fn what_is_new_is_no_version_of_anything() {
    let (_app, admin) = things().await;
    let post = |name: &str, tag: &str, body: Value| admin.request(Method::POST, THINGS).header(name, tag).json(&body).send();
    for body in [json!({"title": "no"}), json!([{"title": "no"}, {"title": "neither"}])] {
        for tag in ["\"zz\"", "*"] {
            post("if-match", tag, body.clone()).await.problem(412, "record.version_mismatch");
        }
    }
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
    post("if-none-match", "*", json!({"title": "new"})).await.expect(201);
}

#[tokio::test]
async fn a_creation_takes_no_query_parameters() {
    let (_app, admin) = things().await;
    let problem = admin.post(&format!("{THINGS}?nope=1"), json!({"title": "no"})).await.problem(400, "query.invalid");
    problem.errors(&["/nope query.unknown"]);
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
}
