//! `PATCH /api/collections/{name}` with `fill`: a field becomes required while there are records that have nothing in it.

use serde_json::{Value, json};

use super::{POSTS, posts, with_fields};

const RECORDS: &str = "/api/records/posts";

fn with_state(required: bool, fill: Value) -> Value {
    let mut change = with_fields("", &[json!({"name": "state", "type": "select", "values": ["new", "done"], "required": required})]);
    change["fill"] = fill;
    change
}

#[tokio::test]
async fn a_required_field_needs_values_for_what_is_stored() {
    let (_app, admin) = posts(&[json!({"title": "one"}), json!({"title": "two"})]).await;
    let before = (admin.get(POSTS).await.json(200), admin.get(RECORDS).await.list());
    let problem = admin.patch(POSTS, with_state(true, json!({}))).await.problem(409, "collection.data_loss");
    problem.at("/state");
    admin.patch(&format!("{POSTS}?dry_run=true"), with_state(true, json!({"state": "new"}))).await.expect(200);
    assert_eq!((admin.get(POSTS).await.json(200), admin.get(RECORDS).await.list()), before);

    admin.patch(POSTS, with_state(true, json!({"state": "new"}))).await.expect(200);
    assert!(admin.get(RECORDS).await.list().iter().all(|record| record["state"] == "new"));
    admin.post(RECORDS, json!({"title": "three"})).await.problem(422, "record.invalid").errors(&["/state field.required"]);
    assert_eq!(admin.query(RECORDS, &[("filter", "state == 'new'")]).await.list().len(), 2);
}

#[tokio::test]
async fn values_that_cannot_be_filled_in_change_nothing() {
    let (_app, admin) = posts(&[json!({"title": "one"}), json!({"title": "two"})]).await;
    let before = (admin.get(POSTS).await.json(200), admin.get(RECORDS).await.list());
    let cases = [
        (json!({"state": "old"}), "/fill/state field.value"),
        (json!({"state": 7}), "/fill/state field.value"),
        (json!({"state": null}), "/fill/state field.value"),
        (json!({"nope": 7}), "/fill/nope field.unknown"),
        (json!({"id": "x"}), "/fill/id field.unknown"),
        (json!({"views": -1}), "/fill/views field.value"),
    ];
    for (fill, expected) in cases {
        for query in ["", "?force=true", "?dry_run=true"] {
            let problem = admin.patch(&format!("{POSTS}{query}"), with_state(false, fill.clone())).await.problem(422, "collection.invalid");
            problem.errors(&[expected]);
        }
    }
    admin.patch("/api/collections/users", json!({"fill": {"password": "secret-secret"}})).await.problem(422, "collection.invalid");
    // `slug` is unique, and there are two records without one.
    for query in ["?dry_run=true", ""] {
        admin.patch(&format!("{POSTS}{query}"), json!({"fill": {"slug": "same"}})).await.problem(409, "collection.data_loss");
    }
    assert_eq!((admin.get(POSTS).await.json(200), admin.get(RECORDS).await.list()), before);
}

#[tokio::test]
async fn only_what_is_null_is_filled() {
    let (_app, admin) = posts(&[json!({"title": "one", "slug": "first"}), json!({"title": "two"})]).await;
    let mut change = with_fields("", &[json!({"name": "price", "type": "decimal", "immutable": true})]);
    change["fill"] = json!({"slug": "second", "price": "4.50"});
    admin.patch(POSTS, change).await.expect(200);
    let listed = admin.query(RECORDS, &[("sort", "title")]).await.list();
    let shown: Vec<(&Value, &Value)> = listed.iter().map(|record| (&record["slug"], &record["price"])).collect();
    assert_eq!(shown, [(&json!("first"), &json!("4.50")), (&json!("second"), &json!("4.50"))]);
}
