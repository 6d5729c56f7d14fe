//! The document of a caller: what it may do and no more, as the server then decides.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::{Answer, Client, Method, TestApp};

use super::{call, document, operations, parameters, request_properties, response_properties, set, things};

async fn own(client: &Client) -> Value {
    client.get("/openapi.json?for=caller").await.json(200)
}

fn names(document: &Value) -> BTreeSet<String> {
    operations(document).into_iter().map(|operation| operation.name).collect()
}

/// A collection of which ann may read a part of her own, and write less.
async fn ledger() -> (TestApp, Client, Client) {
    let (app, admin) = things().await;
    let fields = json!([
        {"name": "title", "type": "text", "required": true},
        {"name": "note", "type": "text"},
        {"name": "owner", "type": "relation", "collection": "users"},
        {"name": "verdict", "type": "select", "values": ["harsh", "mild"]},
    ]);
    admin.collection("ledger", fields).await;
    let policy = |action: &str, fields: &str, condition: &str, effect: &str| {
        let (subject, object) = ("role:authenticated", "ledger");
        json!({"subject": subject, "object": object, "action": action, "fields": fields, "condition": condition, "effect": effect})
    };
    admin.policy(policy("read", "title owner created", "record.owner == caller.id", "allow")).await;
    admin.policy(policy("read", "note", r#"record.title == "open""#, "allow")).await;
    admin.policy(policy("create", "title owner", "", "allow")).await;
    let ann = app.user("ann").await;
    (app, admin, ann)
}

#[tokio::test]
async fn a_caller_sees_what_it_may_do_field_by_field() {
    let (_app, _admin, ann) = ledger().await;
    let document = own(&ann).await;
    let (all, one) = ("/api/records/ledger", "/api/records/ledger/{id}");
    assert!(document["paths"][all]["get"].is_object() && document["paths"][all]["post"].is_object());
    assert!(document["paths"][one]["get"].is_object());
    for method in ["patch", "put", "delete"] {
        assert!(document["paths"][one].get(method).is_none(), "{method}");
    }
    // Some record may show `note`, none shows `updated` or the verdict.
    assert_eq!(response_properties(&document, one, "get", "200"), set(&["id", "created", "title", "note", "owner"]));
    assert_eq!(request_properties(&document, all, "post"), set(&["id", "created", "updated", "title", "owner", "expand"]));
    assert!(document["paths"].get("/api/records/things").is_none());
    for hidden in ["verdict", "harsh", "Things", "things", "_plugins", "PolicyCreated"] {
        assert!(!document.to_string().contains(hidden), "`{hidden}` is told");
    }
    // What only some records show cannot be asked for.
    let parameters = parameters(&document, &document["paths"][all]["get"]);
    let text = |name: &str| parameters.iter().find(|one| one["name"] == name).map(|one| one["description"].to_string()).unwrap_or_default();
    assert!(!text("filter").contains("`note`") && !text("sort").contains("`note`"), "{parameters:?}");
    assert!(text("fields").contains("`note`"), "{parameters:?}");
}

#[tokio::test]
async fn whoever_may_only_write_is_shown_the_id() {
    let (app, admin, _ann) = ledger().await;
    admin.policy(json!({"subject": "role:anyone", "object": "ledger", "action": "create", "fields": "title"})).await;
    let document = own(&app.anonymous()).await;
    let all = "/api/records/ledger";
    assert_eq!(response_properties(&document, all, "post", "201"), set(&["id"]));
    assert!(document["paths"][all].get("get").is_none() && document["paths"].get("/api/records/ledger/{id}").is_none());
    assert!(document["paths"].get("/api/auth/me").is_none(), "nobody is logged in");
    let made = app.anonymous().post(all, json!({"title": "from outside"})).await.json(201);
    assert_eq!(made.as_object().map(serde_json::Map::len), Some(1), "{made}");
}

#[tokio::test]
async fn an_account_is_shown_to_its_owner_as_a_whole() {
    let (_app, _admin, ann) = ledger().await;
    let document = own(&ann).await;
    let me = document["paths"]["/api/auth/me"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].clone();
    let me = document.pointer(&me.as_str().expect("a reference")[1..]).expect("a schema");
    let record = me["properties"]["record"]["$ref"].as_str().unwrap_or_else(|| panic!("no record: {me}"));
    let record = document.pointer(&record[1..]).expect("a schema");
    assert!(record["properties"]["email"].is_object() && record["properties"].get("password").is_none(), "{record}");
}

#[tokio::test]
async fn the_document_of_a_caller_is_its_own() {
    let (app, admin, ann) = ledger().await;
    let ben = app.user("ben").await;
    let answer = ann.get("/openapi.json?for=caller").await.expect(200);
    assert_eq!(answer.expect_header("cache-control"), "private, no-cache");
    assert!(answer.expect_header("vary").contains("authorization"), "{answer}");
    let tag = answer.expect_header("etag").to_owned();
    assert_eq!(ben.get("/openapi.json?for=caller").await.expect_header("etag"), tag, "who may do the same shares a document");
    assert_ne!(admin.get("/openapi.json?for=caller").await.expect_header("etag"), tag);
    let liar = app.anonymous().with_token("nope");
    liar.get("/openapi.json?for=caller").await.problem(401, "auth.invalid_token");

    admin.allow(&format!("user:{}", ben.id()), "ledger", "delete", "").await;
    assert!(names(&own(&ben).await).contains("delete /api/records/ledger/{id}"));
    let again = ann.request(Method::GET, "/openapi.json?for=caller").header("if-none-match", &tag).send().await;
    assert_eq!(again.status, 304, "nothing has changed for ann");
}

#[tokio::test]
async fn an_administrator_sees_everything() {
    let (_app, admin, _ann) = ledger().await;
    assert_eq!(names(&own(&admin).await), names(&document(&admin).await));
}

/// True if the answer is a refusal for lack of rights; none if it cannot be told.
fn is_refused(answer: &Answer) -> Option<bool> {
    match (answer.status, answer.json["code"].as_str()) {
        (401, Some("auth.required")) | (403, Some("policy.denied")) => Some(true),
        // An empty body may be refused before anybody asks for rights, and some rights depend on it.
        (400 | 415 | 422, _) => None,
        _ => Some(false),
    }
}

#[tokio::test]
async fn what_is_shown_is_what_is_allowed() {
    let (app, admin, ann) = ledger().await;
    let auditor = app.user("audrey").await;
    admin.allow(&format!("user:{}", auditor.id()), "*", "read", "").await;
    let editor = app.user("edgar").await;
    for (object, action) in [("_policies", "create"), ("_roles", "delete"), ("_plugins", "update"), ("ledger", "update"), ("_logs", "read")]
    {
        admin.allow(&format!("user:{}", editor.id()), object, action, "").await;
    }
    let everything = document(&admin).await;
    for caller in [app.anonymous(), ann, auditor, editor] {
        let shown = names(&own(&caller).await);
        let mut decided = 0;
        for operation in operations(&everything) {
            // Ends the session with which the others are asked.
            if operation.name == "post /api/auth/logout" {
                continue;
            }
            let kind = if operation.has_json_body { "application/json" } else { "application/wasm" };
            let answer = call(&caller, &operation, kind, "{}").await;
            if let Some(refused) = is_refused(&answer) {
                decided += 1;
                assert_eq!(shown.contains(&operation.name), !refused, "`{}`: {answer}", operation.name);
            }
        }
        assert!(decided > 40, "only {decided} operations could be told");
    }
}
