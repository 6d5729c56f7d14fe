//! Answers that no rule should give: the plugin `hostile` gives the one that the path asks for.

use serde_json::{Value, json};
use tests::{Answer, Client, Method, TestApp, repository};

async fn hostile() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("notes", json!([{"name": "behaviour", "type": "text"}, {"name": "text", "type": "text"}])).await;
    admin.collection("audit", json!([{"name": "note", "type": "text"}])).await;
    let component = std::fs::read(repository().join("plugins/examples/hostile/hostile.wasm")).expect("the component");
    admin.upload(component, "all").await.expect(201);
    (app, admin)
}

async fn act(client: &Client, behaviour: &str) -> Answer {
    client.request(Method::POST, &format!("/api/ext/hostile/act/{behaviour}")).body("text/plain", "a text").send().await
}

#[tokio::test]
async fn an_answer_that_cannot_be_sent_is_a_fault_of_the_plugin() {
    let (app, _admin) = hostile().await;
    let nobody = app.anonymous();
    let wrong = [
        "no-object",
        "status-zero",
        "status-continue",
        "status-error",
        "status-many",
        "status-text",
        "both",
        "unknown-member",
        "header-lines",
        "header-name",
        "header-cookie",
        "header-length",
        "header-encoding",
        "header-many",
        "header-number",
        "deep",
        "no-json",
    ];
    for behaviour in wrong {
        let problem = act(&nobody, behaviour).await.problem(500, "plugin.garbage");
        assert_eq!(problem.answer.header("set-cookie"), None, "{}", problem.answer);
        assert!(!problem.answer.text.contains("/etc/passwd"), "{}", problem.answer);
    }
    act(&nobody, "well").await.expect(204);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_a_fault_of_the_plugin() {
    let (app, _admin) = hostile().await;
    for behaviour in ["giant", "gigantic"] {
        act(&app.anonymous(), behaviour).await.problem(500, "plugin.output");
    }
    assert_eq!(act(&app.anonymous(), "big").await.expect(200).text.len(), 200_000);
}

#[tokio::test]
async fn a_rule_that_breaks_answers_nothing_of_the_inside() {
    let (app, admin) = hostile().await;
    let codes = [("panic", "plugin.trap"), ("loop", "plugin.timeout"), ("allocate", "plugin.memory"), ("trap-after-write", "plugin.trap")];
    for (behaviour, code) in codes {
        let problem = act(&app.anonymous(), behaviour).await.problem(500, code);
        assert!(!problem.answer.text.contains("as asked"), "{}", problem.answer);
    }
    assert_eq!(admin.get("/api/records/audit").await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn what_a_rule_wrote_for_an_answer_that_is_accepted_is_there() {
    let (app, admin) = hostile().await;
    act(&app.anonymous(), "write").await.expect(204);
    assert_eq!(admin.get("/api/records/audit").await.list().len(), 1);
}

#[tokio::test]
async fn a_page_of_a_plugin_may_do_nothing_in_a_browser() {
    let (app, _admin) = hostile().await;
    let page = act(&app.anonymous(), "html").await.expect(200);
    assert_eq!(page.expect_header("content-type"), "text/html");
    assert_eq!(page.expect_header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    assert_eq!(page.expect_header("x-content-type-options"), "nosniff");
    assert_eq!(page.expect_header("cache-control"), "no-store");
    assert_eq!(page.expect_header("x-request-id").len(), 26);
}

#[tokio::test]
async fn credentials_are_not_shown_to_rules() {
    let (app, admin) = hostile().await;
    let request = |client: &Client| client.request(Method::POST, "/api/ext/hostile/act/echo?a=b%20c&d=");
    let seen = request(&admin).header("cookie", "session=1").header("proxy-authorization", "Basic x").header("X-Mine", "ü");
    let seen = seen.body("text/plain", "grün").send().await.json(200);
    assert_eq!((&seen["query"], &seen["text"]), (&json!({"a": "b c", "d": ""}), &json!("grün")), "{seen}");
    assert_eq!((&seen["headers"]["content-type"], &seen["headers"]["x-mine"]), (&json!("text/plain"), &json!("ü")), "{seen}");
    for hidden in ["authorization", "cookie", "proxy-authorization"] {
        assert!(seen["headers"].get(hidden).is_none(), "{seen}");
    }
    assert!(!seen.to_string().contains(admin.token()), "{seen}");
    request(&app.anonymous().with_token("nope")).send().await.problem(401, "auth.invalid_token");
}
