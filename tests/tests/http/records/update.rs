//! `PATCH` and `PUT /api/records/{collection}/{id}`.

use serde_json::{Value, json};
use tests::Method;

use super::{THINGS, path, things};

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "before", "price": "1.00", "data": {"n": 1, "x": {"y": 1, "z": 2}}})).await;
    let body = json!({"title": "after", "price": null, "data": {"x": {"y": null, "w": 3}}});
    let changed = admin.patch(&path(&record), body).await.json(200);
    assert_eq!(changed["title"], "after");
    assert_eq!(changed["price"], Value::Null);
    assert_eq!(changed["data"], json!({"n": 1, "x": {"z": 2, "w": 3}}));
    assert_eq!(changed["amount"], record["amount"]);
    assert_eq!((&changed["id"], &changed["created"]), (&record["id"], &record["created"]));
    assert!(changed["updated"].as_str() > record["updated"].as_str(), "{changed}");
    assert_eq!(admin.get(&path(&record)).await.json(200), changed);
}

#[tokio::test]
async fn a_patch_is_validated_as_a_whole() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "stays", "code": "A"})).await;
    admin.create("things", json!({"title": "other", "code": "B"})).await;
    let wrong = json!({"title": null, "amount": -1, "nope": 1});
    let problem = admin.patch(&path(&record), wrong).await.problem(422, "record.invalid");
    problem.errors(&["/title field.required", "/amount field.range", "/nope field.unknown"]);
    let problem = admin.patch(&path(&record), json!({"code": "B"})).await.problem(409, "record.unique");
    problem.errors(&["/code field.unique"]);
    assert_eq!(admin.get(&path(&record)).await.json(200), record);
    // Its own unique value is not in the way.
    admin.patch(&path(&record), json!({"code": "A", "amount": 5})).await.expect(200);
}

#[tokio::test]
async fn a_put_replaces() {
    let (_app, admin) = things().await;
    let body = json!({"title": "before", "price": "1.00", "amount": 9, "origin": "kept", "secret": "kept"});
    let record = admin.create("things", body).await;
    let changed = admin.put(&path(&record), json!({"title": "after", "id": "ignored", "created": "ignored"})).await.json(200);
    assert_eq!(changed["title"], "after");
    assert_eq!(changed["price"], Value::Null);
    assert_eq!(changed["amount"], 1, "the default");
    assert_eq!(changed["origin"], "kept", "an immutable field");
    assert_eq!((&changed["id"], &changed["created"]), (&record["id"], &record["created"]));
    let problem = admin.put(&path(&record), json!({"amount": 2})).await.problem(422, "record.invalid");
    problem.errors(&["/title field.required"]);
}

#[tokio::test]
async fn what_was_read_can_be_put_back() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "round", "price": "4.50", "at": "2026-01-02T03:04:05Z", "tags": ["x"]})).await;
    let mut again = admin.put(&path(&record), record.clone()).await.json(200);
    again["updated"] = record["updated"].clone();
    assert_eq!(again, record);
}

#[tokio::test]
async fn immutable_fields_stay() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "fixed", "origin": "here"})).await;
    for body in [json!({"origin": "there"}), json!({"origin": null})] {
        let problem = admin.patch(&path(&record), body).await.problem(422, "record.invalid");
        problem.errors(&["/origin field.immutable"]);
    }
    admin.patch(&path(&record), json!({"origin": "here", "amount": 3})).await.expect(200);
}

#[tokio::test]
async fn a_put_of_a_user_keeps_the_password() {
    let (app, admin) = things().await;
    let ann = app.user("ann").await;
    admin.put(&format!("/api/records/users/{}", ann.id()), json!({"email": "ann@test.example"})).await.expect(200);
    app.login("ann@test.example", tests::PASSWORD).await;
}

#[tokio::test]
async fn what_is_not_there_cannot_be_changed() {
    let (_app, admin) = things().await;
    let missing = format!("{THINGS}/01ARZ3NDEKTSV4RRFFQ69G5FAV");
    admin.patch(&missing, json!({"title": "no"})).await.problem(404, "record.not_found");
    admin.put(&missing, json!({"title": "no"})).await.problem(404, "record.not_found");
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn if_match_guards_against_lost_updates() {
    let (_app, admin) = things().await;
    let created = admin.post(THINGS, json!({"title": "guarded"})).await.expect(201);
    let one = path(&created.json);
    let first = created.expect_header("etag");
    let guarded = |method: Method, tag: &str| admin.request(method, &one).header("if-match", tag);
    let second = guarded(Method::PATCH, first).json(&json!({"amount": 2})).send().await.expect(200);
    let second_tag = second.expect_header("etag");
    for tag in [first, "\"nope\"", "nope", &format!("W/{second_tag}")] {
        let patch = guarded(Method::PATCH, tag).json(&json!({"amount": 3})).send().await;
        patch.problem(412, "record.version_mismatch");
        let put = guarded(Method::PUT, tag).json(&json!({"title": "replaced"})).send().await;
        put.problem(412, "record.version_mismatch");
        guarded(Method::DELETE, tag).send().await.problem(412, "record.version_mismatch");
    }
    assert_eq!(admin.get(&one).await.json(200), second.json);
    guarded(Method::PATCH, "*").json(&json!({"amount": 4})).send().await.expect(200);
    let current = admin.get(&one).await;
    let several = format!("\"nope\", {}", current.expect_header("etag"));
    guarded(Method::DELETE, &several).send().await.expect(200);
}

#[tokio::test]
async fn of_many_who_change_the_same_version_one_wins() {
    let (_app, admin) = things().await;
    let created = admin.post(THINGS, json!({"title": "raced", "amount": 0})).await.expect(201);
    let (one, tag) = (path(&created.json), created.expect_header("etag"));
    let patch = |number: i64| {
        let request = admin.request(Method::PATCH, &one).header("if-match", tag);
        request.json(&json!({"amount": number})).send()
    };
    let answers = futures_util::future::join_all((1..=30).map(patch)).await;
    let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(admin.get(&one).await.json(200), winners[0].json);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.clone().problem(412, "record.version_mismatch");
    }
}

#[tokio::test]
async fn many_changes_of_one_record_are_all_kept() {
    let (_app, admin) = things().await;
    let names: Vec<String> = (0..30).map(|number| format!("f{number}")).collect();
    let fields: Value = names.iter().map(|name| json!({"name": name, "type": "integer"})).collect();
    admin.collection("wide", fields).await;
    let one = format!("/api/records/wide/{}", super::id(&admin.create("wide", json!({})).await));
    let answers = futures_util::future::join_all(names.iter().map(|name| admin.patch(&one, json!({name: 1})))).await;
    for answer in answers {
        answer.expect(200);
    }
    let record = admin.get(&one).await.json(200);
    assert!(names.iter().all(|name| record[name] == 1), "a change was lost: {record}");
}

#[tokio::test]
async fn a_change_obeys_the_policy_before_and_after() {
    let (app, admin) = things().await;
    admin.allow("role:authenticated", "things", "read", "").await;
    admin.allow("role:authenticated", "things", "update", "record.owner == caller.id").await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let own = admin.create("things", json!({"title": "of ann", "owner": ann.id()})).await;
    let foreign = admin.create("things", json!({"title": "of ben", "owner": ben.id()})).await;
    let refused = ann.patch(&path(&foreign), json!({"title": "taken"})).await.any_problem();
    assert!([403, 404].contains(&refused.answer.status), "{}", refused.answer);
    // Neither by taking it over in the same change, nor by giving the own one away.
    let refused = ann.patch(&path(&foreign), json!({"owner": ann.id()})).await.any_problem();
    assert!([403, 404].contains(&refused.answer.status), "{}", refused.answer);
    ann.patch(&path(&own), json!({"owner": ben.id()})).await.problem(403, "policy.denied");
    assert_eq!(admin.get(&path(&own)).await.json(200), own);
    assert_eq!(admin.get(&path(&foreign)).await.json(200), foreign);
    ann.patch(&path(&own), json!({"title": "still mine"})).await.expect(200);
}

#[tokio::test]
async fn a_condition_can_compare_with_the_stored_record() {
    let (app, admin) = things().await;
    admin.allow("role:authenticated", "things", "read", "").await;
    admin.allow("role:authenticated", "things", "update", "before.state == 'new'").await;
    let ann = app.user("ann").await;
    let record = admin.create("things", json!({"title": "once", "state": "new"})).await;
    ann.patch(&path(&record), json!({"state": "done"})).await.expect(200);
    let refused = ann.patch(&path(&record), json!({"state": "new"})).await.any_problem();
    assert!([403, 404].contains(&refused.answer.status), "{}", refused.answer);
    assert_eq!(admin.get(&path(&record)).await.json(200)["state"], "done");
}

#[tokio::test]
async fn changed_fields_must_be_in_the_write_mask() {
    let (app, admin) = things().await;
    admin.allow("role:authenticated", "things", "read", "").await;
    admin.policy(json!({"subject": "role:authenticated", "object": "things", "action": "update", "fields": "title"})).await;
    let ann = app.user("ann").await;
    let record = admin.create("things", json!({"title": "masked", "amount": 1})).await;
    let problem = ann.patch(&path(&record), json!({"title": "free", "amount": 2})).await.problem(403, "policy.denied");
    problem.errors(&["/amount field.forbidden"]);
    assert_eq!(admin.get(&path(&record)).await.json(200), record);
    // What does not change does no harm.
    ann.patch(&path(&record), json!({"title": "free", "amount": 1})).await.expect(200);
    let problem = ann.put(&path(&record), json!({"title": "put", "price": "1"})).await.problem(403, "policy.denied");
    problem.errors(&["/price field.forbidden"]);
}

#[tokio::test]
async fn the_answer_shows_only_what_the_caller_may_read() {
    let (app, admin) = things().await;
    admin.policy(json!({"subject": "role:authenticated", "object": "things", "action": "read", "fields": "title"})).await;
    admin.allow("role:authenticated", "things", "update", "").await;
    admin.allow("role:authenticated", "things", "delete", "").await;
    let ann = app.user("ann").await;
    let record = admin.create("things", json!({"title": "masked", "origin": "far away"})).await;
    let answers = [
        ann.patch(&path(&record), json!({"amount": 2})).await.expect(200),
        ann.put(&path(&record), json!({"title": "put"})).await.expect(200),
        ann.delete(&path(&record)).await.expect(200),
    ];
    for answer in answers {
        assert!(!answer.text.contains("far away"), "{answer}");
    }
}
