//! `POST /api/records/{collection}?upsert=...` and `PUT` with `If-None-Match: *`: what is there is changed, what is not is created.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Client, Method, PASSWORD, TestApp};

use super::{THINGS, id, path, things};

const BY_CODE: &str = "/api/records/things?upsert=code";
const BY_ID: &str = "/api/records/things?upsert=id";
const NEW: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

#[tokio::test]
async fn a_unique_field_finds_what_is_changed() {
    let (_app, admin) = things().await;
    let created = admin.post(BY_CODE, json!({"code": "A", "title": "first", "price": "1.50"})).await.expect(201);
    assert_eq!(created.expect_header("location"), path(&created.json));
    assert_eq!((&created.json["amount"], &created.json["price"]), (&json!(1), &json!("1.50")));
    let changed = admin.post(BY_CODE, json!({"code": "A", "title": "second"})).await.expect(200);
    assert!(changed.header("location").is_none(), "{changed}");
    assert_ne!(changed.expect_header("etag"), created.expect_header("etag"));
    assert_eq!((&changed.json["id"], &changed.json["title"]), (&created.json["id"], &json!("second")));
    assert_eq!(changed.json["price"], "1.50", "it was replaced, not merged");
    assert_eq!(admin.get(THINGS).await.list(), [changed.json]);
}

#[tokio::test]
async fn an_id_can_be_chosen() {
    let (_app, admin) = things().await;
    let created = admin.post(BY_ID, json!({"id": NEW, "title": "chosen"})).await.json(201);
    assert_eq!(created["id"], NEW);
    let changed = admin.post(BY_ID, json!({"id": NEW, "title": "changed", "amount+": 4})).await.json(200);
    assert_eq!((&changed["id"], &changed["title"], &changed["amount"]), (&json!(NEW), &json!("changed"), &json!(5)));
    let made = admin.create("things", json!({"title": "made"})).await;
    let changed = admin.post(BY_ID, json!({"id": made["id"], "title": "found"})).await.json(200);
    assert_eq!(changed["title"], "found");
    assert_eq!(admin.get(THINGS).await.list().len(), 2);
}

#[tokio::test]
async fn the_fields_of_a_unique_index_find_it_together() {
    let (_app, admin) = things().await;
    let fields = json!([{"name": "shop", "type": "text"}, {"name": "number", "type": "integer"}, {"name": "mail", "type": "email", "unique": true}, {"name": "seen", "type": "integer", "default": 5}]);
    let indexes = json!([{"fields": ["shop", "number"], "unique": true}]);
    admin.post("/api/collections", json!({"name": "visits", "fields": fields, "indexes": indexes})).await.expect(201);
    let path = "/api/records/visits?upsert=number,shop";
    let first = admin.post(path, json!({"shop": "a", "number": 1, "seen+": 1})).await.json(201);
    assert_eq!(first["seen"], 6, "a modifier of a new record changes its default");
    let again = admin.post(path, json!({"shop": "a", "number": 1.0, "seen+": 1})).await.json(200);
    assert_eq!((&again["id"], &again["seen"]), (&first["id"], &json!(7)));
    admin.post(path, json!({"shop": "a", "number": 2})).await.expect(201);
    // Values are compared as they are stored.
    let mail = admin.post("/api/records/visits?upsert=mail", json!({"mail": "Ann@Test.example"})).await.json(201);
    let same = admin.post("/api/records/visits?upsert=mail", json!({"mail": "ann@test.EXAMPLE"})).await.json(200);
    assert_eq!(same["id"], mail["id"]);
}

#[tokio::test]
async fn what_tells_no_record_is_refused() {
    let (_app, admin) = things().await;
    for on in ["title", "nope", "code,title", "created", "code,code", "id,code"] {
        admin
            .post(&format!("{THINGS}?upsert={on}"), json!({"title": "no"}))
            .await
            .problem(400, "query.invalid")
            .errors(&["/upsert query.value"]);
    }
    admin
        .post(&format!("{BY_CODE}&upsert=id"), json!({"title": "no"}))
        .await
        .problem(400, "query.invalid")
        .errors(&["/upsert query.value"]);
    admin.post(&format!("{BY_CODE}&nope=1"), json!({"title": "no"})).await.problem(400, "query.invalid").errors(&["/nope query.unknown"]);
    let invalid = async |path: &str, body: Value, error: &str| {
        admin.post(path, body).await.problem(422, "record.invalid").errors(&[error]);
    };
    invalid(BY_CODE, json!({"title": "no"}), "/code field.required").await;
    invalid(BY_CODE, json!({"title": "no", "code": null}), "/code field.required").await;
    invalid(BY_CODE, json!({"title": "no", "code": 7}), "/code field.type").await;
    invalid(BY_ID, json!({"title": "no"}), "/id field.required").await;
    invalid(BY_ID, json!({"title": "no", "id": "mine"}), "/id field.format").await;
    invalid(BY_ID, json!({"title": "no", "id": NEW.to_lowercase()}), "/id field.format").await;
    invalid(BY_CODE, json!({"code": "A"}), "/title field.required").await;
    invalid(BY_CODE, json!([{"code": "A", "title": "ok"}, {"title": "no"}]), "/1/code field.required").await;
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
    // An empty parameter counts as absent.
    admin.post(&format!("{THINGS}?upsert="), json!({"title": "plain"})).await.expect(201);
}

#[tokio::test]
async fn several_are_written_together_or_not_at_all() {
    let (_app, admin) = things().await;
    let pair = |one: &str, two: &str| json!([{"code": "A", "title": one}, {"code": "B", "title": two}]);
    let created = admin.post(BY_CODE, pair("a1", "b1")).await.json(201);
    let changed = admin.post(BY_CODE, pair("a2", "b2")).await.json(200);
    assert_eq!((&changed[0]["id"], &changed[1]["id"]), (&created[0]["id"], &created[1]["id"]));
    let mixed = json!([{"code": "B", "title": "b3"}, {"code": "C", "title": "c1"}, {"code": "C", "title": "c2"}]);
    let mixed = admin.post(BY_CODE, mixed).await.json(200);
    assert_eq!(mixed[1]["id"], mixed[2]["id"], "the second finds what the first has made");
    let before = admin.get(THINGS).await.list();
    assert_eq!(before.len(), 3);
    let wrong = json!([{"code": "A", "title": "a4"}, {"code": "D", "title": "d1"}, {"code": "B", "amount": -1}]);
    admin.post(BY_CODE, wrong).await.problem(422, "record.invalid").errors(&["/2/amount field.range"]);
    assert_eq!(admin.get(THINGS).await.list(), before);
}

#[tokio::test]
async fn of_many_who_write_one_new_value_one_creates_and_all_change() {
    let (_app, admin) = things().await;
    for round in 0..4 {
        let body = |number: usize| json!({"code": format!("R{round}"), "title": format!("by {number}"), "amount+": 1});
        let answers = join_all((0..32).map(|number| admin.post(BY_CODE, body(number)))).await;
        let created = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(created, 1, "round {round}");
        for answer in &answers {
            assert!([200, 201].contains(&answer.status), "{answer}");
        }
        let found = admin.query(THINGS, &[("filter", &format!("code == 'R{round}'"))]).await.list();
        // The default is 1.
        assert_eq!((found.len(), &found[0]["amount"]), (1, &json!(33)), "round {round}");
    }
}

/// Ann may change what is hers and create what she likes; she sees the titles and codes of what is new.
async fn ann(app: &TestApp, admin: &Client) -> Client {
    let policy = |action: &str, fields: &str, condition: &str| json!({"subject": "role:authenticated", "object": "things", "action": action, "fields": fields, "condition": condition});
    admin.policy(policy("read", "title code owner", "record.state != 'done'")).await;
    admin.policy(policy("update", "*", "record.owner == caller.id")).await;
    admin.policy(policy("create", "title code owner", "")).await;
    app.user("ann").await
}

#[tokio::test]
async fn what_is_hidden_looks_like_what_a_creation_hears() {
    let (app, admin) = things().await;
    let ann = ann(&app, &admin).await;
    let foreign = admin.create("things", json!({"title": "foreign", "code": "F"})).await;
    let unseen = admin.create("things", json!({"title": "unseen", "code": "U", "owner": ann.id(), "state": "done"})).await;
    let own = admin.create("things", json!({"title": "own", "code": "O", "owner": ann.id(), "state": "new"})).await;
    let before = admin.get(THINGS).await.list();
    for code in ["F", "U"] {
        let body = json!({"title": "taken", "code": code});
        let upsert = ann.post(BY_CODE, body.clone()).await.problem(409, "record.unique").errors(&["/code field.unique"]);
        let create = ann.post(THINGS, body).await.problem(409, "record.unique").errors(&["/code field.unique"]);
        assert_eq!(upsert.message(), create.message());
    }
    // By an id that is known nothing is found either that may not be changed.
    ann.post(BY_ID, json!({"id": foreign["id"], "title": "taken"})).await.problem(409, "record.unique").errors(&["/id field.unique"]);
    assert_eq!(admin.get(THINGS).await.list(), before);
    ann.post(BY_CODE, json!({"code": "O", "title": "still mine"})).await.expect(200);
    ann.post(BY_ID, json!({"id": unseen["id"], "title": "known"})).await.expect(200);
    assert_eq!(admin.get(&path(&own)).await.json(200)["title"], "still mine");
    // Where nobody may create, what cannot be changed is refused like any creation.
    app.anonymous().post(BY_CODE, json!({"code": "F", "title": "no"})).await.problem(401, "auth.required");
}

#[tokio::test]
async fn no_record_is_found_by_what_cannot_be_read() {
    let (app, admin) = things().await;
    let policy =
        |action: &str, fields: &str| json!({"subject": "role:authenticated", "object": "things", "action": action, "fields": fields});
    for (action, fields) in [("read", "title"), ("create", "*"), ("update", "*")] {
        admin.policy(policy(action, fields)).await;
    }
    let ann = app.user("ann").await;
    admin.create("things", json!({"title": "taken", "code": "A"})).await;
    for code in ["A", "B"] {
        let problem = ann.post(BY_CODE, json!({"code": code, "title": "guess"})).await.problem(403, "field.unreadable");
        problem.errors(&["/upsert field.unreadable"]);
    }
}

#[tokio::test]
async fn nobody_chooses_the_id_of_an_account() {
    let (app, admin) = things().await;
    let gone = app.user("gone").await;
    admin.delete(&format!("/api/records/users/{}", gone.id())).await.expect(200);
    let account = json!({"id": gone.id(), "email": "heir@test.example", "password": PASSWORD});
    admin.post("/api/records/users?upsert=id", account.clone()).await.problem(403, "policy.denied").errors(&["/id field.forbidden"]);
    let put = admin.request(Method::PUT, &format!("/api/records/users/{}", gone.id())).header("if-none-match", "*").json(&account);
    put.send().await.problem(403, "policy.denied").errors(&["/id field.forbidden"]);
    // One that is there can be changed, and found by its address.
    let ann = app.user("ann").await;
    admin.post("/api/records/users?upsert=id", json!({"id": ann.id(), "verified": true})).await.expect(200);
    let found = admin.post("/api/records/users?upsert=email", json!({"email": "ann@test.example", "verified": false})).await.json(200);
    assert_eq!(found["id"], ann.id());
}

#[tokio::test]
async fn a_record_is_put_where_none_is() {
    let (_app, admin) = things().await;
    let place = format!("{THINGS}/{NEW}");
    let put = |tag: &str, title: &str| {
        admin.request(Method::PUT, &place).header("if-none-match", tag).json(&json!({"title": title, "id": "ignored"})).send()
    };
    // Only who says that there must be none creates.
    admin.put(&place, json!({"title": "no"})).await.problem(404, "record.not_found");
    put("\"x-1\"", "no").await.problem(404, "record.not_found");
    let created = put("*", "put").await.expect(201);
    assert_eq!(created.expect_header("location"), place);
    assert_eq!((&created.json["id"], &created.json["amount"]), (&json!(NEW), &json!(1)));
    put("*", "again").await.problem(412, "record.version_mismatch");
    put(created.expect_header("etag"), "same").await.problem(412, "record.version_mismatch");
    assert_eq!(admin.get(&place).await.json(200), created.json);
    put("\"x-1\"", "other").await.expect(200);
    let odd = admin.request(Method::PUT, &format!("{THINGS}/mine")).header("if-none-match", "*").json(&json!({"title": "no"}));
    odd.send().await.problem(422, "record.invalid").errors(&["/id field.format"]);
}

#[tokio::test]
async fn of_many_who_put_at_once_one_creates() {
    let (_app, admin) = things().await;
    let place = format!("{THINGS}/{NEW}");
    let put = |number: usize| {
        admin.request(Method::PUT, &place).header("if-none-match", "*").json(&json!({"title": format!("by {number}")})).send()
    };
    let answers = join_all((0..16).map(put)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(412, "record.version_mismatch");
    }
}

#[tokio::test]
async fn preconditions_hold_for_what_is_found() {
    let (_app, admin) = things().await;
    let post = |name: &'static str, tag: &str, title: &str| {
        admin.request(Method::POST, BY_CODE).header(name, tag).json(&json!({"code": "A", "title": title})).send()
    };
    post("if-match", "*", "no").await.problem(412, "record.version_mismatch");
    let created = post("if-none-match", "*", "first").await.expect(201);
    post("if-none-match", "*", "no").await.problem(412, "record.version_mismatch");
    post("if-match", "\"nope\"", "no").await.problem(412, "record.version_mismatch");
    assert_eq!(admin.get(THINGS).await.list(), std::slice::from_ref(&created.json));
    post("if-match", created.expect_header("etag"), "second").await.expect(200);
    assert_eq!(id(&created.json), id(&admin.get(THINGS).await.list()[0]));
}
