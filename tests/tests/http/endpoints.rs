//! `/api/ext/{plugin}/...`: endpoints of plugins, given as JavaScript.

use serde_json::{Value, json};
use tests::{Answer, Client, Method, TestApp};

mod answers;

mod document;

const HELLO: &str = "/api/ext/desk/hello";
const NOTES: &str = "/api/ext/desk/notes";

/// The plugin `desk`.
const DESK: &str = include_str!("endpoints/desk.js");

async fn desk() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    admin.collection("notes", json!([{"name": "title", "type": "text", "required": true, "max": 20}])).await;
    install(&admin, DESK).await.expect(201);
    (app, admin)
}

/// Pastes a plugin.
async fn install(admin: &Client, source: &str) -> Answer {
    let source = source.to_owned();
    admin.request(Method::POST, "/api/plugins?grant=all").body("text/javascript", source).send().await
}

async fn titles(admin: &Client) -> Vec<Value> {
    admin.get("/api/records/notes?sort=created").await.list().into_iter().map(|note| note["title"].clone()).collect()
}

#[tokio::test]
async fn what_no_rule_answers_is_not_found() {
    let (app, _admin) = desk().await;
    let nobody = app.anonymous();
    for path in [
        "/api/ext",
        "/api/ext/",
        "/api/ext/desk",
        "/api/ext/desk/",
        "/api/ext/nobody/hello/ann",
        "/api/ext/desk/hello",
        "/api/ext/desk/hello/",
        "/api/ext/desk/hello/ann/",
        "/api/ext/desk/hello/ann/bob",
        "/api/ext/desk/Hello/ann",
        "/api/ext/desk//hello/ann",
        "/api/ext/desk/hello/%FF",
        "/api/ext/DESK/hello/ann",
    ] {
        nobody.get(path).await.problem(404, "route.not_found");
    }
}

#[tokio::test]
async fn a_method_that_no_rule_takes_is_not_allowed() {
    let (app, admin) = desk().await;
    for (method, path, allow) in [
        (Method::POST, "/api/ext/desk/hello/ann", "GET, HEAD"),
        (Method::DELETE, NOTES, "POST"),
        (Method::OPTIONS, NOTES, "POST"),
        (Method::GET, "/api/ext/desk/both/1", "DELETE, PUT"),
    ] {
        for client in [&app.anonymous(), &admin] {
            let problem = client.request(method.clone(), path).send().await.problem(405, "route.method_not_allowed");
            assert_eq!(problem.answer.expect_header("allow"), allow, "{}", problem.answer);
        }
    }
}

#[tokio::test]
async fn nobody_unknown_calls_what_is_for_users() {
    let (app, admin) = desk().await;
    let nobody = app.anonymous();
    nobody.post(NOTES, json!({"title": "a"})).await.problem(401, "auth.required");
    nobody.with_token("nope").get(&format!("{HELLO}/ann")).await.problem(401, "auth.invalid_token");
    // Nor does it make the server read its body.
    let large = nobody.request(Method::POST, NOTES).body("application/json", vec![b' '; 3 << 20]).send().await;
    large.problem(401, "auth.required");
    assert_eq!(titles(&admin).await, Vec::<Value>::new());
    let ann = app.user("ann").await;
    let caller = ann.get("/api/ext/desk/me").await.json(200);
    assert_eq!(caller["principal"], format!("user:{}", ann.id()), "{caller}");
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let (app, admin) = desk().await;
    let ann = app.user("ann").await;
    let send = |kind: &str, body: Vec<u8>| ann.request(Method::POST, NOTES).body(kind, body).send();
    for body in ["", "{", "nope", r#"{"title":"a","title":"b"}"#, &"[".repeat(100)] {
        send("application/json", body.into()).await.problem(400, "body.malformed");
        send("application/vnd.x+json; charset=utf-8", body.into()).await.problem(400, "body.malformed");
    }
    send("application/octet-stream", vec![0xff, 0xfe]).await.problem(400, "body.malformed");
    send("text/plain", vec![b'a'; (1 << 20) + 1]).await.problem(413, "body.too_large");
    ann.get(&format!("{HELLO}/ann?a=1&a=2")).await.problem(400, "query.invalid").at("/a");
    assert_eq!(titles(&admin).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_a_rule_refuses_leaves_nothing_behind() {
    let (app, admin) = desk().await;
    let ann = app.user("ann").await;
    ann.post(NOTES, json!({"title": "refused"})).await.problem(422, "rule.refused").errors(&["/body/title title.refused"]);
    ann.post(NOTES, json!({"title": "forbidden"})).await.problem(403, "rule.refused");
    ann.post(NOTES, json!({"title": "conflict"})).await.problem(409, "rule.refused");
    ann.post(NOTES, json!({"title": "far too long to be the title of a note"})).await.any_problem();
    ann.post(NOTES, json!({"title": "thrown"})).await.any_problem();
    assert_eq!(titles(&admin).await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_answer_that_cannot_be_sent_is_not_committed() {
    let (app, admin) = desk().await;
    app.anonymous().post("/api/ext/desk/bad", json!({})).await.problem(500, "plugin.garbage");
    assert_eq!(titles(&admin).await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_answer_that_cannot_be_sent_is_a_failure_of_its_rule() {
    let (app, admin) = desk().await;
    let nobody = app.anonymous();
    nobody.get("/api/ext/desk/hello/ann").await.expect(200);
    nobody.post("/api/ext/desk/bad", json!({})).await.problem(500, "plugin.garbage");
    nobody.get("/api/ext/desk/sneaky").await.problem(500, "plugin.garbage");
    let stats = admin.get("/api/plugins/desk/stats").await.json(200);
    let outcomes = |rule: &str| {
        let mut rules = stats["rules"].as_array().expect("rules").iter();
        rules.find(|one| one["rule"] == rule).unwrap_or_else(|| panic!("no {rule}: {stats}"))["outcomes"].clone()
    };
    assert_eq!(outcomes("hello")["accepted"], 1, "{stats}");
    let failures = admin.get("/api/plugins/desk/failures").await.list();
    let runs = admin.get("/api/plugins/desk/runs").await.list();
    let metrics = admin.get("/metrics").await.expect(200).text;
    for (rule, why) in [("bad", "500 is no status"), ("sneaky", "the method GET wrote")] {
        let expected = json!({"accepted": 0, "changed": 0, "rejected": {}, "failed": {"plugin.garbage": 1}, "aborted": 0});
        assert_eq!(outcomes(rule), expected, "{rule}: {stats}");
        let failure = failures.iter().find(|one| one["rule"] == rule).unwrap_or_else(|| panic!("no {rule}: {failures:?}"));
        assert_eq!(failure["code"], "plugin.garbage", "{failure}");
        assert!(failure["message"].as_str().is_some_and(|message| message.contains(why)), "{failure}");
        assert!(runs.iter().any(|run| run["rule"] == rule && run["outcome"] == "failed"), "{runs:?}");
        let mut counted = metrics.lines().filter(|line| line.starts_with("ironrule_plugin_rule_calls_total"));
        let counted = counted.find(|line| line.contains(&format!("rule=\"{rule}\"")));
        assert!(counted.is_some_and(|line| line.ends_with("outcome=\"failed\",code=\"plugin.garbage\"} 1")), "{counted:?}");
    }
}

#[tokio::test]
async fn a_request_that_reads_writes_nothing() {
    let (app, admin) = desk().await;
    for path in ["/api/ext/desk/sneaky", "/api/ext/desk/sneaky/job"] {
        for method in [Method::GET, Method::HEAD] {
            let answer = app.anonymous().request(method, path).send().await;
            assert!([403, 422, 500].contains(&answer.status), "{answer}");
        }
    }
    assert_eq!(admin.get("/api/deliveries?plugin=desk").await.list(), Vec::<Value>::new());
    assert_eq!(titles(&admin).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_rule_sees_the_path_the_query_and_nothing_else_of_the_address() {
    let (app, _admin) = desk().await;
    let nobody = app.anonymous();
    let seen = nobody.get("/api/ext/desk/hello/gr%C3%BCn%2Fblau?a=b+c&d=%26").await.json(200);
    let expected = json!({"method": "GET", "path": "/hello/gr%C3%BCn%2Fblau", "params": {"name": "grün/blau"},
        "query": {"a": "b c", "d": "&"}, "body": null, "text": ""});
    assert_eq!(seen, expected);
    let literal = nobody.get("/api/ext/desk/hello/new").await.expect(200);
    assert_eq!((literal.text.as_str(), literal.expect_header("content-type")), ("literal", "text/plain; charset=utf-8"));
    let head = nobody.request(Method::HEAD, &format!("{HELLO}/ann")).send().await.expect(200);
    assert_eq!((head.text.as_str(), head.expect_header("content-type")), ("", "application/json"));
}

#[tokio::test]
async fn what_a_rule_writes_is_committed_with_its_answer() {
    let (app, admin) = desk().await;
    let ann = app.user("ann").await;
    let answer = ann.post(NOTES, json!({"title": "first"})).await.expect(201);
    let location = answer.expect_header("location").to_owned();
    assert_eq!(answer.expect_header("x-desk"), "yes");
    assert_eq!(answer.json["title"], "first", "{answer}");
    assert_eq!(admin.get(&location).await.json(200)["title"], "first");
    // Whatever status a rule chooses: it is an answer, not a refusal.
    ann.post(NOTES, json!({"title": "teapot"})).await.expect(418);
    assert_eq!(titles(&admin).await, [json!("first"), json!("teapot")]);
}

/// Answers orders, which have fields of the names that answers have.
const ORDERS: &str = r#"
    import { definePlugin, endpoint, records } from "@ironrule/rules";
    const get = (name, path, run) => endpoint({ name, method: "GET", path, access: "anyone", run });
    export const rules = definePlugin({
      name: "orders", version: "1.0.0", grants: { read: ["orders"] },
      rules: [
        get("order", "/order/{id}", ({ params }) => records.get("orders", params.id)),
        get("state", "/state/{id}", ({ params }) => ({ status: records.get("orders", params.id).status })),
        get("body", "/body/{id}", ({ params }) => ({ body: { text: records.get("orders", params.id).text } })),
        get("none", "/none", () => ({ status: 404 })),
      ],
    });
"#;

#[tokio::test]
async fn a_record_with_the_fields_of_an_answer_is_a_body() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let fields = ["status", "body", "text"].map(|name| json!({"name": name, "type": "text"}));
    admin.collection("orders", json!(fields)).await;
    install(&admin, ORDERS).await.expect(201);
    let order = admin.create("orders", json!({"status": "paid", "body": "tea", "text": "soon"})).await;
    let id = order["id"].as_str().expect("an id");
    let ask = async |path: &str| app.anonymous().get(&format!("/api/ext/orders{path}")).await;
    let answer = ask(&format!("/order/{id}")).await.json(200);
    for field in ["id", "status", "body", "text"] {
        assert_eq!(answer[field], order[field], "{answer}");
    }
    assert_eq!(ask(&format!("/state/{id}")).await.json(200), json!({"status": "paid"}));
    assert_eq!(ask(&format!("/body/{id}")).await.json(200), json!({"text": "soon"}));
    ask("/none").await.expect(404);
}

#[tokio::test]
async fn two_methods_of_a_path_are_two_rules() {
    let (app, _admin) = desk().await;
    let ask = async |method: Method| app.anonymous().request(method, "/api/ext/desk/both/7").send().await.json(200);
    assert_eq!(ask(Method::PUT).await, json!({"rule": "put-one", "params": {"id": "7"}}));
    assert_eq!(ask(Method::DELETE).await, json!({"rule": "delete-one", "params": {"number": "7"}}));
}

#[tokio::test]
async fn endpoints_come_and_go_with_their_plugin() {
    let (app, admin) = desk().await;
    let path = format!("{HELLO}/ann");
    app.anonymous().get(&path).await.expect(200);
    admin.patch("/api/plugins/desk", json!({"enabled": false})).await.expect(200);
    app.anonymous().get(&path).await.problem(404, "route.not_found");
    admin.patch("/api/plugins/desk", json!({"enabled": true})).await.expect(200);
    app.anonymous().get(&path).await.expect(200);
    admin.delete("/api/plugins/desk").await.expect(200);
    app.anonymous().get(&path).await.problem(404, "route.not_found");
}

#[tokio::test]
async fn two_rules_for_the_same_request_are_refused() {
    let (_app, admin) = desk().await;
    let twice = DESK.replace("/hello/new", "/hello/{other}");
    install(&admin, &twice).await.problem(422, "plugin.invalid");
    let nowhere = DESK.replace("/hello/new", "hello");
    install(&admin, &nowhere).await.problem(422, "plugin.invalid");
}

#[tokio::test]
async fn runs_of_endpoints_are_watched() {
    let (app, admin) = desk().await;
    app.anonymous().get(&format!("{HELLO}/ann")).await.expect(200);
    let runs = admin.get("/api/plugins/desk/runs").await.list();
    assert_eq!((&runs[0]["rule"], &runs[0]["hook"], &runs[0]["operation"]), (&json!("hello"), &json!("endpoint"), &json!("get")));
    let whole = admin.get(&format!("/api/plugins/desk/runs/{}", runs[0]["seq"])).await.json(200);
    assert_eq!(whole["event"]["after"]["params"], json!({"name": "ann"}), "{whole}");
    assert_eq!(whole["event"]["context"]["caller"], Value::Null, "{whole}");
}
