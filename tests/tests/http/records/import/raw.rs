//! `raw=true`: records come back as they were exported, with their ids and times.

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::{super::id, CSV, NDJSON, THINGS, export, hard, import, import_into, lines, things};

/// The collection without a record, as after an accident.
async fn emptied(admin: &Client) {
    let definition = admin.get("/api/collections/things").await.json(200);
    admin.delete("/api/collections/things?force=true").await.expect(200);
    admin.post("/api/collections", definition).await.expect(201);
}

#[tokio::test]
async fn what_was_lost_comes_back_as_it_was() {
    let (app, admin) = things().await;
    let ann = app.user("ann").await;
    for record in hard(ann.id()) {
        let made = admin.create("things", record).await;
        admin.patch(&super::super::path(&made), json!({"ratio": 0.5})).await.expect(200);
    }
    let before = (export(&admin, "ndjson").await, export(&admin, "csv").await);
    for (file, kind) in [(&before.0, NDJSON), (&before.1, CSV)] {
        emptied(&admin).await;
        import(&admin, &[("raw", "true")], kind, file.clone()).await.expect(200);
        assert_eq!((export(&admin, "ndjson").await, export(&admin, "csv").await), before, "from {kind}");
        // What is there already is not made twice; what is newer is taken over.
        let again = import(&admin, &[("raw", "true"), ("on_error", "skip")], kind, file.clone()).await.json(200);
        assert_eq!((&again["created"], &again["failed"]), (&json!(0), &json!(5)), "{again}");
        let restored = import(&admin, &[("raw", "true"), ("mode", "upsert"), ("on", "id")], kind, file.clone()).await.json(200);
        assert_eq!((&restored["created"], &restored["updated"]), (&json!(0), &json!(5)), "{restored}");
        assert_eq!(export(&admin, "ndjson").await, before.0, "from {kind} over itself");
    }
}

#[tokio::test]
async fn what_is_restored_is_valid_and_leads_somewhere() {
    let (_app, admin) = things().await;
    let bad = [
        (json!({"title": "x"}), "/1/title field.length"),
        (json!({"title": "fine", "id": "mine"}), "/1/id field.format"),
        (json!({"title": "fine", "created": "today"}), "/1/created field.format"),
        (json!({"title": "fine", "owner": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}), "/1/owner relation.missing"),
        (json!({"title": "fine", "nope": 1}), "/1/nope field.unknown"),
    ];
    for (row, error) in bad {
        import(&admin, &[("raw", "true")], NDJSON, row.to_string()).await.problem(422, "import.stopped").errors(&[error]);
    }
    let taken = admin.create("things", json!({"title": "there", "code": "a"})).await;
    let rows = format!("{}\n{}\n", json!({"title": "same id", "id": id(&taken)}), json!({"title": "same code", "code": "a"}));
    let done = import(&admin, &[("raw", "true"), ("on_error", "skip")], NDJSON, rows).await.json(200);
    assert_eq!((&done["created"], &done["failed"]), (&json!(0), &json!(2)), "{done}");
    assert_eq!(admin.get(THINGS).await.list(), [taken]);
}

#[tokio::test]
async fn policies_about_records_are_not_asked_but_the_one_about_imports_is() {
    let (app, admin) = things().await;
    let ann = app.user("ann").await;
    let row = "{\"title\":\"mine\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"}\n";
    admin.allow("role:authenticated", "things", "create", "true").await;
    import(&ann, &[("raw", "true")], NDJSON, row).await.problem(403, "policy.denied");
    // Without it nobody chooses an id.
    import(&ann, &[], NDJSON, row).await.expect(200);
    assert_eq!(lines(&export(&admin, "ndjson").await).iter().filter(|one| one["id"] == "01ARZ3NDEKTSV4RRFFQ69G5FAV").count(), 0);
    admin.allow(&format!("user:{}", ann.id()), "_imports", "create", "").await;
    import(&ann, &[("raw", "true")], NDJSON, row).await.expect(200);
    assert_eq!(lines(&export(&admin, "ndjson").await).iter().filter(|one| one["id"] == "01ARZ3NDEKTSV4RRFFQ69G5FAV").count(), 1);
}

#[tokio::test]
async fn accounts_are_restored_with_plain_passwords_only() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let password = tests::PASSWORD;
    let file = format!("email,password\nann@test.example,{password}\n");
    import_into(&admin, "users", &[("raw", "true")], CSV, file).await.expect(200);
    app.login("ann@test.example", password).await.get("/api/auth/me").await.expect(200);
    let hash = "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    let row = json!({"email": "ben@test.example", "password": hash}).to_string();
    let answer = import_into(&admin, "users", &[("raw", "true")], NDJSON, row).await;
    // A long text is a fine password; what is stored is a hash of it.
    answer.expect(200);
    app.login("ben@test.example", hash).await.get("/api/auth/me").await.expect(200);
    let nobody: Vec<Value> = admin.query("/api/records/users", &[("filter", "email == 'nobody@test.example'")]).await.list();
    assert_eq!(nobody.len(), 0);
}
