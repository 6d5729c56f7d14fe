//! Several things that change together, the log of changes, and epochs that one can wait for.

use serde_json::{Value, json};
use tests::{Client, Method, TestApp};

use super::{notes, titles};

/// What must stay as it is when a change is refused.
async fn everything(admin: &Client) -> String {
    let policies = admin.get("/api/policies").await.expect(200).text;
    let (roles, log) = (admin.get("/api/roles").await.expect(200).text, admin.get("/api/policies/log").await.expect(200).text);
    format!("{policies}\n{roles}\n{log}")
}

#[tokio::test]
async fn a_change_is_one_transaction_with_a_row_in_the_log() {
    let (_app, admin, ann) = notes().await;
    let user = format!("user:{}", ann.id());
    let old = admin.allow("role:authenticated", "notes", "read", "record.open == false").await;
    assert_eq!(titles(&ann).await, ["shut"]);
    let change = json!({
        "add": [{"subject": "role:reader", "object": "notes", "action": "read", "condition": "record.open == true"}],
        "remove": [old],
        "assign": [{"member": user, "role": "reader"}],
        "reason": "readers see what is open"
    });
    let answer = admin.post("/api/policies/changes", change.clone()).await.expect(200);
    assert_eq!(titles(&ann).await, ["open"]);
    let changed = answer.json.clone();
    assert_eq!(answer.expect_header("policy-epoch"), changed["epoch"].to_string());
    assert_eq!((&changed["added"][0]["subject"], &changed["removed"][0]["id"]), (&json!("role:reader"), &json!(old)));
    assert_eq!(changed["assigned"][0]["role"], "role:reader");

    let log = admin.get("/api/policies/log?limit=1").await.list();
    assert_eq!((&log[0]["epoch"], &log[0]["reason"]), (&changed["epoch"], &json!("readers see what is open")));
    assert_eq!(log[0]["by"], format!("user:{}", admin.id()));
    assert_eq!((&log[0]["add"][0]["object"], &log[0]["assign"][0]["member"]), (&json!("notes"), &json!(user)));
    assert_eq!(log[0]["remove"][0]["condition"], "record.open == false");
    let before = admin.get(&format!("/api/policies/log?before={}", changed["epoch"])).await.list();
    assert!(before.iter().all(|entry| entry["epoch"].as_u64() < changed["epoch"].as_u64()) && !before.is_empty());

    // What is so already changes nothing, and is not logged.
    let again = json!({"add": change["add"], "assign": change["assign"]});
    let same = admin.post("/api/policies/changes", again).await.json(200);
    assert_eq!((&same["epoch"], &same["added"], &same["assigned"]), (&changed["epoch"], &json!([]), &json!([])));
}

#[tokio::test]
async fn a_change_with_a_mistake_changes_nothing_and_names_every_mistake() {
    let (_app, admin, ann) = notes().await;
    let before = everything(&admin).await;
    let fine = json!({"subject": "role:authenticated", "object": "notes", "action": "read"});
    let mistakes = json!({
        "add": [fine, {"subject": "role:x", "object": "notes", "action": "read", "condition": "record.titel == 'a'"},
            {"subject": "x", "object": "notes", "action": "read"}],
        "remove": ["0000000000000000"],
        "assign": [{"member": "bob", "role": "x"}, {"member": "user:bob", "role": "x", "tenant": "a b"}]
    });
    let problem = admin.post("/api/policies/changes", mistakes).await.problem(422, "policy.invalid");
    problem.errors(&[
        "/add/1/condition policy.column",
        "/add/2/subject policy.column",
        "/remove/0 policy.not_found",
        "/assign/0/member role.member",
        "/assign/1/tenant policy.column",
    ]);
    let circle = json!({"add": [fine], "assign": [{"member": "role:a", "role": "b"}, {"member": "role:b", "role": "a"}]});
    admin.post("/api/policies/changes", circle).await.problem(422, "policy.invalid");
    for body in [json!([]), json!({"adds": []}), json!({"add": {}}), json!({"add": [{"subject": "role:x"}]})] {
        admin.post("/api/policies/changes", body).await.problem(400, "body.shape");
    }
    let many: Vec<Value> = (0..1_001).map(|number| json!({"member": format!("user:u{number}"), "role": "x"})).collect();
    admin.post("/api/policies/changes", json!({"assign": many})).await.problem(422, "policy.invalid");
    assert_eq!(everything(&admin).await, before);
    ann.get("/api/records/notes").await.problem(403, "policy.denied");
}

#[tokio::test]
async fn each_part_of_a_change_needs_its_own_permission() {
    let (_app, admin, ann) = notes().await;
    admin.allow(&format!("user:{}", ann.id()), "_roles", "create", "").await;
    let assign = json!({"assign": [{"member": "user:bob", "role": "x"}]});
    ann.post("/api/policies/changes", assign.clone()).await.expect(200);
    ann.post("/api/policies/changes", json!({"unassign": assign["assign"]})).await.problem(403, "policy.denied");
    let add = json!([{"subject": "role:x", "object": "notes", "action": "read"}]);
    ann.post("/api/policies/changes", json!({"add": add, "assign": assign["assign"]})).await.problem(403, "policy.denied");
    ann.post("/api/policies/changes", json!({})).await.problem(403, "policy.denied");
    ann.get("/api/policies/log").await.problem(403, "policy.denied");
    assert!(!admin.get("/api/policies").await.expect(200).text.contains("role:x"));
}

#[tokio::test]
async fn what_is_odd_about_a_policy_is_told_when_it_is_saved() {
    let (_app, admin, _ann) = notes().await;
    let saved = async |effect: &str, condition: &str| {
        let policy = json!({"subject": "role:x", "object": "notes", "action": "read", "condition": condition, "effect": effect});
        let answer = admin.post("/api/policies", policy).await.json(201);
        let findings = answer["findings"].as_array().cloned().unwrap_or_default();
        for finding in &findings {
            assert!(finding["position"].is_u64() && finding["message"].is_string() && finding["column"] == "condition", "{finding}");
        }
        findings.iter().map(|finding| finding["code"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert!(saved("allow", "record.open == true").await.is_empty());
    assert_eq!(saved("allow", "has(record.id) || record.open").await, ["condition.always_true"]);
    assert_eq!(saved("allow", "record.title == 'a' && record.title == 'b'").await, ["condition.never_true"]);
    assert_eq!(saved("deny", "record.open == true").await, ["condition.unguarded"]);
    assert!(saved("deny", "has(record.open) && record.open == true").await.is_empty());
    assert_eq!(saved("deny", "record.id == null").await, ["condition.never_denies"]);
    assert_eq!(saved("deny", "record.id != null").await, ["condition.always_denies"]);
    let lint = admin.get("/api/policies/lint").await.list();
    assert!(lint.iter().any(|finding| finding["code"] == "condition.never_true"), "{lint:?}");
}

#[tokio::test]
async fn what_is_odd_about_a_policy_for_everything_is_told_too() {
    let (_app, admin, _ann) = notes().await;
    let saved = async |policy: Value| {
        let answer = admin.post("/api/policies", policy).await.json(201);
        answer["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|finding| finding["code"].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let nowhere = json!({"subject": "role:x", "object": "*", "action": "read", "condition": "record.nowhere == 1"});
    assert_eq!(saved(nowhere).await, ["condition.never_true"]);
    let denial = json!({"subject": "role:x", "object": "*", "action": "read", "condition": "record.nowhere == 1", "effect": "deny"});
    assert!(saved(denial).await.contains(&"condition.unfit".to_owned()));
    for condition in ["caller.nope == 1", "caller.password == 'x'"] {
        let stranger = json!({"subject": "role:x", "object": "notes", "action": "read", "condition": condition});
        assert_eq!(saved(stranger).await, ["condition.unknown_caller"]);
    }
}

#[tokio::test]
async fn nobody_can_lock_everybody_out() {
    let (app, admin, ann) = notes().await;
    let denial = json!({"subject": "role:anyone", "object": "*", "action": "*", "condition": "record.locked == true", "effect": "deny"});
    admin.post("/api/policies", denial).await.problem(422, "policy.invalid").errors(&[" policy.lockout"]);
    let own = format!("/api/roles/admin/members/user:{}", admin.id());
    admin.delete(&own).await.problem(422, "policy.invalid").errors(&[" policy.lockout"]);
    admin.get("/api/policies").await.expect(200);
    // Whoever leaves the keys to somebody else may go.
    admin.put(&format!("/api/roles/admin/members/user:{}", ann.id()), json!({})).await.expect(200);
    admin.delete(&own).await.expect(200);
    admin.get("/api/policies").await.problem(403, "policy.denied");
    app.login("ann@test.example", tests::PASSWORD).await.get("/api/policies").await.expect(200);
}

#[tokio::test]
async fn every_answer_tells_its_epoch_and_a_caller_can_wait_for_one() {
    let (_app, admin, ann) = notes().await;
    let epoch = |answer: &tests::Answer| answer.expect_header("policy-epoch").parse::<u64>().expect("a number");
    let before = epoch(&ann.get("/livez").await);
    assert!(epoch(&ann.get("/api/records/notes").await.expect(403)) == before);
    let policy = json!({"subject": "role:authenticated", "object": "notes", "action": "read"});
    let created = admin.post("/api/policies", policy).await.expect(201);
    let after = epoch(&created);
    assert!(after > before && created.json["epoch"] == after);
    let at_least = |wanted: String| ann.request(Method::GET, "/api/records/notes").header("policy-min-epoch", &wanted);
    at_least(after.to_string()).send().await.expect(200);
    at_least((after + 1).to_string()).send().await.problem(503, "policy.epoch_not_reached");
    at_least("soon".to_owned()).send().await.problem(400, "query.invalid");
    // One that comes meanwhile is waited for.
    let waiting = at_least((after + 1).to_string());
    let change = json!({"subject": "role:other", "object": "notes", "action": "read"});
    let (answer, changed) = tokio::join!(waiting.send(), admin.post("/api/policies", change));
    assert_eq!((answer.status, changed.status), (200, 201), "{answer}");
    assert!(epoch(&answer) > after);
}

#[tokio::test]
async fn policies_are_searched_and_paged() {
    let (_app, admin, _ann) = notes().await;
    for number in 0..25 {
        admin.allow(&format!("role:r{}", number % 5), "notes", "read", &format!("record.title == 't{number}'")).await;
    }
    let ids = |policies: &[Value]| policies.iter().map(|policy| policy["id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    let mut walked = Vec::new();
    let mut path = "/api/policies?object=notes&limit=10".to_owned();
    for _ in 0..3 {
        let answer = admin.get(&path).await.expect(200);
        let next = answer.header("link").map(|link| link.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned());
        walked.extend(ids(&answer.list()));
        match next {
            Some(next) => path = next,
            None => break,
        }
    }
    let mut all = ids(&admin.get("/api/policies?object=notes").await.list());
    assert_eq!(walked, all);
    all.dedup();
    assert_eq!(all.len(), 25);
    assert_eq!(admin.get("/api/policies?subject=role:r3").await.list().len(), 5);
    admin.get("/api/policies?limit=0").await.problem(400, "query.invalid").at("/limit");
    admin.get("/api/policies?subjekt=x").await.problem(400, "query.invalid").at("/subjekt");
}

#[tokio::test]
async fn changes_survive_a_restart() {
    let mut app = TestApp::on_disk().await;
    let admin = app.admin().await;
    admin.collection("notes", json!([{"name": "title", "type": "text"}])).await;
    let change = json!({
        "add": [{"subject": "role:reader", "object": "notes", "action": "read"}],
        "assign": [{"member": "role:authenticated", "role": "reader", "tenant": "main"}]
    });
    let epoch = admin.post("/api/policies/changes", change).await.json(200)["epoch"].clone();
    app.restart().await;
    let (admin, ann) = (app.admin().await, app.user("ann").await);
    ann.get("/api/records/notes").await.expect(200);
    assert_eq!(admin.get("/api/policies/log?limit=1").await.list()[0]["epoch"], epoch);
}
