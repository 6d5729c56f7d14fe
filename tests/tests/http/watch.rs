//! `/api/plugins/{name}/stats`, `/logs`, `/failures`, `/runs`, and `/metrics`: what the rules of plugins did lately. The plugin `hostile`
//! does what the field `behaviour` asks for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Answer, Client, Database, Method, Options, TestApp, repository};

mod secrets;

const STATS: &str = "/api/plugins/hostile/stats";
const LOGS: &str = "/api/plugins/hostile/logs";
const FAILURES: &str = "/api/plugins/hostile/failures";
const RUNS: &str = "/api/plugins/hostile/runs";

async fn watched() -> (TestApp, Client) {
    watched_on(TestApp::start().await).await
}

async fn watched_on(app: TestApp) -> (TestApp, Client) {
    let admin = app.admin().await;
    let text = |name: &str| json!({"name": name, "type": "text"});
    let number = |name: &str| json!({"name": name, "type": "integer"});
    let found = json!({"name": "found", "type": "bool"});
    admin.collection("notes", json!([text("behaviour"), text("text"), number("count"), number("depth"), found])).await;
    admin.collection("audit", json!([text("note")])).await;
    install(&admin).await;
    (app, admin)
}

async fn install(admin: &Client) {
    let path = repository().join("plugins/examples/hostile/hostile.wasm");
    let component = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    admin.upload(component, "all").await.expect(201);
}

async fn behave(admin: &Client, behaviour: &str) -> Answer {
    admin.post("/api/records/notes", json!({"behaviour": behaviour})).await
}

/// What is known of the rule `hostile`.
async fn stats(admin: &Client) -> Value {
    let stats = admin.get(STATS).await.json(200);
    assert_eq!(stats["plugin"], "hostile");
    let rules = stats["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["rule"] == "hostile").cloned().unwrap_or_default()
}

#[tokio::test]
async fn nobody_looks_without_rights() {
    let (app, _admin) = watched().await;
    let ann = app.user("ann").await;
    for path in [STATS, LOGS, FAILURES, RUNS, "/api/plugins/hostile/runs/1", "/metrics"] {
        app.anonymous().get(path).await.problem(401, "auth.required");
        ann.get(path).await.problem(403, "policy.denied");
    }
}

#[tokio::test]
async fn numbers_and_what_was_logged_are_two_rights() {
    let (app, admin) = watched().await;
    let ann = app.user("ann").await;
    let me = format!("user:{}", ann.id());
    let policy = |object: &str| json!({"subject": me, "object": object, "action": "read"});
    admin.policy(policy("_plugins")).await;
    ann.get(STATS).await.expect(200);
    for path in [LOGS, FAILURES, RUNS, "/metrics"] {
        ann.get(path).await.problem(403, "policy.denied");
    }
    admin.policy(policy("_logs")).await;
    for path in [LOGS, FAILURES, RUNS] {
        ann.get(path).await.expect(200);
    }
    ann.get("/metrics").await.problem(403, "policy.denied");
    admin.policy(policy("_metrics")).await;
    ann.get("/metrics").await.expect(200);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_app, admin) = watched().await;
    for part in ["stats", "logs", "failures", "runs", "runs/1"] {
        admin.get(&format!("/api/plugins/nobody/{part}")).await.problem(404, "plugin.not_found");
    }
    for id in ["1", "x", "-1", "99999999999999999999999"] {
        admin.get(&format!("{RUNS}/{id}")).await.problem(404, "run.not_found");
    }
    for query in ["after=x", "after=-1", "limit=0", "limit=1001", "wait=21", "wait=-1", "unknown=1"] {
        admin.get(&format!("{LOGS}?{query}")).await.problem(400, "query.invalid");
    }
    admin.post("/metrics", json!({})).await.problem(405, "route.method_not_allowed");
}

#[tokio::test]
async fn a_plugin_that_never_ran_has_nothing_to_show() {
    let (_app, admin) = watched().await;
    assert_eq!(stats(&admin).await, Value::Null);
    assert_eq!(admin.get(LOGS).await.json(200), json!({"lines": [], "last": 0}));
    assert_eq!((admin.get(FAILURES).await.list(), admin.get(RUNS).await.list()), (vec![], vec![]));
}

#[tokio::test]
async fn runs_are_counted_by_how_they_ended() {
    let (_app, admin) = watched().await;
    for behaviour in ["well", "well", "count-global", "refuse", "panic", "panic", "loop", "host-flood"] {
        behave(&admin, behaviour).await;
    }
    let stats = stats(&admin).await;
    assert_eq!((&stats["calls"], &stats["mode"]), (&json!(8), &json!("active")), "{stats}");
    let outcomes = json!({"accepted": 2, "changed": 1, "rejected": {"invalid": 1}, "aborted": 0,
        "failed": {"plugin.trap": 2, "plugin.timeout": 1, "plugin.budget": 1}});
    assert_eq!(stats["outcomes"], outcomes, "{stats}");
    assert_eq!(stats["limits_hit"], 2, "{stats}");
    let latency = |part: &str, what: &str| stats["latency_us"][part][what].as_u64().unwrap_or_else(|| panic!("no {part} {what}: {stats}"));
    assert_eq!((latency("total", "count"), latency("instantiate", "count")), (8, 8));
    assert!(latency("total", "max") >= 50_000, "a loop runs to its limit: {stats}");
    assert!(latency("total", "p50") <= latency("total", "p95") && latency("total", "p99") <= latency("total", "max"), "{stats}");
    assert!(latency("guest", "max") >= latency("guest", "p50"), "{stats}");
    assert!(stats["host_calls"].as_u64() >= Some(64), "{stats}");
    assert!(stats["memory_max_bytes"].as_u64() >= Some(64 << 10), "{stats}");
    assert!(stats["last_call"].as_str().is_some_and(|at| at.ends_with('Z')), "{stats}");
}

#[tokio::test]
async fn a_patch_that_cannot_be_stored_is_a_failure() {
    let (_app, admin) = watched().await;
    let deep = r#"
        import { beforeWrite, definePlugin } from "@ironrule/rules";
        const deep = () => { let value = null; for (let level = 0; level < 100; level++) value = [value]; return { text: value }; };
        const rule = beforeWrite({ name: "deep", collections: ["audit"], operations: ["create"], run: deep });
        export const rules = definePlugin({ name: "deep", version: "1.0.0", rules: [rule] });
    "#;
    admin.request(Method::POST, "/api/plugins?grant=all").body("text/javascript", deep).send().await.expect(201);
    admin.post("/api/records/audit", json!({"note": "a"})).await.problem(500, "plugin.garbage");
    let stats = admin.get("/api/plugins/deep/stats").await.json(200);
    assert_eq!(stats["rules"][0]["outcomes"]["failed"], json!({"plugin.garbage": 1}), "{stats}");
    assert_eq!(admin.get("/api/plugins/deep/failures").await.list()[0]["code"], "plugin.garbage");
}

#[tokio::test]
async fn numbers_outlive_a_change_of_the_world_and_a_deletion() {
    let (_app, admin) = watched().await;
    behave(&admin, "well").await.expect(201);
    admin.collection("posts", json!([])).await;
    install(&admin).await;
    behave(&admin, "well").await.expect(201);
    assert_eq!(stats(&admin).await["calls"], 2);
    admin.delete("/api/plugins/hostile").await.expect(200);
    assert_eq!(stats(&admin).await["calls"], 2);
}

#[tokio::test]
async fn log_lines_are_kept_in_their_order() {
    let (_app, admin) = watched().await;
    for _ in 0..3 {
        behave(&admin, "log-flood").await.expect(201);
    }
    let all = admin.get(&format!("{LOGS}?limit=1000")).await.json(200);
    let lines = all["lines"].as_array().expect("lines");
    assert!((1..=100).contains(&lines.len()), "{} lines are kept", lines.len());
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert!(numbers.is_sorted() && numbers.len() == lines.len(), "{numbers:?}");
    assert_eq!(all["last"], json!(numbers.last()));
    for member in ["at", "request", "version", "digest", "rule", "mode", "level", "message"] {
        assert!(lines[0][member].is_string(), "no `{member}`: {}", lines[0]);
    }
    assert!(lines[0]["fields"].is_object(), "{}", lines[0]);

    let newest = admin.get(&format!("{LOGS}?limit=2")).await.json(200);
    assert_eq!(newest["lines"], json!(lines[lines.len() - 2..]));
    let page = admin.get(&format!("{LOGS}?after={}&limit=2", numbers[0])).await.json(200);
    assert_eq!((&page["lines"], &page["last"]), (&json!(lines[1..3]), &json!(numbers[2])));
    let nothing = admin.get(&format!("{LOGS}?after={}", all["last"])).await.json(200);
    assert_eq!(nothing, json!({"lines": [], "last": all["last"]}));
}

#[tokio::test]
async fn who_waits_for_log_lines_hears_of_them_at_once() {
    let (_app, admin) = watched().await;
    let start = Instant::now();
    let follow = async { admin.get(&format!("{LOGS}?after=0&wait=20")).await.json(200) };
    let write = async {
        // Once the other one waits, most likely; the answer is the same if it does not yet.
        admin.get(LOGS).await.expect(200);
        behave(&admin, "log-flood").await.expect(201);
    };
    let (found, ()) = tokio::join!(follow, write);
    assert!(!found["lines"].as_array().expect("lines").is_empty());
    assert!(start.elapsed() < Duration::from_secs(15), "it waited {:?}", start.elapsed());

    let start = Instant::now();
    let nothing = admin.get(&format!("{LOGS}?after={}&wait=1", u64::from(u32::MAX) << 21)).await.json(200);
    assert_eq!(nothing["lines"], json!([]));
    assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&start.elapsed()), "it waited {:?}", start.elapsed());
}

#[tokio::test]
async fn failures_are_told_with_the_place_in_the_plugin() {
    let (_app, admin) = watched().await;
    let request = behave(&admin, "panic").await.problem(500, "plugin.trap").answer.json["request_id"].clone();
    behave(&admin, "refuse").await.problem(422, "rule.refused");
    let failures = admin.get(FAILURES).await.list();
    assert_eq!(failures.len(), 1, "a refusal is no failure: {failures:?}");
    let failure = &failures[0];
    assert_eq!((&failure["code"], &failure["rule"], &failure["request"]), (&json!("plugin.trap"), &json!("hostile"), &request));
    assert_eq!(
        (&failure["hook"], &failure["operation"], &failure["collection"]),
        (&json!("before-write"), &json!("create"), &json!("notes"))
    );
    assert!(failure["stack"].as_str().is_some_and(|stack| stack.contains("as asked") || stack.contains("hostile")), "{failure}");

    for _ in 0..25 {
        behave(&admin, "garbage").await.problem(500, "plugin.garbage");
    }
    let failures = admin.get(FAILURES).await.list();
    assert!(failures.len() <= 20 && failures.iter().all(|failure| failure["code"] == "plugin.garbage"), "{failures:?}");
}

#[tokio::test]
async fn a_refused_run_is_recorded_with_what_it_asked_and_said() {
    let (_app, admin) = watched().await;
    behave(&admin, "well").await.expect(201);
    behave(&admin, "read-missing").await.expect(201);
    behave(&admin, "refuse").await.problem(422, "rule.refused");
    behave(&admin, "trap-after-write").await.problem(500, "plugin.trap");
    let mut runs = admin.get(RUNS).await.list();
    assert!(runs.iter().any(|run| run["rule"] == "again"), "what a rule writes runs rules, too: {runs:?}");
    runs.retain(|run| run["rule"] == "hostile");
    let outcomes: Vec<&str> = runs.iter().filter_map(|run| run["outcome"].as_str()).collect();
    // The first accepted one is kept, the second is not.
    assert_eq!(outcomes, ["failed", "rejected", "accepted"], "{runs:?}");
    assert_eq!((&runs[1]["code"], &runs[1]["collection"], &runs[1]["redacted"]), (&json!("invalid"), &json!("notes"), &json!(false)));
    assert!(runs.iter().all(|run| run.get("event").is_none()), "a list does not show records");

    let whole = |run: &Value| format!("{RUNS}/{}", run["seq"]);
    let refused = admin.get(&whole(&runs[1])).await.json(200);
    let event = &refused["event"];
    assert_eq!(event["after"]["behaviour"], "refuse", "{refused}");
    assert_eq!((&event["hook"], &event["rule"]), (&json!("before-write"), &json!("hostile")));
    assert!(event["seed"].is_string() && event["context"]["request"] == refused["request"], "{refused}");
    assert_eq!(refused["result"]["rejected"]["violations"][0]["code"], "note.refused", "{refused}");

    let stopped = admin.get(&whole(&runs[0])).await.json(200);
    let calls = stopped["transcript"].as_array().expect("a transcript");
    assert_eq!(calls[0]["call"], "records.create", "{stopped}");
    assert!(calls[0]["input"].as_str().is_some_and(|input| input.contains("audit")), "{stopped}");
    assert!(calls[0]["output"].as_str().is_some_and(|output| output.starts_with("{\"ok\":{")), "{stopped}");
    assert_eq!(stopped["result"]["failed"]["code"], "plugin.trap", "{stopped}");
}

#[tokio::test]
async fn refused_runs_do_not_push_out_the_others() {
    let (_app, admin) = watched().await;
    behave(&admin, "well").await.expect(201);
    for _ in 0..45 {
        behave(&admin, "refuse").await.problem(422, "rule.refused");
    }
    let runs = admin.get(RUNS).await.list();
    assert!(runs.len() <= 50, "{}", runs.len());
    assert_eq!(runs.last().map(|run| &run["outcome"]), Some(&json!("accepted")));
    assert!(runs.iter().filter(|run| run["outcome"] == "rejected").count() >= 20, "{runs:?}");
}

#[tokio::test]
async fn metrics_are_what_a_monitor_reads() {
    let (_app, admin) = watched().await;
    for behaviour in ["well", "refuse", "panic"] {
        behave(&admin, behaviour).await;
    }
    let page = admin.get("/metrics").await.expect(200);
    assert_eq!(page.expect_header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let sample = |start: &str, part: &str| {
        let line = page.text.lines().find(|line| line.starts_with(start) && line.contains(part));
        let line = line.unwrap_or_else(|| panic!("no `{start}` with `{part}`:\n{}", page.text));
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or_else(|| panic!("no number: {line}"))
    };
    let calls = "ironrule_plugin_rule_calls_total{plugin=\"hostile\"";
    assert_eq!(sample(calls, "outcome=\"accepted\",code=\"\""), 1.0);
    assert_eq!(sample(calls, "outcome=\"rejected\",code=\"invalid\""), 1.0);
    assert_eq!(sample(calls, "outcome=\"failed\",code=\"plugin.trap\""), 1.0);
    let duration = |end: &str| format!("ironrule_plugin_rule_duration_seconds_{end}{{plugin=\"hostile\"");
    assert_eq!(sample(&duration("count"), "part=\"total\""), 3.0);
    assert_eq!(sample(&duration("bucket"), "part=\"total\",le=\"+Inf\""), 3.0);
    assert!(sample(&duration("sum"), "part=\"total\"") > 0.0);
    for line in page.text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "`{line}` has no number");
    }
}

#[tokio::test]
async fn nobody_who_waits_keeps_the_server_from_stopping() {
    let options = Options { database: Database::Disk, ..Options::default() };
    let (mut app, admin) = watched_on(TestApp::start_with(options).await).await;
    let request = admin.request(tests::Method::GET, &format!("{LOGS}?after=0&wait=20"));
    let waiting = tokio::spawn(request.try_send());
    // A second one that has been answered came after it, most likely; if not, it is refused, and the server stops all the same.
    admin.get(LOGS).await.expect(200);
    let start = Instant::now();
    assert!(tokio::task::spawn_blocking(move || app.stop()).await.expect("no panic").success());
    assert!(start.elapsed() < Duration::from_secs(8), "it took {:?}", start.elapsed());
    if let Ok(answer) = waiting.await.expect("no panic") {
        assert_eq!(answer.json(200)["lines"], json!([]));
    }
}
