//! `/api/collections`.

mod rename;

mod fill;

mod online;

mod once;

use serde_json::{Value, json};
use tests::{Client, Method, TestApp, url};

const POSTS: &str = "/api/collections/posts";

async fn admin() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    (app, admin)
}

fn definition() -> Value {
    json!({
        "name": "posts",
        "kind": "base",
        "description": "What people write.",
        "fields": [
            {"name": "title", "type": "text", "required": true, "max": 100},
            {"name": "views", "type": "integer", "min": 0, "default": 0},
            {"name": "slug", "type": "text", "unique": true}
        ],
        "indexes": [{"fields": ["views"], "unique": false}]
    })
}

/// The collection `posts` with these records.
async fn posts(records: &[Value]) -> (TestApp, Client) {
    let (app, admin) = admin().await;
    admin.post("/api/collections", definition()).await.expect(201);
    for record in records {
        admin.create("posts", record.clone()).await;
    }
    (app, admin)
}

/// The names of a definition's fields.
fn names(definition: &Value) -> Vec<&str> {
    let fields = definition["fields"].as_array().unwrap_or_else(|| panic!("no fields: {definition}"));
    fields.iter().filter_map(|field| field["name"].as_str()).collect()
}

/// The definition's fields without the one of this name, and with these.
fn with_fields(without: &str, more: &[Value]) -> Value {
    let fields = definition()["fields"].as_array().cloned().unwrap_or_default();
    let kept = fields.into_iter().filter(|field| field["name"] != without);
    json!({"fields": kept.chain(more.iter().cloned()).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_collection_comes_back_as_it_was_written() {
    let (_app, admin) = posts(&[]).await;
    let stored = admin.get(POSTS).await.json(200);
    assert_eq!(stored["name"], "posts");
    assert_eq!(stored["kind"], "base");
    assert_eq!(stored["description"], "What people write.");
    assert_eq!(names(&stored), ["title", "views", "slug"]);
    assert_eq!(stored["fields"][0]["max"], 100);
    assert_eq!(stored["indexes"][0]["fields"], json!(["views"]));
    let listed = admin.get("/api/collections").await.list();
    assert!(listed.contains(&stored), "{listed:?}");
    assert!(listed.iter().any(|collection| collection["name"] == "users"), "{listed:?}");
    // What was read can be written under another name.
    let mut copy = stored;
    copy["name"] = json!("copies");
    admin.post("/api/collections", copy).await.expect(201);
}

#[tokio::test]
async fn records_can_be_written_at_once() {
    let (_app, admin) = posts(&[]).await;
    let record = admin.create("posts", json!({"title": "first"})).await;
    assert_eq!(record["views"], 0);
    assert_eq!(admin.get("/api/records/posts").await.list(), [record]);
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let (_app, admin) = posts(&[json!({"title": "kept"})]).await;
    admin.post("/api/collections", definition()).await.problem(409, "collection.exists");
    admin.post("/api/collections", json!({"name": "users", "fields": []})).await.problem(409, "collection.exists");
    assert_eq!(admin.get("/api/records/posts").await.list().len(), 1);
}

#[tokio::test]
async fn of_many_who_want_a_name_at_once_one_gets_it() {
    let (_app, admin) = admin().await;
    let answers = futures_util::future::join_all((0..10).map(|_| admin.post("/api/collections", definition()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.any_problem().answer.status, 409);
    }
    admin.create("posts", json!({"title": "works"})).await;
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let (_app, admin) = admin().await;
    let long = "x".repeat(64);
    for name in ["", "Posts", "1posts", "_posts", "po-sts", "po sts", "pösts", "posts;", "`posts`", "a/b", &long] {
        let problem = admin.post("/api/collections", json!({"name": name, "fields": []})).await.problem(422, "collection.invalid");
        problem.errors(&["/name name.invalid"]);
    }
    for field in ["id", "created", "updated", "record", "caller", "now"] {
        let fields = json!([{"name": field, "type": "text"}]);
        let problem = admin.post("/api/collections", json!({"name": "posts", "fields": fields})).await.problem(422, "collection.invalid");
        problem.errors(&["/fields/0/name name.reserved"]);
    }
    assert_eq!(admin.get("/api/collections").await.list().len(), 1);
}

#[tokio::test]
async fn everything_wrong_with_a_definition_is_reported_at_once() {
    let (_app, admin) = admin().await;
    let definition = json!({
        "name": "Posts",
        "fields": [
            {"name": "id", "type": "text"},
            {"name": "title", "type": "text", "pattern": "("},
            {"name": "title", "type": "bool"},
            {"name": "views", "type": "integer", "min": 5, "max": 1},
            {"name": "state", "type": "select"},
            {"name": "author", "type": "relation"},
            {"name": "count", "type": "integer", "default": "one"},
            {"name": "data", "type": "json", "schema": {"type": 7}},
            {"name": "pin", "type": "password"}
        ],
        "indexes": [{"fields": ["nope"]}]
    });
    let problem = admin.post("/api/collections", definition).await.problem(422, "collection.invalid");
    problem.errors(&[
        "/name name.invalid",
        "/fields/0/name name.reserved",
        "/fields/1/pattern field.pattern",
        "/fields/2/name name.taken",
        "/fields/3/min field.attribute",
        "/fields/4/values field.attribute",
        "/fields/5/collection field.attribute",
        "/fields/6/default field.type",
        "/fields/7/schema field.schema",
        "/fields/8/type field.type",
        "/indexes/0/fields index.fields",
    ]);
    assert_eq!(admin.get("/api/collections").await.list().len(), 1);
}

#[tokio::test]
async fn definitions_of_the_wrong_shape_are_refused() {
    let (_app, admin) = admin().await;
    let shapes = [
        json!([]),
        json!("posts"),
        json!({}),
        json!({"name": 7, "fields": []}),
        json!({"name": "posts", "fields": {}}),
        json!({"name": "posts", "fields": ["title"]}),
        json!({"name": "posts", "fields": [{"name": "title"}]}),
        json!({"name": "posts", "fields": [{"name": "title", "type": "nope"}]}),
        json!({"name": "posts", "fields": [{"name": "title", "type": "text", "nope": 1}]}),
        json!({"name": "posts", "fields": [], "nope": 1}),
        json!({"name": "posts", "kind": "nope", "fields": []}),
    ];
    for body in shapes {
        let problem = admin.post("/api/collections", body).await.any_problem();
        assert!([400, 422].contains(&problem.answer.status), "{}", problem.answer);
    }
    assert_eq!(admin.get("/api/collections").await.list().len(), 1);
}

#[tokio::test]
async fn a_relation_points_into_a_collection_that_is_there() {
    let (_app, admin) = admin().await;
    let fields = json!([{"name": "author", "type": "relation", "collection": "nobody"}]);
    let problem = admin.post("/api/collections", json!({"name": "posts", "fields": fields})).await.problem(422, "collection.invalid");
    problem.at("/fields/0/collection");
    let own = json!([{"name": "parent", "type": "relation", "collection": "posts"}]);
    admin.post("/api/collections", json!({"name": "posts", "fields": own})).await.expect(201);
}

#[tokio::test]
async fn a_new_field_is_null_in_old_records() {
    let (_app, admin) = posts(&[json!({"title": "old"})]).await;
    let changed = admin.patch(POSTS, with_fields("", &[json!({"name": "body", "type": "text"})])).await.json(200);
    assert_eq!(names(&changed), ["title", "views", "slug", "body"]);
    assert_eq!(changed["description"], "What people write.", "what is not named stays");
    let record = admin.get("/api/records/posts").await.list().remove(0);
    assert_eq!((&record["title"], record.get("body")), (&json!("old"), Some(&Value::Null)));
    admin.create("posts", json!({"title": "new", "body": "text"})).await;
    let found = admin.get(&url("/api/records/posts", &[("filter", "body == 'text'")])).await.list();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn an_index_can_be_added_and_taken() {
    let (_app, admin) = posts(&[json!({"title": "b", "views": 1}), json!({"title": "a", "views": 2})]).await;
    for indexes in [json!([{"fields": ["title"]}, {"fields": ["views", "title"], "unique": true}]), json!([])] {
        let changed = admin.patch(POSTS, json!({"indexes": indexes.clone()})).await.json(200);
        let listed = admin.get("/api/records/posts?sort=title").await.list();
        assert_eq!(listed[0]["title"], "a");
        assert_eq!(changed["indexes"].as_array().map_or(0, Vec::len), indexes.as_array().map_or(0, Vec::len), "{changed}");
    }
}

#[tokio::test]
async fn an_index_over_values_that_change_with_it_finds_them() {
    let (_app, admin) = posts(&[json!({"title": "one", "slug": "first"}), json!({"title": "two"})]).await;
    let fields = with_fields("slug", &[json!({"name": "slug", "type": "text"})])["fields"].clone();
    let change = json!({"fields": fields, "indexes": [{"fields": ["slug"]}], "fill": {"slug": "filled"}});
    admin.patch(POSTS, change).await.expect(200);
    let listed = admin.query("/api/records/posts", &[("filter", "slug == 'filled'")]).await.list();
    assert_eq!(listed.iter().map(|post| &post["title"]).collect::<Vec<_>>(), ["two"]);
}

/// Changes that would lose or break what is stored.
fn lossy() -> Vec<(&'static str, Value)> {
    vec![
        ("a field goes", with_fields("title", &[])),
        ("another type", with_fields("title", &[json!({"name": "title", "type": "integer"})])),
        ("too long now", with_fields("title", &[json!({"name": "title", "type": "text", "max": 2})])),
        ("required now", with_fields("slug", &[json!({"name": "slug", "type": "text", "required": true})])),
        ("unique now", with_fields("views", &[json!({"name": "views", "type": "integer", "unique": true})])),
    ]
}

#[tokio::test]
async fn stored_data_is_not_lost_silently() {
    let records = [json!({"title": "one", "views": 3}), json!({"title": "two", "views": 3})];
    let (_app, admin) = posts(&records).await;
    let before = (admin.get(POSTS).await.json(200), admin.get("/api/records/posts").await.list());
    for (name, change) in lossy() {
        let problem = admin.patch(POSTS, change.clone()).await.problem(409, "collection.data_loss");
        assert!(!problem.errors.is_empty(), "{name}: nothing says what would be lost: {}", problem.answer);
        let tried = admin.patch(&format!("{POSTS}?dry_run=true&force=true"), change).await;
        assert!(tried.status < 500, "{name}: {tried}");
        let after = (admin.get(POSTS).await.json(200), admin.get("/api/records/posts").await.list());
        assert_eq!(after, before, "{name}: something was changed");
    }
}

#[tokio::test]
async fn a_dry_run_tells_and_does_nothing() {
    let (_app, admin) = posts(&[json!({"title": "one"})]).await;
    let before = admin.get(POSTS).await.json(200);
    let told = admin.patch(&format!("{POSTS}?dry_run=true"), with_fields("title", &[])).await;
    assert!([200, 409].contains(&told.status), "{told}");
    assert!(told.text.contains("title"), "it does not say what would be lost: {told}");
    let harmless = admin.patch(&format!("{POSTS}?dry_run=true"), with_fields("", &[json!({"name": "body", "type": "text"})])).await;
    harmless.expect(200);
    assert_eq!(admin.get(POSTS).await.json(200), before);
}

#[tokio::test]
async fn a_field_can_be_dropped_by_force() {
    let (_app, admin) = posts(&[json!({"title": "one", "slug": "first"})]).await;
    let changed = admin.patch(&format!("{POSTS}?force=true"), with_fields("slug", &[])).await.json(200);
    assert_eq!(names(&changed), ["title", "views"]);
    let record = admin.get("/api/records/posts").await.list().remove(0);
    assert!(record.get("slug").is_none() && record["title"] == "one", "{record}");
    // Coming back, it does not bring the old values along.
    admin.patch(POSTS, with_fields("", &[])).await.expect(200);
    assert_eq!(admin.get("/api/records/posts").await.list()[0]["slug"], Value::Null);
}

#[tokio::test]
async fn wrong_changes_change_nothing() {
    let (_app, admin) = posts(&[]).await;
    let before = admin.get(POSTS).await.json(200);
    let changes = [
        json!({"fields": [{"name": "id", "type": "text"}]}),
        json!({"fields": [{"name": "title", "type": "nope"}]}),
        json!({"indexes": [{"fields": ["nope"]}]}),
        json!({"name": "renamed"}),
        json!({"nope": 1}),
        json!([]),
    ];
    for change in changes {
        let problem = admin.patch(POSTS, change).await.any_problem();
        assert!([400, 422].contains(&problem.answer.status), "{}", problem.answer);
    }
    let problem = admin.patch(&format!("{POSTS}?force=perhaps"), json!({})).await.any_problem();
    assert_eq!(problem.answer.status, 400, "{}", problem.answer);
    assert_eq!(admin.get(POSTS).await.json(200), before);
}

#[tokio::test]
async fn a_dropped_collection_is_gone_with_its_records() {
    let (_app, admin) = posts(&[json!({"title": "lost", "slug": "a"})]).await;
    admin.delete(POSTS).await.problem(409, "collection.data_loss");
    assert_eq!(admin.get("/api/records/posts").await.list().len(), 1);
    assert!(admin.delete(&format!("{POSTS}?force=true")).await.is_success());
    admin.get(POSTS).await.problem(404, "collection.not_found");
    admin.get("/api/records/posts").await.problem(404, "collection.not_found");
    admin.delete(POSTS).await.problem(404, "collection.not_found");
    // The name is free, and nothing of the old records comes back.
    admin.post("/api/collections", definition()).await.expect(201);
    assert_eq!(admin.get("/api/records/posts").await.list(), Vec::<Value>::new());
    admin.create("posts", json!({"title": "again", "slug": "a"})).await;
}

#[tokio::test]
async fn an_empty_collection_is_dropped_without_force() {
    let (_app, admin) = posts(&[]).await;
    assert!(admin.delete(POSTS).await.is_success());
    admin.get(POSTS).await.problem(404, "collection.not_found");
}

#[tokio::test]
async fn a_collection_that_others_point_into_stays() {
    let (_app, admin) = posts(&[]).await;
    admin.collection("comments", json!([{"name": "post", "type": "relation", "collection": "posts"}])).await;
    let problem = admin.delete(&format!("{POSTS}?force=true")).await.problem(409, "collection.referenced");
    assert!(problem.message().contains("`post` of the collection `comments`"), "{}", problem.answer);
    admin.get(POSTS).await.expect(200);
}

#[tokio::test]
async fn the_users_stay() {
    let (app, admin) = admin().await;
    admin.delete("/api/collections/users?force=true").await.any_problem();
    app.admin().await.get("/api/auth/me").await.expect(200);
    let fields = json!([{"name": "nickname", "type": "text"}]);
    let changed = admin.patch("/api/collections/users", json!({"fields": fields})).await.json(200);
    for name in ["email", "password", "verified", "nickname"] {
        assert!(names(&changed).contains(&name), "`{name}` is gone: {changed}");
    }
    let ann = app.user("ann").await;
    ann.get("/api/auth/me").await.expect(200);
}

#[tokio::test]
async fn users_cannot_be_weakened() {
    let (app, admin) = admin().await;
    let fields = json!([{"name": "email", "type": "text"}, {"name": "password", "type": "text"}]);
    let answer = admin.patch("/api/collections/users", json!({"fields": fields})).await;
    assert!(answer.status < 500, "{answer}");
    let ann = app.user("ann").await;
    let me = ann.get("/api/auth/me").await;
    assert!(!me.text.contains(tests::PASSWORD), "{me}");
    let again = json!({"email": "ann@test.example", "password": tests::PASSWORD});
    admin.post("/api/records/users", again).await.problem(409, "record.unique");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_app, admin) = admin().await;
    for name in ["nope", "Posts", "_sessions", "%00"] {
        let path = format!("/api/collections/{name}");
        for answer in [admin.get(&path).await, admin.patch(&path, json!({})).await, admin.delete(&path).await] {
            assert_eq!(answer.any_problem().answer.status, 404);
        }
    }
}

#[tokio::test]
async fn records_written_during_a_change_obey_it() {
    let (_app, admin) = posts(&[]).await;
    let write = async |number: u32| admin.post("/api/records/posts", json!({"title": format!("title {number}")})).await;
    let change = admin.patch(POSTS, with_fields("title", &[json!({"name": "title", "type": "text", "max": 3})]));
    let (changed, answers) = tokio::join!(change, futures_util::future::join_all((0..40).map(write)));
    let written = answers.iter().filter(|answer| answer.status == 201).count();
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(422, "record.invalid");
    }
    match changed.status {
        200 => assert_eq!(written, 0, "records that the collection does not allow were stored"),
        _ => drop(changed.problem(409, "collection.data_loss")),
    }
    assert_eq!(admin.get("/api/records/posts?limit=1000").await.list().len(), written);
}

#[tokio::test]
async fn only_admins_manage_collections() {
    let (app, admin) = posts(&[json!({"title": "kept"})]).await;
    let ann = app.user("ann").await;
    for (client, status, code) in [(&app.anonymous(), 401, "auth.required"), (&ann, 403, "policy.denied")] {
        client.get("/api/collections").await.problem(status, code);
        client.get(POSTS).await.problem(status, code);
        client.post("/api/collections", json!({"name": "more", "fields": []})).await.problem(status, code);
        client.patch(POSTS, json!({"fields": []})).await.problem(status, code);
        client.request(Method::DELETE, &format!("{POSTS}?force=true")).send().await.problem(status, code);
    }
    assert_eq!(admin.get("/api/records/posts").await.list().len(), 1);
    assert_eq!(admin.get("/api/collections").await.list().len(), 2);
}
