//! `/api/policies`.

mod changes;

mod explain;

mod decisions;

mod command;

mod storm;

use serde_json::{Value, json};
use tests::{Client, TestApp};

async fn notes() -> (TestApp, Client, Client) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("notes", json!([{"name": "title", "type": "text"}, {"name": "open", "type": "bool"}])).await;
    admin.create("notes", json!({"title": "open", "open": true})).await;
    admin.create("notes", json!({"title": "shut", "open": false})).await;
    let ann = app.user("ann").await;
    (app, admin, ann)
}

async fn titles(client: &Client) -> Vec<String> {
    let records = client.get("/api/records/notes?sort=title").await.list();
    records.iter().filter_map(|record| record["title"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_policy_takes_effect_at_once_and_ends_with_its_deletion() {
    let (_app, admin, ann) = notes().await;
    ann.get("/api/records/notes").await.problem(403, "policy.denied");
    let some = admin.allow("role:authenticated", "notes", "read", "record.open == true").await;
    assert_eq!(titles(&ann).await, ["open"]);
    let all = admin.allow("role:authenticated", "notes", "read", "").await;
    assert_eq!(titles(&ann).await, ["open", "shut"]);
    assert!(admin.delete(&format!("/api/policies/{all}")).await.is_success());
    assert_eq!(titles(&ann).await, ["open"]);
    assert!(admin.delete(&format!("/api/policies/{some}")).await.is_success());
    ann.get("/api/records/notes").await.problem(403, "policy.denied");
}

#[tokio::test]
async fn a_denial_overrides_every_permission() {
    let (_app, admin, ann) = notes().await;
    admin.allow("role:authenticated", "notes", "read", "").await;
    let denial = json!({"subject": "role:authenticated", "object": "notes", "action": "read", "condition": "record.open == false", "effect": "deny"});
    admin.policy(denial).await;
    assert_eq!(titles(&ann).await, ["open"]);
    let denial = json!({"subject": format!("user:{}", ann.id()), "object": "notes", "action": "*", "effect": "deny"});
    admin.policy(denial).await;
    ann.get("/api/records/notes").await.problem(403, "policy.denied");
}

#[tokio::test]
async fn a_policy_can_name_one_user() {
    let (app, admin, ann) = notes().await;
    admin.allow(&format!("user:{}", ann.id()), "notes", "read", "").await;
    assert_eq!(titles(&ann).await, ["open", "shut"]);
    app.user("ben").await.get("/api/records/notes").await.problem(403, "policy.denied");
}

#[tokio::test]
async fn a_policy_comes_back_as_it_was_written() {
    let (_app, admin, _ann) = notes().await;
    let written = json!({
        "subject": "role:nobody-has-this-yet", "domain": "*", "object": "notes", "action": "update", "fields": "title open",
        "condition": "record.open == true", "effect": "deny"
    });
    let answered = admin.post("/api/policies", written.clone()).await.json(201);
    let listed = admin.get("/api/policies").await.list();
    let found = listed.iter().find(|policy| policy["id"] == answered["id"]).unwrap_or_else(|| panic!("not listed: {listed:?}"));
    for (name, value) in written.as_object().expect("an object") {
        assert_eq!(&answered[name], value);
        assert_eq!(&found[name], value);
    }
}

#[tokio::test]
async fn the_same_policy_twice_is_one() {
    let (_app, admin, _ann) = notes().await;
    let policy = json!({"subject": "role:editor", "object": "notes", "action": "read"});
    let first = admin.policy(policy.clone()).await;
    let again = admin.post("/api/policies", policy).await;
    assert!(again.is_success() || again.status == 409, "{again}");
    let listed = admin.get("/api/policies").await.list();
    assert_eq!(listed.iter().filter(|policy| policy["id"] == first.as_str()).count(), 1, "{listed:?}");
}

#[tokio::test]
async fn a_bad_condition_is_refused_with_its_position() {
    let (_app, admin, ann) = notes().await;
    let cases = [
        ("record.open ==", "14"),
        ("record.open = true", "12"),
        ("record.nope == 1", "0"),
        ("record.open == true && record.title == 7", "23"),
        ("open == true", "0"),
        ("record.open == true || @", "23"),
    ];
    for (condition, position) in cases {
        let policy = json!({"subject": "role:authenticated", "object": "notes", "action": "read", "condition": condition});
        let problem = admin.post("/api/policies", policy).await.problem(422, "policy.invalid").at("/condition");
        let message = problem.answer.json["errors"][0]["message"].as_str().unwrap_or_default().to_owned();
        let numbers = message.split(|letter: char| !letter.is_ascii_digit());
        assert!(numbers.into_iter().any(|number| number == position), "`{condition}` is wrong at {position}: {message}");
    }
    ann.get("/api/records/notes").await.problem(403, "policy.denied");
}

#[tokio::test]
async fn columns_that_cannot_be_are_refused_by_name() {
    let (_app, admin, _ann) = notes().await;
    let before = admin.get("/api/policies").await.list();
    let cases = [
        ("subject", json!("")),
        ("subject", json!("ann")),
        ("subject", json!("role:")),
        ("subject", json!("role:a b")),
        ("object", json!("Notes")),
        ("object", json!("_nope")),
        ("object", json!("")),
        ("action", json!("write")),
        ("action", json!("")),
        ("fields", json!("")),
        ("fields", json!("Title")),
        ("fields", json!("title,open")),
        ("fields", json!("nope")),
        ("domain", json!("a b")),
        ("condition", json!("record.open == true \u{202e}")),
    ];
    for (column, value) in cases {
        let mut policy = json!({"subject": "role:editor", "object": "notes", "action": "read"});
        policy[column] = value.clone();
        let problem = admin.post("/api/policies", policy).await.problem(422, "policy.invalid");
        assert!(problem.errors.iter().any(|error| error.starts_with(&format!("/{column} "))), "{column} = {value}: {}", problem.answer);
    }
    let shapes = [
        json!({}),
        json!({"subject": "role:editor"}),
        json!({"subject": 1, "object": "notes", "action": "read"}),
        json!({"subject": "role:editor", "object": "notes", "action": "read", "effect": "maybe"}),
        json!({"subject": "role:editor", "object": "notes", "action": "read", "nope": 1}),
    ];
    for policy in shapes {
        let problem = admin.post("/api/policies", policy).await.any_problem();
        assert!([400, 422].contains(&problem.answer.status), "{}", problem.answer);
    }
    assert_eq!(admin.get("/api/policies").await.list(), before);
}

#[tokio::test]
async fn a_field_that_a_policy_looks_at_stays() {
    let (_app, admin, ann) = notes().await;
    admin.allow("role:authenticated", "notes", "read", "record.open == true").await;
    let before = admin.get("/api/collections/notes").await.json(200);
    let without = json!({"fields": [{"name": "title", "type": "text"}]});
    let problem = admin.patch("/api/collections/notes?force=true", without).await.any_problem();
    assert!([409, 422].contains(&problem.answer.status), "{}", problem.answer);
    assert_eq!(admin.get("/api/collections/notes").await.json(200), before);
    assert_eq!(titles(&ann).await, ["open"]);
}

#[tokio::test]
async fn the_management_is_allowed_or_denied_as_a_whole() {
    let (_app, admin, _ann) = notes().await;
    for (column, value) in [("condition", "record.open == true"), ("fields", "title")] {
        let mut policy = json!({"subject": "role:editor", "object": "_collections", "action": "read"});
        policy[column] = json!(value);
        admin.post("/api/policies", policy).await.problem(422, "policy.invalid").at(&format!("/{column}"));
    }
}

#[tokio::test]
async fn the_management_can_be_opened_in_parts() {
    let (_app, admin, ann) = notes().await;
    ann.get("/api/collections").await.problem(403, "policy.denied");
    admin.allow(&format!("user:{}", ann.id()), "_collections", "read", "").await;
    ann.get("/api/collections").await.expect(200);
    ann.get("/api/collections/notes").await.expect(200);
    ann.post("/api/collections", json!({"name": "more", "fields": []})).await.problem(403, "policy.denied");
    ann.delete("/api/collections/notes").await.problem(403, "policy.denied");
    ann.get("/api/policies").await.problem(403, "policy.denied");
}

#[tokio::test]
async fn an_unknown_policy_is_not_found() {
    let (_app, admin, _ann) = notes().await;
    admin.delete("/api/policies/0123456789abcdef").await.problem(404, "policy.not_found");
    admin.delete("/api/policies/nope").await.problem(404, "policy.not_found");
}

#[tokio::test]
async fn what_a_file_says_cannot_be_deleted() {
    let (_app, admin, _ann) = notes().await;
    let policies = admin.get("/api/policies").await.list();
    let of_admin = policies.iter().find(|policy| policy["subject"] == "role:admin").expect("the default policy");
    let refused = admin.delete(&format!("/api/policies/{}", of_admin["id"].as_str().expect("an id"))).await;
    refused.any_problem();
    admin.get("/api/collections").await.expect(200);
}

#[tokio::test]
async fn only_admins_manage_policies() {
    let (app, admin, ann) = notes().await;
    let policy = json!({"subject": format!("user:{}", ann.id()), "object": "*", "action": "*"});
    let some: Vec<Value> = admin.get("/api/policies").await.list();
    let one = format!("/api/policies/{}", some[0]["id"].as_str().expect("an id"));
    for (client, status, code) in [(&app.anonymous(), 401, "auth.required"), (&ann, 403, "policy.denied")] {
        client.get("/api/policies").await.problem(status, code);
        client.post("/api/policies", policy.clone()).await.problem(status, code);
        client.delete(&one).await.problem(status, code);
    }
    assert_eq!(admin.get("/api/policies").await.list(), some);
}

/// What policies deny about accounts they deny to the owner too: in `/api/auth/me`, at the login, and as `caller.x` in a filter.
#[tokio::test]
async fn a_denial_holds_for_the_own_account_too() {
    let (app, admin, _) = notes().await;
    let fields = json!([{"name": "salary", "type": "integer"}, {"name": "nick", "type": "text"}]);
    admin.patch("/api/collections/users", json!({"fields": fields})).await.expect(200);
    let ann = app.user("rich").await;
    admin.patch(&format!("/api/records/users/{}", ann.id()), json!({"salary": 7, "nick": "r"})).await.expect(200);
    admin.allow("role:authenticated", "notes", "read", "").await;
    let me = ann.get("/api/auth/me").await.json(200);
    assert_eq!((&me["record"]["salary"], &me["record"]["nick"]), (&json!(7), &json!("r")));
    assert_eq!(ann.query("/api/records/notes", &[("filter", "caller.salary == 7")]).await.list().len(), 2);

    let denial = json!({"subject": "role:authenticated", "object": "users", "action": "read", "fields": "salary", "effect": "deny"});
    admin.policy(denial).await;
    for record in [
        ann.get("/api/auth/me").await.json(200)["record"].clone(),
        app.session("rich@test.example", tests::PASSWORD).await["record"].clone(),
    ] {
        assert!(record.get("salary").is_none() && record["nick"] == "r" && record["email"] == "rich@test.example", "{record}");
    }
    ann.query("/api/records/notes", &[("filter", "caller.salary == 7")]).await.problem(403, "field.unreadable").unreadable("filter");
    assert_eq!(ann.query("/api/records/notes", &[("filter", "caller.nick == 'r'")]).await.list().len(), 2);
    // Policies may look at what their callers cannot.
    admin.allow("role:authenticated", "users", "read", "caller.salary == 7 && record.id == caller.id").await;
    assert_eq!(ann.get("/api/records/users").await.list().len(), 1);
}
