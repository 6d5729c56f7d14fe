//! Relations, single and in lists, where plugins and policies have a say about the records that point: each of them is authorized and runs
//! through its own rules.

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::{THINGS, id, path, things};

const NOTES: &str = "/api/records/notes";

/// Things, notes that point to them in a list, and a plugin that sees what happens to notes.
async fn notes(on_delete: &str) -> (TestApp, Client) {
    let (app, admin) = things().await;
    let things = json!({"name": "things", "type": "relation", "collection": "things", "on_delete": on_delete, "many": true});
    admin.collection("notes", json!([{"name": "text", "type": "text"}, things])).await;
    let seen = json!([{"name": "note", "type": "text"}, {"name": "operation", "type": "text"}, {"name": "left", "type": "text"}]);
    admin.collection("seen", seen).await;
    crate::rules::paste(&admin, include_str!("relations.js")).await;
    (app, admin)
}

async fn thing(admin: &Client, title: &str) -> Value {
    admin.create("things", json!({"title": title})).await
}

/// Everything that is stored.
async fn stored(admin: &Client) -> [Vec<Value>; 3] {
    let all = async |path: &str| admin.query(path, &[("sort", "id"), ("limit", "1000")]).await.list();
    [all(THINGS).await, all(NOTES).await, all("/api/records/seen").await]
}

#[tokio::test]
async fn every_record_that_goes_along_runs_through_its_rules() {
    let (_app, admin) = notes("cascade").await;
    let (one, two) = (thing(&admin, "one").await, thing(&admin, "two").await);
    for text in ["a", "b", "c"] {
        admin.create("notes", json!({"text": text, "things": [two["id"], one["id"]]})).await;
    }
    let other = admin.create("notes", json!({"text": "other", "things": [two["id"]]})).await;
    admin.delete(&path(&one)).await.expect(200);
    let [things, notes, seen] = stored(&admin).await;
    assert_eq!((things, notes), (vec![two], vec![other]));
    assert_eq!(seen.iter().filter(|one| one["operation"] == "delete").count(), 3, "{seen:?}");
}

#[tokio::test]
async fn a_rule_that_keeps_one_keeps_all() {
    for on_delete in ["cascade", "unset"] {
        let (_app, admin) = notes(on_delete).await;
        let one = thing(&admin, "one").await;
        for text in ["a", "locked", "c"] {
            admin.create("notes", json!({"text": text, "things": [one["id"]]})).await;
        }
        let before = stored(&admin).await;
        let refused = admin.delete(&path(&one)).await.any_problem();
        assert_eq!((refused.answer.status, refused.code()), (422, "rule.refused"), "{on_delete}: {}", refused.answer);
        assert_eq!(stored(&admin).await, before, "{on_delete}");
    }
}

#[tokio::test]
async fn every_list_that_loses_one_runs_through_its_rules() {
    let (_app, admin) = notes("unset").await;
    let (one, two) = (thing(&admin, "one").await, thing(&admin, "two").await);
    let both = admin.create("notes", json!({"text": "both", "things": [one["id"], two["id"]]})).await;
    let only = admin.create("notes", json!({"text": "only", "things": [one["id"]]})).await;
    admin.delete(&path(&one)).await.expect(200);
    let [_, notes, seen] = stored(&admin).await;
    assert_eq!(notes.iter().map(|note| note["things"].clone()).collect::<Vec<_>>(), [json!([two["id"]]), json!([])]);
    let told: Vec<(&Value, &Value)> = seen.iter().map(|one| (&one["note"], &one["left"])).collect();
    let left = json!(json!([two["id"]]).to_string());
    assert_eq!(told, [(&both["id"], &left), (&only["id"], &json!("[]"))]);
}

#[tokio::test]
async fn whoever_may_not_change_what_points_changes_nothing() {
    for (on_delete, action) in [("cascade", "delete"), ("unset", "update")] {
        let (app, admin) = notes(on_delete).await;
        let ann = app.user("ann").await;
        admin.allow("role:authenticated", "things", "read", "true").await;
        admin.allow("role:authenticated", "things", "delete", "true").await;
        let one = thing(&admin, "one").await;
        admin.create("notes", json!({"text": "mine", "things": [one["id"]]})).await;
        let hers = admin.create("notes", json!({"text": "hers", "things": [one["id"]]})).await;
        let before = stored(&admin).await;
        ann.delete(&path(&one)).await.problem(409, "record.referenced");
        admin.allow("role:authenticated", "notes", action, "record.text == 'mine'").await;
        ann.delete(&path(&one)).await.problem(409, "record.referenced");
        assert_eq!(stored(&admin).await, before, "{on_delete}");
        admin.delete(&format!("{NOTES}/{}", id(&hers))).await.expect(200);
        ann.delete(&path(&one)).await.expect(200);
    }
}

#[tokio::test]
async fn relations_in_lists_lead_to_records_that_are_there() {
    let (_app, admin) = notes("restrict").await;
    let (one, gone) = (thing(&admin, "one").await, thing(&admin, "gone").await);
    admin.delete(&path(&gone)).await.expect(200);
    let before = stored(&admin).await;
    let note = json!({"things": [one["id"], gone["id"]]});
    admin.post(NOTES, note).await.problem(422, "record.invalid").errors(&["/things/1 relation.missing"]);
    // What a rule points at is looked at as well.
    let note = json!({"text": format!("to {} {}", id(&gone), id(&one))});
    admin.post(NOTES, note).await.problem(422, "record.invalid").errors(&["/things/0 relation.missing"]);
    assert_eq!(stored(&admin).await, before);
    let note = admin.create("notes", json!({"text": format!("to {}", id(&one))})).await;
    assert_eq!(note["things"], json!([one["id"]]));
    admin.delete(&path(&one)).await.problem(409, "record.referenced");
    admin
        .patch(&format!("{NOTES}/{}", id(&note)), json!({"things": [one["id"], gone["id"]]}))
        .await
        .problem(422, "record.invalid")
        .at("/things/1");
    admin.patch(&format!("{NOTES}/{}", id(&note)), json!({"things": []})).await.expect(200);
    admin.delete(&path(&one)).await.expect(200);
}
