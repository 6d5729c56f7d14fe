//! Why somebody may or may not, what somebody may do, and what a change would do.

use serde_json::{Value, json};
use tests::{Client, TestApp};

use super::notes;

async fn explained(admin: &Client, question: Value) -> Value {
    admin.post("/api/policies/explain", question).await.json(200)
}

#[tokio::test]
async fn an_explanation_names_the_policy_the_way_and_what_was_missing() {
    let (_app, admin, ann) = notes().await;
    let user = format!("user:{}", ann.id());
    let open = admin.allow("role:reader", "notes", "read", "record.open == true").await;
    let denial = json!({"subject": "role:authenticated", "object": "notes", "action": "read", "condition": "record.title == 'secret'", "effect": "deny"});
    let denial = admin.policy(denial).await;
    admin.put("/api/roles/reader/members/role:member?tenant=main", json!({})).await.expect(200);
    admin.put(&format!("/api/roles/member/members/{user}"), json!({})).await.expect(200);

    let record = admin.create("notes", json!({"title": "a", "open": true})).await;
    let question = |id: &Value| json!({"principal": user, "action": "read", "object": "notes", "id": id});
    let allowed = explained(&admin, question(&record["id"])).await;
    assert_eq!((&allowed["decision"], &allowed["reason"], &allowed["policy"]["id"]), (&json!("allow"), &json!("allowed_by"), &json!(open)));
    let reader = allowed["roles"].as_array().into_iter().flatten().find(|role| role["role"] == "role:reader").expect("the role");
    let way: Vec<&str> = reader["via"].as_array().into_iter().flatten().filter_map(|step| step["subject"].as_str()).collect();
    assert_eq!(way, [user.as_str(), "role:member", "role:reader"]);
    assert_eq!(reader["via"][2]["source"], "database");
    let filter = allowed["filter"]["text"].as_str().unwrap_or_default();
    assert!(filter.starts_with("_tenant = $tenant AND `open` = $c1 AND `title` != $c2 AND "), "{filter}");
    assert_eq!(allowed["filter"]["parameters"]["c2"], "secret");

    let secret = admin.create("notes", json!({"title": "secret", "open": true})).await;
    let denied = explained(&admin, question(&secret["id"])).await;
    assert_eq!((&denied["decision"], &denied["reason"], &denied["policy"]["id"]), (&json!("deny"), &json!("denied_by"), &json!(denial)));
    // The denial is in doubt about a record without a title, and doubt denies.
    let untitled = admin.create("notes", json!({"open": true})).await;
    let doubted = explained(&admin, question(&untitled["id"])).await;
    assert_eq!(doubted["decision"], "deny");
    let candidate =
        doubted["policies"].as_array().into_iter().flatten().find(|policy| policy["id"] == denial.as_str()).expect("the denial");
    assert_eq!((&candidate["result"], &candidate["doubts"][0]["path"]), (&json!("unknown"), &json!("record.title")));
    assert_eq!(candidate["doubts"][0]["found"], "missing");
    for record in [&record, &secret, &untitled] {
        let decision = explained(&admin, question(&record["id"])).await["decision"].clone();
        let status = ann.get(&format!("/api/records/notes/{}", record["id"].as_str().unwrap_or_default())).await.status;
        assert_eq!(decision == "allow", status == 200);
    }
    // Nothing matches: what came near is told.
    let question = json!({"principal": user, "action": "delete", "object": "notes", "id": record["id"]});
    let nothing = explained(&admin, question).await;
    assert_eq!((&nothing["decision"], &nothing["reason"]), (&json!("deny"), &json!("no_policy")));
    assert!(nothing["nearest"].to_string().contains("it is for `read`, not `delete`"), "{}", nothing["nearest"]);
}

#[tokio::test]
async fn an_update_is_explained_before_and_after() {
    let (_app, admin, ann) = notes().await;
    let update = json!({"subject": "role:authenticated", "object": "notes", "action": "update", "fields": "title", "condition": "record.open == true"});
    admin.policy(update).await;
    let record = admin.create("notes", json!({"title": "a", "open": true})).await;
    let question =
        json!({"principal": "user:ann@test.example", "action": "update", "object": "notes", "id": record["id"], "change": {"open": false}});
    let answer = explained(&admin, question).await;
    // What is told first is what the caller would hear.
    assert_eq!((&answer["decision"], &answer["result"]["decision"]), (&json!("deny"), &json!("deny")));
    assert_eq!((&answer["fields"]["allowed"], &answer["refused_fields"]), (&json!(["title"]), &json!(["open"])));
    ann.patch(&format!("/api/records/notes/{}", record["id"].as_str().unwrap_or_default()), json!({"open": false})).await.expect(403);
}

#[tokio::test]
async fn a_field_that_may_not_be_written_is_a_denial() {
    let (_app, admin, ann) = notes().await;
    admin.policy(json!({"subject": "role:authenticated", "object": "notes", "action": "*", "fields": "title"})).await;
    let record = admin.create("notes", json!({"title": "a", "open": true})).await;
    let update = json!({"principal": "user:ann@test.example", "action": "update", "object": "notes", "id": record["id"], "change": {"title": "b", "open": false}});
    let create =
        json!({"principal": "user:ann@test.example", "action": "create", "object": "notes", "record": {"title": "b", "open": false}});
    for question in [update, create] {
        let answer = explained(&admin, question).await;
        let told = (&answer["decision"], &answer["reason"], &answer["refused_fields"]);
        assert_eq!(told, (&json!("deny"), &json!("field_forbidden"), &json!(["open"])));
    }
    ann.post("/api/records/notes", json!({"title": "b", "open": false})).await.problem(403, "policy.denied");
    let fine = json!({"principal": "user:ann@test.example", "action": "create", "object": "notes", "record": {"title": "b"}});
    assert_eq!(explained(&admin, fine).await["decision"], "allow");
    ann.post("/api/records/notes", json!({"title": "b"})).await.expect(201);
}

/// What a condition comes out as tells what the fields hold that it looks at: reading policies alone is not enough to ask about others.
#[tokio::test]
async fn questions_about_others_need_the_keys_of_the_house() {
    let (_app, admin, ann) = notes().await;
    admin.allow(&format!("user:{}", ann.id()), "_policies", "read", "").await;
    let record = admin.create("notes", json!({"title": "secret"})).await;
    let own = json!({"action": "read", "object": "notes"});
    assert_eq!(explained(&ann, own).await["decision"], "deny");
    for more in [json!({"id": record["id"]}), json!({"principal": "user:admin@ironrule.example"}), json!({"principal": "anonymous"})] {
        let mut question = json!({"action": "read", "object": "notes"});
        question.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        ann.post("/api/policies/explain", question).await.problem(403, "policy.denied");
    }
    ann.post("/api/policies/preview", json!({"change": {}})).await.problem(403, "policy.denied");
    ann.get("/api/policies/log").await.problem(403, "policy.denied");
    for tenant in ["", "a b", "é", &"x".repeat(65)] {
        let answer = admin
            .post("/api/policies/explain", json!({"action": "read", "object": "notes", "principal": "anonymous", "tenant": tenant}))
            .await;
        answer.problem(400, "query.invalid").at("/tenant");
    }
    admin.get("/api/roles/matrix?tenant=a%20b").await.problem(400, "query.invalid").at("/tenant");
}

#[tokio::test]
async fn questions_about_nothing_are_refused() {
    let (_app, admin, ann) = notes().await;
    let refused = async |question: Value, status: u16, code: &str| {
        admin.post("/api/policies/explain", question).await.problem(status, code);
    };
    refused(json!({"action": "read", "object": "nope"}), 404, "collection.not_found").await;
    refused(json!({"action": "read", "object": "notes", "id": "nope"}), 404, "record.not_found").await;
    refused(json!({"action": "list", "object": "notes"}), 400, "body.shape").await;
    refused(json!({"action": "read", "object": "notes", "principal": "ann"}), 400, "query.invalid").await;
    refused(json!({"action": "read", "object": "notes", "principal": "user:none@test.example"}), 404, "record.not_found").await;
    refused(json!({"action": "read", "object": "notes", "principal": "role:x"}), 400, "body.shape").await;
    refused(json!({"action": "read", "object": "notes", "change": {}}), 400, "body.shape").await;
    refused(json!({"action": "create", "object": "notes", "record": {"open": "maybe"}}), 422, "record.invalid").await;
    refused(json!({"action": "read", "object": "notes", "as": "user:x"}), 400, "body.shape").await;
    for path in ["explain", "preview"] {
        ann.post(&format!("/api/policies/{path}"), json!({"action": "read", "object": "notes", "change": {}})).await.any_problem();
    }
    let own = explained(&admin, json!({"action": "delete", "object": "_policies"})).await;
    assert_eq!((&own["decision"], &own["policy"]["source"]), (&json!("allow"), &json!("built-in:6")));
}

#[tokio::test]
async fn the_matrix_says_what_somebody_may_do() {
    let (_app, admin, ann) = notes().await;
    admin
        .policy(
            json!({"subject": "role:reader", "object": "notes", "action": "read", "fields": "title", "condition": "record.open == true"}),
        )
        .await;
    admin.put(&format!("/api/roles/reader/members/user:{}?tenant=acme", ann.id()), json!({})).await.expect(200);
    let cell = async |query: String| {
        let matrix = admin.get(&format!("/api/roles/matrix?{query}")).await.list();
        let find = |cell: &&Value| cell["object"] == "notes" && cell["action"] == "read";
        matrix.iter().find(find).cloned().unwrap_or_else(|| panic!("{matrix:?}"))
    };
    let in_acme = cell(format!("whom=user:{}&tenant=acme", ann.id())).await;
    assert_eq!(
        (&in_acme["access"], &in_acme["condition"], &in_acme["fields"]),
        (&json!("when"), &json!("record.open == true"), &json!(["title", "id"]))
    );
    assert_eq!(cell(format!("whom=user:{}", ann.id())).await["access"], "never");
    assert_eq!(cell("whom=role:reader".to_owned()).await["access"], "when");
    assert_eq!(cell(String::new()).await["access"], "always");
    admin.get("/api/roles/matrix?whom=ann").await.problem(400, "query.invalid").at("/whom");
    ann.get("/api/roles/matrix").await.problem(403, "policy.denied");
    let listed = admin.get(&format!("/api/roles?member=user:{}", ann.id())).await.list();
    assert_eq!((listed.len(), &listed[0]["role"], &listed[0]["tenant"]), (1, &json!("role:reader"), &json!("acme")));
    assert_eq!(admin.get("/api/roles?role=reader").await.list().len(), 1);
}

#[tokio::test]
async fn a_preview_tells_what_flips_and_changes_nothing() {
    let (_app, admin, ann) = notes().await;
    let open = admin.allow("role:authenticated", "notes", "read", "record.open == true").await;
    let (shown, hidden) = (admin.create("notes", json!({"open": true})).await, admin.create("notes", json!({"open": false})).await);
    let sample = |name: &str, record: &Value| json!({"name": name, "question": {"principal": format!("user:{}", ann.id()), "action": "read", "object": "notes", "id": record["id"]}});
    let preview = json!({
        "change": {"remove": [open], "add": [{"subject": "role:authenticated", "object": "notes", "action": "read", "condition": "record.open == false"}]},
        "whom": [format!("user:{}", ann.id())],
        "samples": [sample("shown", &shown), sample("hidden", &hidden)]
    });
    let before = admin.get("/api/policies").await.expect(200).text;
    let outlook = admin.post("/api/policies/preview", preview.clone()).await.json(200);
    let samples = outlook["samples"].as_array().cloned().unwrap_or_default();
    let decisions = |sample: &Value| (sample["flips"].clone(), sample["before"]["decision"].clone(), sample["after"]["decision"].clone());
    assert_eq!(decisions(&samples[0]), (json!(true), json!("allow"), json!("deny")));
    assert_eq!(decisions(&samples[1]), (json!(true), json!("deny"), json!("allow")));
    let whom: Vec<&str> = outlook["matrix"].as_array().into_iter().flatten().filter_map(|entry| entry["whom"].as_str()).collect();
    assert_eq!(whom, ["role:authenticated", format!("user:{}", ann.id()).as_str()]);
    assert_eq!(outlook["matrix"][0]["changes"][0]["after"]["condition"], "record.open == false");
    assert_eq!(admin.get("/api/policies").await.expect(200).text, before);
    ann.get(&format!("/api/records/notes/{}", shown["id"].as_str().unwrap_or_default())).await.expect(200);
    // What is previewed is what happens.
    admin.post("/api/policies/changes", preview["change"].clone()).await.expect(200);
    ann.get(&format!("/api/records/notes/{}", shown["id"].as_str().unwrap_or_default())).await.expect(404);
    ann.get(&format!("/api/records/notes/{}", hidden["id"].as_str().unwrap_or_default())).await.expect(200);
    let wrong = json!({"change": {"remove": ["0000000000000000"]}});
    admin.post("/api/policies/preview", wrong).await.problem(422, "policy.invalid").at("/remove/0");
}

#[tokio::test]
async fn a_role_in_one_tenant_is_explained_there_only() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.allow("role:clerk", "_users", "read", "").await;
    admin.put("/api/roles/clerk/members/user:nobody-yet?tenant=acme", json!({})).await.expect(200);
    let question = |tenant: &str| json!({"principal": "user:nobody-yet", "tenant": tenant, "action": "read", "object": "_users"});
    assert_eq!(explained(&admin, question("acme")).await["decision"], "allow");
    let elsewhere = explained(&admin, question("main")).await;
    assert_eq!(elsewhere["decision"], "deny");
    assert!(elsewhere["nearest"].to_string().contains("does not hold `role:clerk`"), "{elsewhere}");
}
