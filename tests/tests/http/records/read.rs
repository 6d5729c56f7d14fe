//! `GET /api/records/{collection}/{id}`.

use serde_json::json;
use tests::Method;

use super::{THINGS, id, path, things};

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_app, admin) = things().await;
    for name in ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "nope", "1", "things:1", "%00", "%27", "01arz3ndektsv4rrffq69g5fav"] {
        admin.get(&format!("{THINGS}/{name}")).await.problem(404, "record.not_found");
    }
}

#[tokio::test]
async fn an_id_belongs_to_its_collection() {
    let (app, admin) = things().await;
    let ann = app.user("ann").await;
    admin.get(&format!("{THINGS}/{}", ann.id())).await.problem(404, "record.not_found");
}

#[tokio::test]
async fn what_the_caller_may_not_see_looks_like_what_is_not_there() {
    let (app, admin) = things().await;
    admin.allow("role:authenticated", "things", "read", "record.active == true").await;
    let ann = app.user("ann").await;
    let open = admin.create("things", json!({"title": "open", "active": true})).await;
    let shut = admin.create("things", json!({"title": "shut", "active": false})).await;
    ann.get(&path(&open)).await.expect(200);
    let hidden = ann.get(&path(&shut)).await.problem(404, "record.not_found");
    let missing = ann.get(&format!("{THINGS}/01ARZ3NDEKTSV4RRFFQ69G5FAV")).await.problem(404, "record.not_found");
    let strip = |message: &str, id: &str| message.replace(id, "ID");
    let message = strip(hidden.message(), id(&shut));
    assert_eq!(message, strip(missing.message(), "01ARZ3NDEKTSV4RRFFQ69G5FAV"));
}

#[tokio::test]
async fn without_any_policy_reading_is_denied_before_looking() {
    let (app, admin) = things().await;
    let record = admin.create("things", json!({"title": "shut"})).await;
    let ann = app.user("ann").await;
    ann.get(&path(&record)).await.problem(403, "policy.denied");
    ann.get(&format!("{THINGS}/01ARZ3NDEKTSV4RRFFQ69G5FAV")).await.problem(403, "policy.denied");
    app.anonymous().get(&path(&record)).await.problem(401, "auth.required");
}

#[tokio::test]
async fn the_entity_tag_changes_with_every_write_only() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "tagged"})).await;
    let first = admin.get(&path(&record)).await;
    let again = admin.get(&path(&record)).await;
    assert_eq!(first.expect_header("etag"), again.expect_header("etag"));
    let changed = admin.patch(&path(&record), json!({"amount": 2})).await.expect(200);
    assert_ne!(changed.expect_header("etag"), first.expect_header("etag"));
    let read = admin.get(&path(&record)).await;
    assert_eq!(read.expect_header("etag"), changed.expect_header("etag"));
}

#[tokio::test]
async fn a_read_can_be_of_one_version_only() {
    let (_app, admin) = things().await;
    let created = admin.post(THINGS, json!({"title": "tagged"})).await.expect(201);
    let (one, tag) = (path(&created.json), created.expect_header("etag"));
    for method in [Method::GET, Method::HEAD] {
        let read = |name: &str, tag: &str| admin.request(method.clone(), &one).header(name, tag);
        for right in [tag, "*", &format!("\"zz\", {tag}")] {
            read("if-match", right).send().await.expect(200);
        }
        for wrong in ["\"zz\"", "zz", &format!("W/{tag}")] {
            read("if-match", wrong).send().await.expect(412);
            // It is looked at before the other (RFC 9110, section 13.2.2).
            read("if-match", wrong).header("if-none-match", tag).send().await.expect(412);
        }
        read("if-match", tag).header("if-none-match", tag).send().await.expect(304);
    }
    admin.request(Method::GET, &one).header("if-match", "\"zz\"").send().await.problem(412, "record.version_mismatch");
}

#[tokio::test]
async fn only_readable_fields_are_shown() {
    let (app, admin) = things().await;
    admin.policy(json!({"subject": "role:anyone", "object": "things", "action": "read", "fields": "title price"})).await;
    let record = admin.create("things", json!({"title": "part", "price": "1.20", "origin": "far away"})).await;
    let seen = app.anonymous().get(&path(&record)).await.json(200);
    assert_eq!(seen["title"], "part");
    assert_eq!(seen["price"], "1.20");
    let names: Vec<&String> = seen.as_object().expect("an object").keys().collect();
    assert!(!names.iter().any(|name| ["origin", "amount", "state", "owner"].contains(&name.as_str())), "{seen}");
}
