//! Refusals that can be looked up: the refused hear an id and nothing else.

use serde_json::{Value, json};
use tests::{Answer, Client, Method, Options, TestApp};

use super::notes;

fn decision(answer: &Answer) -> String {
    answer.json["decision_id"].as_str().unwrap_or_else(|| panic!("no decision id: {answer}")).to_owned()
}

async fn looked_up(admin: &Client, answer: &Answer) -> Value {
    admin.get(&format!("/api/policies/decisions/{}", decision(answer))).await.json(200)
}

#[tokio::test]
async fn every_kind_of_denial_can_be_looked_up() {
    let (app, admin, ann) = notes().await;
    let refused = ann.get("/api/records/notes").await.expect(403);
    let found = looked_up(&admin, &refused).await;
    assert_eq!((&found["outcome"], &found["action"], &found["object"]), (&json!("denied"), &json!("read"), &json!("notes")));
    assert_eq!((&found["principal"], &found["request"]), (&json!(format!("user:{}", ann.id())), &refused.json["request_id"]));
    assert_eq!((&found["explanation"]["decision"], &found["explanation"]["reason"]), (&json!("deny"), &json!("no_policy")));

    let anonymous = app.anonymous().get("/api/records/notes").await.expect(401);
    assert_eq!(looked_up(&admin, &anonymous).await["principal"], "anonymous");
    let management = ann.get("/api/policies").await.expect(403);
    assert_eq!(looked_up(&admin, &management).await["object"], "_policies");

    let policy =
        json!({"subject": "role:authenticated", "object": "notes", "action": "*", "fields": "title", "condition": "record.open == true"});
    admin.policy(policy).await;
    let open = admin.create("notes", json!({"title": "a", "open": true})).await;
    let path = format!("/api/records/notes/{}", open["id"].as_str().unwrap_or_default());
    let field = ann.patch(&path, json!({"open": false})).await.expect(403);
    let found = looked_up(&admin, &field).await;
    assert_eq!(found["record"], open["id"], "{found}");
    let filter = ann.get("/api/records/notes?filter=open%20==%20true").await.expect(403);
    assert_eq!(looked_up(&admin, &filter).await["fields"], json!(["open"]));
    let created = ann.post("/api/records/notes", json!({"title": "b", "open": false})).await.expect(403);
    let found = looked_up(&admin, &created).await;
    assert_eq!((&found["action"], &found["explanation"]["reason"]), (&json!("create"), &json!("no_condition_holds")));
}

/// A record that is hidden and one that is not there are told apart by whoever may read policies, and by nobody else.
#[tokio::test]
async fn hidden_and_missing_look_the_same_outside() {
    let (_app, admin, ann) = notes().await;
    admin.allow("role:authenticated", "notes", "*", "record.open == true").await;
    let shut = admin.create("notes", json!({"title": "secret", "open": false})).await["id"].as_str().unwrap_or_default().to_owned();
    let missing = "01JDA0000000000000000000P1".to_owned();
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let ask = async |id: &str| {
            let request = ann.request(method.clone(), &format!("/api/records/notes/{id}"));
            let request = if method == Method::PATCH { request.json(&json!({"title": "x"})) } else { request };
            request.send().await.expect(404)
        };
        let (hidden, absent) = (ask(&shut).await, ask(&missing).await);
        let members = |answer: &Answer| answer.json.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(members(&hidden), members(&absent));
        assert_eq!(
            hidden.json["message"].as_str().map(|text| text.replace(&shut, "ID")),
            absent.json["message"].as_str().map(|text| text.replace(&missing, "ID"))
        );
        assert!(!hidden.text.contains("secret") && !hidden.text.contains("open"));
        assert_eq!(looked_up(&admin, &hidden).await["outcome"], "denied");
        assert_eq!(looked_up(&admin, &absent).await["outcome"], "record.not_found");
    }
}

#[tokio::test]
async fn whoever_was_denied_cannot_look_it_up() {
    let (_app, admin, ann) = notes().await;
    let refused = ann.get("/api/records/notes").await.expect(403);
    let path = format!("/api/policies/decisions/{}", decision(&refused));
    ann.get(&path).await.problem(403, "policy.denied");
    admin.get("/api/policies/decisions/01JDA0000000000000000000P1").await.problem(404, "decision.not_found");
    admin.get("/api/policies/decisions/%27%20OR%201").await.problem(404, "decision.not_found");
}

#[tokio::test]
async fn decisions_are_kept_over_a_restart_and_only_if_wanted() {
    let mut app = TestApp::on_disk().await;
    let refused = app.user("ann").await.get("/api/policies").await.expect(403);
    assert_eq!(looked_up(&app.admin().await, &refused).await["outcome"], "denied");
    app.restart().await;
    assert_eq!(looked_up(&app.admin().await, &refused).await["outcome"], "denied");

    let environment = vec![("IRONRULE_DECISION_HOURS".to_owned(), "0".to_owned())];
    let app = TestApp::start_with(Options { environment, ..Options::default() }).await;
    let refused = app.user("ann").await.get("/api/policies").await.expect(403);
    let path = format!("/api/policies/decisions/{}", decision(&refused));
    app.admin().await.get(&path).await.problem(404, "decision.not_found");
}

/// Who provokes refusals must not fill the disk.
#[tokio::test]
async fn a_flood_of_refusals_is_answered_and_not_all_kept() {
    let (_app, admin, ann) = notes().await;
    let mut ids = Vec::new();
    for _ in 0..60 {
        let asked = (0..50).map(|_| ann.get("/api/records/notes"));
        ids.extend(futures_util::future::join_all(asked).await.iter().map(decision));
    }
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3_000);
    let admin = &admin;
    let mut kept = 0;
    // No more at once than connections that one address may have.
    for some in ids.chunks(200) {
        let found = futures_util::future::join_all(some.iter().map(|id| async move {
            let path = format!("/api/policies/decisions/{id}");
            admin.get(&path).await.status == 200
        }));
        kept += found.await.into_iter().filter(|kept| *kept).count();
    }
    assert!((500..2_900).contains(&kept), "{kept} of 3000 are kept");
}
