//! `Idempotency-Key` on what manages the server: a change happens once, and its answer is the same every time.

use futures_util::future::join_all;
use tests::{ADMIN_EMAIL, Answer, PASSWORD, eventually};

use super::*;

async fn send(client: &Client, method: Method, path: &str, key: &str, body: &Value) -> Answer {
    let request = client.request(method, path).header("idempotency-key", key);
    if body.is_null() { request.send().await } else { request.json(body).send().await }
}

/// How many changes there were.
async fn epoch(client: &Client) -> String {
    client.get("/api/version").await.expect_header("policy-epoch").to_owned()
}

#[track_caller]
fn same(first: &Answer, again: &Answer) {
    let told = |answer: &Answer| (answer.status, answer.text.clone(), answer.header("location").map(str::to_owned));
    assert_eq!(told(first), told(again));
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
}

#[tokio::test]
async fn every_change_can_be_sent_again() {
    let (app, admin) = admin().await;
    let member = format!("/api/roles/editor/members/user:{}", app.user("ann").await.id());
    let views = json!({"fields": [{"name": "title", "type": "text"}, {"name": "views", "type": "text"}], "indexes": []});
    let fewer = json!({"fields": [{"name": "title", "type": "text"}]});
    let changes = [
        (Method::POST, "/api/collections", definition()),
        (Method::POST, "/api/policies", json!({"subject": "role:editor", "object": "posts", "action": "read"})),
        (Method::PUT, member.as_str(), Value::Null),
        (Method::PATCH, "/api/collections/posts?force=true", views),
        (Method::PATCH, "/api/collections/posts?force=true&wait=false", fewer),
        (Method::DELETE, member.as_str(), Value::Null),
        (Method::DELETE, "/api/collections/posts?force=true", Value::Null),
    ];
    for (number, (method, path, body)) in changes.iter().enumerate() {
        if number == 3 {
            admin.create("posts", json!({"title": "stored"})).await;
        }
        let key = format!("key-{number}");
        let first = send(&admin, method.clone(), path, &key, body).await;
        assert!(first.is_success(), "{method} {path}: {first}");
        if first.status == 202 {
            let location = first.expect_header("location").to_owned();
            eventually("the change is done", async || (admin.get(&location).await.json(200)["state"] == "done").then_some(())).await;
        }
        let before = epoch(&admin).await;
        for _ in 0..2 {
            same(&first, &send(&admin, method.clone(), path, &key, body).await);
        }
        assert_eq!(epoch(&admin).await, before, "{method} {path} was done again");
        send(&admin, method.clone(), path, &key, &json!({"other": true})).await.problem(422, "idempotency.mismatch");
    }
    admin.get(POSTS).await.problem(404, "collection.not_found");
}

#[tokio::test]
async fn what_was_refused_can_be_sent_again_under_its_key() {
    let (app, admin) = admin().await;
    let post = async |client: &Client, body: &Value| send(client, Method::POST, "/api/collections", "k", body).await;
    post(&admin, &json!({"name": "Posts"})).await.problem(422, "collection.invalid");
    post(&admin, &json!([])).await.problem(400, "body.shape");
    let first = post(&admin, &definition()).await.expect(201);
    same(&first, &post(&admin, &definition()).await);
    // A loss of data is found behind the beginning of a change.
    admin.create("posts", json!({"title": "stored"})).await;
    let fewer = json!({"fields": [{"name": "slug", "type": "text"}], "indexes": []});
    let patch = async |path: &str| send(&admin, Method::PATCH, path, "l", &fewer).await;
    patch(POSTS).await.problem(409, "collection.data_loss");
    patch(POSTS).await.problem(409, "collection.data_loss");
    patch(&format!("{POSTS}?force=true")).await.expect(200);

    let ann = app.user("ann").await;
    post(&ann, &definition()).await.problem(403, "policy.denied");
    post(&app.anonymous(), &definition()).await.problem(400, "idempotency.key");
    send(&admin, Method::POST, "/api/collections", "a b", &definition()).await.problem(400, "idempotency.key");
}

#[tokio::test]
async fn questions_and_sessions_keep_nothing() {
    let (_app, admin) = admin().await;
    let question = json!({"principal": "anonymous", "action": "read", "object": "users"});
    for _ in 0..2 {
        let answer = send(&admin, Method::POST, "/api/policies/explain", "k", &question).await.expect(200);
        assert_eq!(answer.header("idempotency-replayed"), None);
    }
    let login = json!({"identity": ADMIN_EMAIL, "password": PASSWORD});
    let sessions = [
        send(&admin, Method::POST, "/api/auth/login", "k", &login).await.json(200),
        send(&admin, Method::POST, "/api/auth/login", "k", &login).await.json(200),
    ];
    assert_ne!(sessions[0]["refresh_token"], sessions[1]["refresh_token"]);
}

#[tokio::test]
async fn what_was_so_already_is_kept_too() {
    let (app, admin) = admin().await;
    let user = format!("user:{}", app.user("ann").await.id());
    let member = format!("/api/roles/editor/members/{user}");
    let policy = json!({"subject": "role:editor", "object": "users", "action": "read"});
    let changes = [
        (Method::PUT, member.as_str(), Value::Null),
        (Method::POST, "/api/policies", policy.clone()),
        (Method::POST, "/api/policies/changes", json!({"add": [policy], "assign": [{"member": user, "role": "editor"}]})),
    ];
    for (number, (method, path, body)) in changes.iter().enumerate() {
        let change = async |key: &str| send(&admin, method.clone(), path, &format!("{key}-{number}"), body).await;
        assert!(change("first").await.is_success());
        let before = epoch(&admin).await;
        let second = change("second").await;
        assert!(second.is_success(), "{method} {path}: {second}");
        assert_eq!(epoch(&admin).await, before, "{method} {path} was so already");
        let held = async || admin.query("/api/policies", &[("subject", "role:editor")]).await.list();
        for policy in held().await {
            admin.delete(&format!("/api/policies/{}", policy["id"].as_str().expect("an id"))).await.expect(200);
        }
        let given = async || admin.query("/api/roles", &[("member", user.as_str()), ("role", "editor")]).await.list();
        if !given().await.is_empty() {
            admin.delete(&member).await.expect(200);
        }
        same(&second, &change("second").await);
        assert_eq!((held().await.len(), given().await.len()), (0, 0), "{method} {path} was done again");
    }
}

#[tokio::test]
async fn what_has_begun_and_was_never_answered_is_not_begun_again() {
    let mut app = TestApp::on_disk().await;
    let mut admin = app.admin().await;
    admin.collection("rows", json!([{"name": "text", "type": "text"}])).await;
    let file = "{\"text\":\"stored\"}\n".repeat(5_000);
    admin.request(Method::POST, "/api/records/rows/import?raw=true").body("application/x-ndjson", file).send().await.expect(200);

    let (path, alterations) = ("/api/collections/rows", "/api/collections/rows/alterations");
    let body = json!({"fields": [{"name": "text", "type": "text", "max": 50}]});
    let sent = tokio::spawn(admin.request(Method::PATCH, path).header("idempotency-key", "k").json(&body).try_send());
    eventually("it has begun", async || (admin.get(alterations).await.list().len() == 1).then_some(())).await;
    app.kill9();
    assert!(sent.await.expect("it ends").is_err(), "it was answered before");
    app.restart().await;
    admin = app.admin().await;
    assert_eq!(admin.get(alterations).await.list()[0]["state"], "interrupted");
    for _ in 0..2 {
        let lost = send(&admin, Method::PATCH, path, "k", &body).await.problem(409, "idempotency.unanswered");
        assert_eq!(lost.answer.header("retry-after"), None);
    }
    assert_eq!(admin.get(alterations).await.list().len(), 1);
    send(&admin, Method::PATCH, path, "k", &json!({"description": "another"})).await.problem(422, "idempotency.mismatch");
    // Whoever has looked goes on under another key.
    send(&admin, Method::PATCH, path, "l", &body).await.expect(200);
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    let (_app, admin) = admin().await;
    let definition = definition();
    let answers = join_all((0..8).map(|_| send(&admin, Method::POST, "/api/collections", "k", &definition))).await;
    let done = answers.iter().filter(|answer| answer.status == 201 && answer.header("idempotency-replayed").is_none()).count();
    assert_eq!(done, 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "idempotency.in_flight");
    }
}
