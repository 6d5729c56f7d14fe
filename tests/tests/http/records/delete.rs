//! `DELETE /api/records/{collection}/{id}`, and what relations say about it.

use serde_json::{Value, json};
use tests::Client;

use super::{THINGS, id, path, things};

#[tokio::test]
async fn a_deletion_answers_the_deleted_record() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "gone"})).await;
    assert_eq!(admin.delete(&path(&record)).await.json(200), record);
    admin.get(&path(&record)).await.problem(404, "record.not_found");
    admin.delete(&path(&record)).await.problem(404, "record.not_found");
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_unique_value_is_free_again() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "first", "code": "A"})).await;
    admin.delete(&path(&record)).await.expect(200);
    admin.create("things", json!({"title": "second", "code": "A"})).await;
}

#[tokio::test]
async fn of_many_who_delete_at_once_one_succeeds() {
    let (_app, admin) = things().await;
    let one = path(&admin.create("things", json!({"title": "raced"})).await);
    let answers = futures_util::future::join_all((0..20).map(|_| admin.delete(&one))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.problem(404, "record.not_found");
    }
}

#[tokio::test]
async fn nobody_deletes_without_a_policy() {
    let (app, admin) = things().await;
    admin.allow("role:anyone", "things", "read", "").await;
    admin.allow("role:authenticated", "things", "delete", "record.owner == caller.id").await;
    let ann = app.user("ann").await;
    let foreign = admin.create("things", json!({"title": "foreign"})).await;
    let own = admin.create("things", json!({"title": "own", "owner": ann.id()})).await;
    app.anonymous().delete(&path(&foreign)).await.problem(401, "auth.required");
    let refused = ann.delete(&path(&foreign)).await.any_problem();
    assert!([403, 404].contains(&refused.answer.status), "{}", refused.answer);
    ann.delete(&path(&own)).await.expect(200);
    assert_eq!(admin.get(THINGS).await.list(), [foreign]);
}

/// A collection `notes` whose records point at things, with one such record.
async fn note(admin: &Client, on_delete: &str, many: bool) -> (Value, String) {
    let field = json!({"name": "thing", "type": "relation", "collection": "things", "on_delete": on_delete, "many": many});
    admin.collection("notes", json!([field])).await;
    let thing = admin.create("things", json!({"title": "pointed at"})).await;
    let value = if many { json!([thing["id"]]) } else { thing["id"].clone() };
    let note = admin.create("notes", json!({"thing": value})).await;
    (thing, format!("/api/records/notes/{}", id(&note)))
}

#[tokio::test]
async fn what_is_pointed_at_stays_by_restrict() {
    let (_app, admin) = things().await;
    let (thing, note) = note(&admin, "restrict", false).await;
    admin.delete(&path(&thing)).await.problem(409, "record.referenced");
    admin.get(&path(&thing)).await.expect(200);
    admin.delete(&note).await.expect(200);
    admin.delete(&path(&thing)).await.expect(200);
}

#[tokio::test]
async fn what_points_goes_along_by_cascade() {
    let (_app, admin) = things().await;
    let (thing, note) = note(&admin, "cascade", false).await;
    admin.delete(&path(&thing)).await.expect(200);
    admin.get(&note).await.problem(404, "record.not_found");
}

#[tokio::test]
async fn the_relation_is_emptied_by_unset() {
    let (_app, admin) = things().await;
    let (thing, note) = note(&admin, "unset", false).await;
    admin.delete(&path(&thing)).await.expect(200);
    assert_eq!(admin.get(&note).await.json(200)["thing"], Value::Null);
}

#[tokio::test]
async fn a_list_of_relations_loses_one_by_unset() {
    let (_app, admin) = things().await;
    let (thing, note) = note(&admin, "unset", true).await;
    let other = admin.create("things", json!({"title": "stays"})).await;
    admin.patch(&note, json!({"thing": [thing["id"], other["id"]]})).await.expect(200);
    admin.delete(&path(&thing)).await.expect(200);
    assert_eq!(admin.get(&note).await.json(200)["thing"], json!([other["id"]]));
}

#[tokio::test]
async fn a_chain_of_cascades_stops_at_a_restriction_and_undoes_everything() {
    let (_app, admin) = things().await;
    let (thing, note) = note(&admin, "cascade", false).await;
    let field = json!({"name": "note", "type": "relation", "collection": "notes", "on_delete": "restrict"});
    admin.collection("marks", json!([field])).await;
    let note_id = note.rsplit('/').next().expect("an id");
    admin.create("marks", json!({"note": note_id})).await;
    admin.delete(&path(&thing)).await.problem(409, "record.referenced");
    admin.get(&path(&thing)).await.expect(200);
    admin.get(&note).await.expect(200);
}

/// Nodes that point to other nodes and go along with them.
async fn nodes(admin: &Client) {
    let pointer = |name: &str| json!({"name": name, "type": "relation", "collection": "nodes", "on_delete": "cascade"});
    admin.collection("nodes", json!([pointer("first"), pointer("second")])).await;
}

#[tokio::test]
async fn a_circle_of_cascades_goes_as_a_whole() {
    let (_app, admin) = things().await;
    nodes(&admin).await;
    let one = admin.create("nodes", json!({})).await;
    let two = admin.create("nodes", json!({"first": id(&one)})).await;
    let itself = admin.create("nodes", json!({"first": id(&two)})).await;
    let at = |node: &Value| format!("/api/records/nodes/{}", id(node));
    admin.patch(&at(&one), json!({"first": id(&two)})).await.expect(200);
    admin.patch(&at(&itself), json!({"second": id(&itself)})).await.expect(200);
    admin.delete(&at(&one)).await.expect(200);
    assert_eq!(admin.get("/api/records/nodes").await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn what_hangs_on_two_that_go_is_in_nobodys_way() {
    let (_app, admin) = things().await;
    nodes(&admin).await;
    let top = admin.create("nodes", json!({})).await;
    let side = admin.create("nodes", json!({"first": id(&top)})).await;
    admin.create("nodes", json!({"first": id(&top), "second": id(&side)})).await;
    admin.delete(&format!("/api/records/nodes/{}", id(&top))).await.expect(200);
    assert_eq!(admin.get("/api/records/nodes").await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_chain_of_cascades_has_an_end() {
    let (_app, admin) = things().await;
    nodes(&admin).await;
    let mut last = admin.create("nodes", json!({})).await;
    let top = last.clone();
    for _ in 0..40 {
        last = admin.create("nodes", json!({"first": id(&last)})).await;
    }
    admin.delete(&format!("/api/records/nodes/{}", id(&top))).await.problem(409, "delete.too_many");
    assert_eq!(admin.query("/api/records/nodes", &[("limit", "100")]).await.list().len(), 41, "half of the chain is gone");
}

#[tokio::test]
async fn more_than_a_deletion_takes_along_is_told_as_that() {
    for (on_delete, code) in [("cascade", "delete.too_many"), ("unset", "delete.too_many"), ("restrict", "record.referenced")] {
        let (_app, admin) = things().await;
        let (thing, _) = note(&admin, on_delete, false).await;
        let notes: Vec<Value> = (0..1_000).map(|_| json!({"thing": thing["id"]})).collect();
        let last = admin.post("/api/records/notes", notes.into()).await.json(201)[0].clone();
        let problem = admin.delete(&path(&thing)).await.problem(409, code);
        assert_eq!(problem.message().contains("1000"), code == "delete.too_many", "{}", problem.answer);
        assert_eq!(admin.get(&format!("/api/records/notes/{}", id(&last))).await.json(200), last, "{on_delete}");
    }
}

#[tokio::test]
async fn nothing_points_to_a_record_that_went_at_the_same_moment() {
    let (_app, admin) = things().await;
    admin.collection("leaves", json!([{"name": "thing", "type": "relation", "collection": "things", "required": true}])).await;
    for _ in 0..20 {
        let thing = admin.create("things", json!({"title": "raced"})).await;
        let leaf = json!({"thing": id(&thing)});
        let at = path(&thing);
        let leaves = futures_util::future::join_all((0..4).map(|_| admin.post("/api/records/leaves", leaf.clone())));
        let (deleted, leaves) = futures_util::future::join(admin.delete(&at), leaves).await;
        let kept = leaves.iter().filter(|answer| answer.status == 201).count();
        let there = admin.get(&at).await.status == 200;
        assert_eq!(there, deleted.status != 200);
        assert!(there || kept == 0, "{kept} leaves point to a record that is gone");
    }
}
