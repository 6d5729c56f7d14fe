//! `/api/roles`.

use serde_json::json;
use tests::{Client, TestApp};

/// Notes that the role `editor` may read.
async fn notes() -> (TestApp, Client, Client) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("notes", json!([{"name": "title", "type": "text"}])).await;
    admin.allow("role:editor", "notes", "read", "").await;
    let ann = app.user("ann").await;
    (app, admin, ann)
}

fn membership(role: &str, client: &Client) -> String {
    format!("/api/roles/{role}/members/user:{}", client.id())
}

#[tokio::test]
async fn a_role_is_given_and_taken_at_once() {
    let (_app, admin, ann) = notes().await;
    ann.get("/api/records/notes").await.problem(403, "policy.denied");
    for _ in 0..2 {
        // Twice is the same as once.
        assert!(admin.put(&membership("editor", &ann), json!({})).await.is_success());
        ann.get("/api/records/notes").await.expect(200);
    }
    let me = ann.get("/api/auth/me").await.json(200);
    assert!(me["roles"].to_string().contains("editor"), "{me}");
    let listed = admin.get("/api/roles").await.expect(200);
    assert!(listed.text.contains("editor") && listed.text.contains(ann.id()), "{listed}");
    assert!(admin.delete(&membership("editor", &ann)).await.is_success());
    ann.get("/api/records/notes").await.problem(403, "policy.denied");
}

#[tokio::test]
async fn a_role_needs_no_body() {
    let (_app, admin, ann) = notes().await;
    let answer = admin.request(tests::Method::PUT, &membership("editor", &ann)).send().await;
    assert!(answer.is_success(), "{answer}");
    ann.get("/api/records/notes").await.expect(200);
}

#[tokio::test]
async fn an_admin_can_make_admins_and_unmake_them() {
    let (_app, admin, ann) = notes().await;
    ann.get("/api/policies").await.problem(403, "policy.denied");
    assert!(admin.put(&membership("admin", &ann), json!({})).await.is_success());
    ann.get("/api/policies").await.expect(200);
    assert!(admin.delete(&membership("admin", &ann)).await.is_success());
    ann.get("/api/policies").await.problem(403, "policy.denied");
}

#[tokio::test]
async fn members_that_cannot_be_are_refused() {
    let (_app, admin, ann) = notes().await;
    let before = admin.get("/api/roles").await.expect(200).text;
    let id = ann.id();
    let paths = [
        format!("/api/roles/editor/members/{id}"),
        "/api/roles/editor/members/user:".to_owned(),
        "/api/roles/editor/members/nobody:1".to_owned(),
        "/api/roles/editor/members/user:a%20b".to_owned(),
        format!("/api/roles/a%20b/members/user:{id}"),
        format!("/api/roles/anyone/members/user:{id}"),
        format!("/api/roles/authenticated/members/user:{id}"),
    ];
    for path in paths {
        let problem = admin.put(&path, json!({})).await.any_problem();
        assert!([400, 404, 422].contains(&problem.answer.status), "{}", problem.answer);
    }
    assert_eq!(admin.get("/api/roles").await.expect(200).text, before);
}

#[tokio::test]
async fn roles_may_not_form_a_circle() {
    let (_app, admin, ann) = notes().await;
    let answer = admin.put("/api/roles/editor/members/role:author", json!({})).await;
    if !answer.is_success() {
        // Roles in roles are not promised for this path.
        answer.any_problem();
        return;
    }
    admin.put("/api/roles/author/members/role:editor", json!({})).await.any_problem();
    admin.put(&membership("author", &ann), json!({})).await;
    ann.get("/api/records/notes").await.expect(200);
}

#[tokio::test]
async fn only_admins_give_roles() {
    let (app, admin, ann) = notes().await;
    let before = admin.get("/api/roles").await.expect(200).text;
    let anns_own = membership("admin", &ann);
    let admins = membership("admin", &admin);
    for (client, status, code) in [(&app.anonymous(), 401, "auth.required"), (&ann, 403, "policy.denied")] {
        client.get("/api/roles").await.problem(status, code);
        client.put(&anns_own, json!({})).await.problem(status, code);
        client.delete(&admins).await.problem(status, code);
    }
    assert_eq!(admin.get("/api/roles").await.expect(200).text, before);
}
