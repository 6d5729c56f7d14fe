//! A request that takes too long is undone, in the plugin and in the database, and answered.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tests::{Client, Method, TestApp, eventually, url};

use super::{NOTES, notes, texts, with};

/// A rule that writes and then never ends.
const LOOP: &str = r#"
import { beforeWrite, definePlugin, records } from "@ironrule/rules";

function loop({ after }) {
  if (after.text !== "loop") return;
  records.create("audit", { note: "half written" });
  for (;;);
}

export const rules = definePlugin({
  name: "looper",
  version: "1.0.0",
  grants: { write: ["audit"] },
  rules: [beforeWrite({ name: "loop", collections: ["notes"], operations: ["create"], run: loop })],
});
"#;

async fn looping(app: &TestApp) -> Client {
    let admin = app.admin().await;
    notes(&admin).await;
    admin.collection("audit", json!([{"name": "note", "type": "text"}])).await;
    admin.request(Method::POST, "/api/plugins?grant=all").body("text/javascript", LOOP).send().await.expect(201);
    admin
}

/// The processor time that the server has used, in ticks of 10 ms.
fn ticks(app: &TestApp) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", app.process_id())).expect("the process runs");
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum()
}

/// Waits until the server does nothing: what was given up does not go on behind the answer.
async fn at_rest(app: &TestApp) {
    let resting = async || {
        let before = ticks(app);
        tokio::time::sleep(Duration::from_millis(300)).await;
        (ticks(app) - before < 6).then_some(())
    };
    eventually("the server comes to rest", resting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_never_ends_is_ended_with_its_request_and_nothing_is_written() {
    let app = with(&[("REQUEST_SECONDS", "1"), ("PLUGIN_CALL_MS", "60000")]).await;
    let admin = looping(&app).await;
    let given_up = admin.post(NOTES, json!({"text": "loop"})).await.problem(503, "request.timeout");
    assert_eq!(given_up.answer.expect_header("retry-after"), "1");
    at_rest(&app).await;
    assert_eq!(texts(&admin).await, Vec::<Value>::new());
    assert_eq!(admin.get("/api/records/audit").await.list(), Vec::<Value>::new());
    // More of them than the plugin has places: each gives its place back.
    let many = (0..120).map(|_| admin.post(NOTES, json!({"text": "loop"})));
    for answer in futures_util::future::join_all(many).await {
        let code = answer.any_problem();
        assert!(["request.timeout", "plugin.busy", "plugin.wall"].contains(&code.code()), "{}", code.answer);
    }
    admin.post(NOTES, json!({"text": "honest"})).await.expect(201);
    assert_eq!(texts(&admin).await, ["honest"]);
    assert_eq!(admin.get("/api/records/audit").await.list(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_takes_too_long_ends_in_the_database() {
    let app = with(&[("REQUEST_SECONDS", "1"), ("BODY_READ_SECONDS", "60")]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    for _ in 0..30 {
        let many: Vec<Value> = (0..10).map(|_| json!({"text": "ab".repeat(45_000)})).collect();
        admin.post(NOTES, many.into()).await.expect(201);
    }
    // Each term looks through everything and finds nothing: 27 MB, 120 times.
    let word = |number: usize| format!("{number:07b}").replace('0', "a").replace('1', "b");
    let terms: Vec<String> = (0..120).map(|number| format!("text.contains('aa{}')", word(number))).collect();
    let search = url(NOTES, &[("filter", &terms.join(" || ")), ("count", "exact")]);
    admin.get(&search).await.problem(503, "request.timeout");
    at_rest(&app).await;
    admin.post(NOTES, json!({"text": "after"})).await.expect(201);
}
