//! `/api/plugins`, and what happens to a write whose rule misbehaves. The plugin `hostile` does what the field `behaviour` asks for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Answer, Client, Method, TestApp, repository};

mod versions;

mod grants;

mod settings;

mod order;

mod javascript;

mod shadow;

mod folder;

const NOTES: &str = "/api/records/notes";

/// How long a write with a broken rule may take on a busy machine: the limits are 50 ms of computing and 2 s altogether.
const BOUND: Duration = Duration::from_secs(10);

fn component(path: &str) -> Vec<u8> {
    let path = repository().join("plugins/examples").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn hostile() -> Vec<u8> {
    component("hostile/hostile.wasm")
}

/// The same code with another digest.
fn variant(number: u8) -> Vec<u8> {
    // A custom section of one byte: what the component does stays.
    [hostile(), vec![0, 3, 1, b'v', number]].concat()
}

/// A server with the collections that the plugin `hostile` is about.
async fn notes() -> (TestApp, Client) {
    notes_on(TestApp::start().await).await
}

async fn notes_on(app: TestApp) -> (TestApp, Client) {
    let admin = app.admin().await;
    let fields = json!([
        {"name": "behaviour", "type": "text"},
        {"name": "text", "type": "text"},
        {"name": "count", "type": "integer"},
        {"name": "depth", "type": "integer"},
        {"name": "found", "type": "bool"}
    ]);
    admin.collection("notes", fields).await;
    admin.collection("audit", json!([{"name": "note", "type": "text"}])).await;
    (app, admin)
}

/// Uploads JavaScript text with `?grant=`.
async fn upload_text(client: &Client, text: &str, grant: &str) -> Answer {
    let path = tests::url("/api/plugins", &[("grant", grant)]);
    client.request(Method::POST, &path).body("text/javascript", text.to_owned()).send().await
}

/// The same with the plugin, which has all that it wishes for.
async fn misbehaving() -> (TestApp, Client) {
    let (app, admin) = notes().await;
    admin.upload(hostile(), "all").await.expect(201);
    (app, admin)
}

async fn behave(client: &Client, behaviour: &str) -> Answer {
    client.post(NOTES, json!({"behaviour": behaviour})).await
}

/// How many notes and audits there are.
async fn written(client: &Client) -> (usize, usize) {
    (client.get(NOTES).await.list().len(), client.get("/api/records/audit").await.list().len())
}

/// The write fails with this code, in time, leaves nothing behind, says nothing of the inside, and the next one is served.
async fn fails(behaviour: &str, code: &str) {
    let (_app, admin) = misbehaving().await;
    let start = Instant::now();
    let problem = behave(&admin, behaviour).await.problem(500, code);
    assert!(start.elapsed() < BOUND, "`{behaviour}` took {:?}", start.elapsed());
    for inside in ["wasm", "as asked", "after the first write", "backtrace"] {
        assert!(!problem.answer.text.contains(inside), "`{inside}` is shown: {}", problem.answer);
    }
    assert_eq!(written(&admin).await, (0, 0), "something remained");
    behave(&admin, "well").await.expect(201);
    assert_eq!(written(&admin).await, (1, 0));
}

#[tokio::test]
async fn a_rule_that_loops_for_ever_is_stopped() {
    fails("loop", "plugin.timeout").await;
}

#[tokio::test]
async fn a_rule_that_allocates_without_end_is_stopped() {
    fails("allocate", "plugin.memory").await;
}

#[tokio::test]
async fn a_rule_that_recurses_without_end_is_stopped() {
    fails("recurse", "plugin.stack").await;
}

#[tokio::test]
async fn what_a_rule_wrote_before_it_trapped_is_gone() {
    fails("trap-after-write", "plugin.trap").await;
}

#[tokio::test]
async fn a_rule_that_panics_refuses_the_write() {
    fails("panic", "plugin.trap").await;
}

#[tokio::test]
async fn a_patch_that_is_no_object_refuses_the_write() {
    fails("garbage", "plugin.garbage").await;
}

#[tokio::test]
async fn a_pointer_that_is_none_refuses_the_write() {
    fails("garbage-pointer", "plugin.garbage").await;
}

#[tokio::test]
async fn a_rule_that_calls_the_server_without_end_is_stopped() {
    fails("host-flood", "plugin.budget").await;
}

#[tokio::test]
async fn a_rule_that_swallows_every_failure_is_stopped_too() {
    fails("read-forever", "plugin.budget").await;
}

#[tokio::test]
async fn a_rule_that_answers_too_much_refuses_the_write() {
    fails("giant-output", "plugin.output").await;
}

#[tokio::test]
async fn a_rule_that_answers_far_too_much_refuses_the_write() {
    fails("gigantic-output", "plugin.output").await;
}

#[tokio::test]
async fn a_write_that_conflicts_every_time_is_given_up() {
    let (_app, admin) = misbehaving().await;
    let problem = behave(&admin, "retry").await.problem(409, "write.conflict");
    assert_eq!(problem.answer.header("retry-after"), Some("1"), "{}", problem.answer);
    assert_eq!(written(&admin).await, (0, 0));
}

#[tokio::test]
async fn a_rule_that_cannot_decide_refuses_the_write() {
    fails("internal", "plugin.internal").await;
}

#[tokio::test]
async fn a_rule_does_not_write_where_nothing_is_granted() {
    let (_app, admin) = misbehaving().await;
    let refused = behave(&admin, "write-elsewhere").await.any_problem();
    assert!([403, 500].contains(&refused.answer.status), "{}", refused.answer);
    assert_eq!(written(&admin).await, (0, 0));
}

#[tokio::test]
async fn others_are_served_while_rules_misbehave() {
    let (_app, admin) = misbehaving().await;
    let behaviours = ["loop", "allocate", "recurse", "read-forever", "well"];
    let storm = (0..50).map(|number| {
        let behaviour = behaviours[number % behaviours.len()];
        let admin = admin.clone();
        async move {
            let start = Instant::now();
            (behaviour, behave(&admin, behaviour).await, start.elapsed())
        }
    });
    let mut well = 0;
    for (behaviour, answer, elapsed) in futures_util::future::join_all(storm).await {
        assert!(elapsed < BOUND, "`{behaviour}` took {elapsed:?}");
        if behaviour == "well" {
            answer.expect(201);
            well += 1;
        } else {
            assert_eq!(answer.any_problem().answer.status, 500);
        }
    }
    assert_eq!(written(&admin).await, (well, 0));
}

#[tokio::test]
async fn a_rule_that_floods_its_log_does_not_harm() {
    let (app, admin) = misbehaving().await;
    behave(&admin, "log-flood").await.expect(201);
    behave(&admin, "giant-log").await.expect(201);
    assert!(app.output().len() < 1 << 20, "the log has {} bytes", app.output().len());
}

#[tokio::test]
async fn a_rule_can_write_what_it_is_granted() {
    let (_app, admin) = misbehaving().await;
    behave(&admin, "write").await.expect(201);
    assert_eq!(written(&admin).await, (1, 1));
}

#[tokio::test]
async fn a_refusal_of_a_rule_reaches_the_client() {
    let (_app, admin) = misbehaving().await;
    behave(&admin, "refuse").await.problem(422, "rule.refused").errors(&["/behaviour note.refused"]);
    assert_eq!(written(&admin).await, (0, 0));
}

#[tokio::test]
async fn nothing_is_carried_from_one_call_to_the_next() {
    let (_app, admin) = misbehaving().await;
    for _ in 0..3 {
        assert_eq!(behave(&admin, "count-global").await.json(201)["count"], 1);
    }
}

#[tokio::test]
async fn a_rule_runs_for_its_collection_and_operation_only() {
    let (_app, admin) = misbehaving().await;
    admin.create("audit", json!({"note": "no rule here"})).await;
    let note = behave(&admin, "well").await.json(201);
    let path = format!("{NOTES}/{}", note["id"].as_str().expect("an id"));
    admin.patch(&path, json!({"behaviour": "panic"})).await.expect(200);
    admin.delete(&path).await.expect(200);
}

#[tokio::test]
async fn what_a_rule_changes_is_validated() {
    let (_app, admin) = notes().await;
    let fields =
        json!([{"name": "behaviour", "type": "text"}, {"name": "count", "type": "integer", "min": 5}, {"name": "found", "type": "text"}]);
    admin.patch("/api/collections/notes", json!({"fields": fields})).await.expect(200);
    admin.upload(hostile(), "all").await.expect(201);
    for (behaviour, pointer) in [("count-global", "/count"), ("read-missing", "/found")] {
        // The client is not to blame, but sees that the record is not valid.
        let problem = behave(&admin, behaviour).await.any_problem();
        assert!([422, 500].contains(&problem.answer.status), "{}", problem.answer);
        if problem.answer.status == 422 {
            problem.at(pointer);
        }
    }
    assert_eq!(written(&admin).await, (0, 0));
}

#[tokio::test]
async fn a_plugin_is_listed_with_what_it_may() {
    let (_app, admin) = misbehaving().await;
    let plugins = admin.get("/api/plugins").await.list();
    assert_eq!(plugins.len(), 1);
    let plugin = &plugins[0];
    assert_eq!(plugin["name"], "hostile");
    assert!(plugin["version"].is_string(), "{plugin}");
    assert!(plugin.to_string().contains("audit"), "its grants are not shown: {plugin}");
}

#[tokio::test]
async fn a_plugin_gets_only_what_is_granted() {
    let (_app, admin) = notes().await;
    let answer = admin.upload(hostile(), "read:notes").await;
    if answer.is_success() {
        // Installed with less than it wishes for: its writes fail.
        behave(&admin, "well").await.expect(201);
        let refused = behave(&admin, "write").await.any_problem();
        assert!([403, 500].contains(&refused.answer.status), "{}", refused.answer);
        assert_eq!(written(&admin).await, (1, 0));
    } else {
        answer.problem(422, "plugin.invalid");
        assert_eq!(admin.get("/api/plugins").await.list(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn wishes_are_not_granted_by_themselves() {
    let (_app, admin) = notes().await;
    let answer = admin.request(Method::POST, "/api/plugins").body("application/wasm", hostile()).send().await;
    if answer.is_success() {
        let refused = behave(&admin, "write").await.any_problem();
        assert!([403, 500].contains(&refused.answer.status), "{}", refused.answer);
    } else {
        answer.problem(422, "plugin.invalid");
    }
    assert_eq!(written(&admin).await, (0, 0));
}

#[tokio::test]
async fn grants_that_cannot_be_are_refused() {
    let (_app, admin) = notes().await;
    for grant in ["everything", "read", "read:", "delete:notes", "read:Notes"] {
        let problem = admin.upload(hostile(), grant).await.any_problem();
        assert!([400, 422].contains(&problem.answer.status), "`{grant}`: {}", problem.answer);
    }
    assert_eq!(admin.get("/api/plugins").await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let (_app, admin) = notes().await;
    let mut broken = hostile();
    let middle = broken.len() / 2;
    broken.truncate(middle);
    let bodies = [
        Vec::new(),
        b"nope".to_vec(),
        b"\0asm\x01\0\0\0".to_vec(),
        b"\0asm\x0d\0\x01\0".to_vec(),
        b"\x7fELF\x02\x01\x01\0".to_vec(),
        broken,
    ];
    for body in bodies {
        admin.upload(body, "all").await.problem(422, "plugin.invalid");
    }
    assert_eq!(admin.get("/api/plugins").await.list(), Vec::<Value>::new());
    behave(&admin, "panic").await.expect(201);
}

#[tokio::test]
async fn a_component_of_another_type_or_size_is_refused() {
    let (_app, admin) = notes().await;
    let request = |kind: &str, body: Vec<u8>| admin.request(Method::POST, "/api/plugins?grant=all").body(kind, body).send();
    request("application/json", b"{}".to_vec()).await.problem(415, "body.unsupported_type");
    // More than a record may have, less than a plugin may have: read, and then found to be nonsense.
    request("application/wasm", vec![0; 2 << 20]).await.problem(422, "plugin.invalid");
}

#[tokio::test]
async fn a_plugin_is_replaced_by_its_next_upload_and_ends_with_its_deletion() {
    let (_app, admin) = misbehaving().await;
    assert!(admin.upload(hostile(), "all").await.is_success());
    assert_eq!(admin.get("/api/plugins").await.list().len(), 1);
    behave(&admin, "panic").await.problem(500, "plugin.trap");
    assert!(admin.delete("/api/plugins/hostile").await.is_success());
    assert_eq!(admin.get("/api/plugins").await.list(), Vec::<Value>::new());
    behave(&admin, "panic").await.expect(201);
    admin.delete("/api/plugins/hostile").await.problem(404, "plugin.not_found");
}

#[tokio::test]
async fn a_plugin_outlives_a_restart() {
    let (mut app, admin) = notes_on(TestApp::on_disk().await).await;
    admin.upload(hostile(), "all").await.expect(201);
    app.restart().await;
    let admin = app.admin().await;
    behave(&admin, "refuse").await.problem(422, "rule.refused");
}

#[tokio::test]
async fn no_write_is_lost_while_plugins_are_swapped() {
    let (_app, admin) = misbehaving().await;
    let swap = async {
        for _ in 0..5 {
            assert!(admin.upload(hostile(), "all").await.is_success());
        }
    };
    let write = async {
        for _ in 0..60 {
            behave(&admin, "refuse").await.problem(422, "rule.refused");
        }
    };
    tokio::join!(swap, write);
}

#[tokio::test]
async fn only_admins_manage_plugins() {
    let (app, admin) = misbehaving().await;
    let ann = app.user("ann").await;
    for (client, status, code) in [(&app.anonymous(), 401, "auth.required"), (&ann, 403, "policy.denied")] {
        client.get("/api/plugins").await.problem(status, code);
        client.upload(hostile(), "all").await.problem(status, code);
        client.delete("/api/plugins/hostile").await.problem(status, code);
    }
    assert_eq!(admin.get("/api/plugins").await.list().len(), 1);
}
