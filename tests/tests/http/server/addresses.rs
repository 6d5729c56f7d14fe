//! Who counts as the client: the peer, or what a trusted proxy says. And the host that a request is for.

use serde_json::json;
use tests::{Answer, Raw, TestApp, eventually};

use super::with;

async fn guess(app: &TestApp, forwarded: &str) -> Answer {
    let login = json!({"identity": "ann@test.example", "password": "wrong-password-1"});
    let request = app.anonymous().request(tests::Method::POST, "/api/auth/login").header("x-forwarded-for", forwarded);
    request.json(&login).send().await
}

#[tokio::test]
async fn whoever_only_says_so_is_still_the_same_client() {
    let app = with(&[]).await;
    for number in 0..10 {
        guess(&app, &format!("192.0.2.{number}")).await.problem(401, "auth.invalid_credentials");
    }
    guess(&app, "192.0.2.200").await.problem(429, "rate.limited");
    eventually("the log has the peer", async || app.output().contains("127.0.0.1").then_some(())).await;
    assert!(!app.output().contains("192.0.2."), "{}", app.output());
}

#[tokio::test]
async fn a_trusted_proxy_tells_its_clients_apart() {
    let app = with(&[("TRUSTED_PROXIES", "[\"127.0.0.0/8\"]")]).await;
    for _ in 0..10 {
        guess(&app, "192.0.2.1").await.problem(401, "auth.invalid_credentials");
    }
    guess(&app, "192.0.2.1").await.problem(429, "rate.limited");
    guess(&app, "198.51.100.9, 192.0.2.1").await.problem(429, "rate.limited");
    guess(&app, "192.0.2.2").await.problem(401, "auth.invalid_credentials");
    eventually("the log has the client", async || app.output().contains("192.0.2.2").then_some(())).await;
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let app = with(&[]).await;
    for head in ["GET /livez HTTP/1.1", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b", "GET /livez HTTP/1.0\r\nHost: a\r\nHost: a"] {
        let mut raw = Raw::open(&app).await;
        raw.send(format!("{head}\r\n\r\n")).await.expect("it is taken");
        let answer = raw.answer().await;
        answer.problem(400, "request.host");
        assert_eq!(answer.header("x-request-id"), answer.json()["request_id"]);
    }
    for head in ["GET /livez HTTP/1.1\r\nHost: a", "GET /livez HTTP/1.1\r\nHost:", "GET /livez HTTP/1.0"] {
        let mut raw = Raw::open(&app).await;
        raw.send(format!("{head}\r\n\r\n")).await.expect("it is taken");
        assert_eq!(raw.answer().await.status, 200, "{head}");
    }
}

#[tokio::test]
async fn the_access_log_says_who_and_how_much_and_no_secret() {
    let app = with(&[("LOG_FORMAT", "json")]).await;
    let ann = app.user("ann").await;
    let answer = ann.query("/api/auth/me", &[]).await.expect(200);
    let id = answer.expect_header("x-request-id").to_owned();
    let line = eventually("the line is there", async || {
        app.output().lines().find(|line| line.contains("ironrule::access") && line.contains(&id)).map(str::to_owned)
    })
    .await;
    let line: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
    assert_eq!((&line["peer"], &line["principal"], &line["status"]), (&json!("127.0.0.1"), &json!("user"), &json!(200)), "{line}");
    assert_eq!(line["bytes"], answer.text.len(), "{line}");
    assert!(!app.output().contains(ann.token()));
}
