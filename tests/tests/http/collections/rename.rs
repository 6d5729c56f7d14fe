//! `PATCH /api/collections/{name}` with `rename`: fields get another name, and nothing that is stored is lost.

use serde_json::{Value, json};

use super::{POSTS, names, posts};

const RECORDS: &str = "/api/records/posts";

#[tokio::test]
async fn a_rename_that_cannot_be_changes_nothing() {
    let (_app, admin) = posts(&[json!({"title": "one", "views": 3, "slug": "first"})]).await;
    let before = (admin.get(POSTS).await.json(200), admin.get(RECORDS).await.list());
    let twice = json!([{"name": "title", "type": "text"}, {"name": "headline", "type": "text"}]);
    let cases = [
        (json!({"rename": {"nope": "other"}}), "/rename/nope field.unknown"),
        (json!({"rename": {"created": "made"}}), "/rename/created field.unknown"),
        (json!({"rename": {"title": "views"}}), "/rename/title name.taken"),
        (json!({"rename": {"title": "title"}}), "/rename/title name.taken"),
        (json!({"rename": {"title": "Head line"}}), "/fields/0/name name.invalid"),
        (json!({"rename": {"title": "id"}}), "/fields/0/name name.reserved"),
        (
            json!({"rename": {"title": "headline"}, "fields": [{"name": "title", "type": "text"}], "indexes": []}),
            "/rename/title field.unknown",
        ),
        (json!({"rename": {"title": "headline"}, "fields": twice, "indexes": []}), "/rename/title name.taken"),
    ];
    for (change, expected) in cases {
        for query in ["", "?dry_run=true", "?force=true"] {
            let problem = admin.patch(&format!("{POSTS}{query}"), change.clone()).await.problem(422, "collection.invalid");
            problem.errors(&[expected]);
        }
    }
    let exchanged = admin.patch(POSTS, json!({"rename": {"title": "slug", "slug": "title"}})).await;
    exchanged.problem(422, "collection.invalid").errors(&["/rename/slug name.taken", "/rename/title name.taken"]);
    for wrong in [json!({"rename": ["title"]}), json!({"rename": {"title": 7}}), json!({"rename": "title"})] {
        let problem = admin.patch(POSTS, wrong).await.any_problem();
        assert!([400, 422].contains(&problem.answer.status), "{}", problem.answer);
    }
    admin.patch("/api/collections/users", json!({"rename": {"email": "mail"}})).await.problem(422, "collection.invalid");
    assert_eq!((admin.get(POSTS).await.json(200), admin.get(RECORDS).await.list()), before);
}

#[tokio::test]
async fn a_dry_run_of_a_rename_does_nothing() {
    let (_app, admin) = posts(&[json!({"title": "one", "slug": "first"})]).await;
    let before = (admin.get(POSTS).await.json(200), admin.get(RECORDS).await.list());
    let told = admin.patch(&format!("{POSTS}?dry_run=true"), json!({"rename": {"slug": "path"}})).await.json(200);
    assert_eq!(names(&told), ["title", "views", "path"]);
    assert_eq!((admin.get(POSTS).await.json(200), admin.get(RECORDS).await.list()), before);
}

#[tokio::test]
async fn values_and_indexes_move_along() {
    let records = [json!({"title": "one", "views": 3, "slug": "first"}), json!({"title": "two", "views": 7})];
    let (_app, admin) = posts(&records).await;
    let changed = admin.patch(POSTS, json!({"rename": {"slug": "path", "views": "hits"}})).await.json(200);
    assert_eq!(names(&changed), ["title", "hits", "path"]);
    assert_eq!(changed["indexes"][0]["fields"], json!(["hits"]));
    let listed = admin.query(RECORDS, &[("sort", "-hits"), ("fields", "title,hits,path")]).await.list();
    let shown: Vec<(&Value, &Value, &Value)> = listed.iter().map(|one| (&one["title"], &one["hits"], &one["path"])).collect();
    assert_eq!(shown, [(&json!("two"), &json!(7), &Value::Null), (&json!("one"), &json!(3), &json!("first"))]);
    assert_eq!(admin.query(RECORDS, &[("filter", "path == 'first'")]).await.list().len(), 1);
    admin.query(RECORDS, &[("filter", "slug == 'first'")]).await.problem(400, "query.invalid").at("/filter");
    admin.post(RECORDS, json!({"title": "three", "path": "first"})).await.problem(409, "record.unique").errors(&["/path field.unique"]);
    admin.post(RECORDS, json!({"title": "three", "slug": "third"})).await.problem(422, "record.invalid").at("/slug");
    // The old name is free, and has none of the old values.
    let mut fields = changed["fields"].as_array().cloned().expect("fields");
    fields.push(json!({"name": "slug", "type": "text"}));
    admin.patch(POSTS, json!({"fields": fields})).await.expect(200);
    assert!(admin.get(RECORDS).await.list().iter().all(|record| record["slug"].is_null()));
}

#[tokio::test]
async fn a_renamed_decimal_keeps_its_digits() {
    let (_app, admin) = posts(&[]).await;
    admin.collection("bills", json!([{"name": "total", "type": "decimal"}])).await;
    admin.create("bills", json!({"total": "4.500"})).await;
    admin.create("bills", json!({"total": "1.25"})).await;
    admin.patch("/api/collections/bills", json!({"rename": {"total": "sum"}})).await.expect(200);
    let listed = admin.query("/api/records/bills", &[("sort", "sum")]).await.list();
    assert_eq!(listed.iter().map(|bill| &bill["sum"]).collect::<Vec<_>>(), ["1.25", "4.500"]);
}

#[tokio::test]
async fn a_field_is_renamed_and_retyped_in_one_change() {
    let (_app, admin) = posts(&[json!({"title": "one", "views": 3, "slug": "12"}), json!({"title": "two", "slug": "many"})]).await;
    let fields = json!([{"name": "title", "type": "text", "required": true}, {"name": "views", "type": "integer"}, {"name": "number", "type": "integer"}]);
    let change = json!({"rename": {"slug": "number"}, "fields": fields});
    let before = admin.get(RECORDS).await.list();
    let problem = admin.patch(POSTS, change.clone()).await.problem(409, "collection.data_loss");
    problem.at("/number");
    assert_eq!(admin.get(RECORDS).await.list(), before);
    admin.patch(&format!("{POSTS}?force=true"), change).await.expect(200);
    let listed = admin.query(RECORDS, &[("sort", "title")]).await.list();
    assert_eq!(listed[1]["number"], Value::Null);
}

#[tokio::test]
async fn a_policy_that_names_the_field_is_in_the_way() {
    let (_app, admin) = posts(&[json!({"title": "one", "slug": "first"})]).await;
    let id = admin.allow("role:anyone", "posts", "read", "record.slug == 'first'").await;
    let change = json!({"rename": {"slug": "path"}});
    admin.patch(POSTS, change.clone()).await.problem(422, "collection.invalid").at("/policies");
    assert_eq!(admin.get(RECORDS).await.list()[0]["slug"], "first");
    admin.delete(&format!("/api/policies/{id}")).await;
    admin.patch(POSTS, change).await.expect(200);
}

#[tokio::test]
async fn a_dry_run_finds_values_that_are_not_unique() {
    let (_app, admin) = posts(&[json!({"title": "one", "views": 3}), json!({"title": "two", "views": 3})]).await;
    let before = admin.get(POSTS).await.json(200);
    for query in ["?dry_run=true", "", "?dry_run=true"] {
        let change = json!({"indexes": [{"fields": ["views"], "unique": true}]});
        let problem = admin.patch(&format!("{POSTS}{query}"), change).await.problem(409, "collection.data_loss");
        problem.at("/indexes");
    }
    assert_eq!(admin.get(POSTS).await.json(200), before);
    let harmless = json!({"indexes": [{"fields": ["title"], "unique": true}]});
    admin.patch(&format!("{POSTS}?dry_run=true"), harmless).await.expect(200);
    // It was not done: two may have the same title still, and the index can be made later.
    admin.create("posts", json!({"title": "one"})).await;
    assert_eq!(admin.get(POSTS).await.json(200), before);
}
