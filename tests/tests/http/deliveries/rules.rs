use super::*;

#[tokio::test]
async fn a_rule_runs_after_each_commit_of_a_record_in_their_order() {
    let post = Post::start().await;
    let id = post.order(json!({"number": 1})).await["id"].as_str().expect("an id").to_owned();
    for number in 2..6 {
        post.admin.patch(&format!("{ORDERS}/{id}"), json!({"number": number})).await.expect(200);
    }
    post.admin.delete(&format!("{ORDERS}/{id}")).await.expect(200);
    let delivered = post.reached("after-commit", "delivered", 6).await;
    let notes = post.notes().await;
    let seen: Vec<_> =
        notes.iter().map(|note| (note["operation"].as_str().expect("text"), note["number"].as_i64().expect("a number"))).collect();
    assert_eq!(seen, [("create", 1), ("update", 2), ("update", 3), ("update", 4), ("update", 5), ("delete", 5)]);
    for (note, delivery) in notes.iter().zip(&delivered) {
        assert_eq!((&note["delivery"], &note["request"]), (&delivery["id"], &delivery["request"]));
        assert_eq!((&note["attempt"], &note["order"]), (&json!(1), &json!(id)));
        assert_eq!(note["wrote"], format!("user:{}", post.admin.id()));
    }
}

#[tokio::test]
async fn what_a_failed_attempt_wrote_is_not_there() {
    let post = Post::start().await;
    post.order(json!({"what": "fails-twice", "number": 1})).await;
    let delivered = post.reached("after-commit", "delivered", 1).await.remove(0);
    assert_eq!(delivered["attempts"], 3);
    let notes = post.notes().await;
    assert_eq!(notes.iter().map(|note| &note["attempt"]).collect::<Vec<_>>(), [&json!(3)], "one note of one run: {notes:?}");
}

#[tokio::test]
async fn a_rule_that_fails_for_ever_is_given_up_with_its_reason() {
    let post = Post::start().await;
    let environment = ("IRONRULE_DELIVERY_ATTEMPTS".to_owned(), "2".to_owned());
    let app = TestApp::start_with(Options { environment: vec![environment], ..Options::default() }).await;
    let admin = app.admin().await;
    admin.collection("orders", json!([{"name": "what", "type": "text"}])).await;
    let source = r#"import { afterCommit, definePlugin } from "@ironrule/rules";
        const run = ({ reject }) => reject("conflict", "never ever");
        const refuse = afterCommit({ name: "refuse", collections: ["orders"], operations: ["create"], run });
        export const rules = definePlugin({ name: "post", version: "1.0.0", rules: [refuse] });"#;
    install(&admin, source).await.expect(201);
    admin.create("orders", json!({"what": "x"})).await;
    let post = Post { app, admin, ..post };
    let dead = post.reached("after-commit", "dead", 1).await.remove(0);
    assert_eq!(dead["attempts"], 2);
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("never ever")), "{dead}");
    assert_eq!(post.admin.get(ORDERS).await.list().len(), 1, "the order stays");
}

#[tokio::test]
async fn a_job_runs_later() {
    let post = Post::start().await;
    post.order(json!({"job": true, "number": 8})).await;
    let job = post.reached("job", "delivered", 1).await.remove(0);
    assert_eq!(job["rule"], "work");
    post.reached("after-commit", "delivered", 1).await;
    let notes = post.notes().await;
    let done = notes.iter().find(|note| note["operation"] == "job").expect("a note of the job");
    assert_eq!((&done["number"], &done["delivery"]), (&json!(8), &job["id"]));
}

/// Its notes are written on behalf of whoever made the order.
const CALLERS: &str = r#"import { afterCommit, definePlugin, records } from "@ironrule/rules";
    const run = ({ id }) => void records.create("notes", { order: id });
    const note = afterCommit({ name: "note", collections: ["orders"], operations: ["create"], run });
    export const rules = definePlugin({ name: "callers", version: "1.0.0", writes_as: "caller", grants: { write: ["notes"] }, rules: [note] });"#;

#[tokio::test]
async fn a_plugin_that_writes_as_its_callers_may_later_what_they_may_then() {
    let environment = ("IRONRULE_DELIVERY_ATTEMPTS".to_owned(), "1".to_owned());
    let app = TestApp::start_with(Options { environment: vec![environment], ..Options::default() }).await;
    let admin = app.admin().await;
    let text = |name: &str| json!({"name": name, "type": "text"});
    admin.collection("orders", json!([text("what")])).await;
    admin
        .collection("notes", json!([text("order"), {"name": "made_by", "type": "relation", "collection": "users", "default": "caller.id"}]))
        .await;
    install(&admin, CALLERS).await.expect(201);
    admin.allow("role:authenticated", "orders", "create", "").await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let may = admin.allow(&format!("user:{}", ann.id()), "notes", "create", "").await;

    let states = async |count: usize| {
        eventually("all are done", async || {
            let all = admin.query(DELIVERIES, &[("kind", "after-commit")]).await.list();
            let ended = all.iter().filter(|one| ["delivered", "dead"].map(Value::from).contains(&one["state"])).count();
            (ended == count).then(|| all.into_iter().rev().map(|one| one["state"].clone()).collect::<Vec<_>>())
        })
        .await
    };
    ann.create("orders", json!({"what": "a"})).await;
    assert_eq!(states(1).await, ["delivered"]);
    let note = admin.get("/api/records/notes").await.list().remove(0);
    assert_eq!(note["made_by"], ann.id());
    bob.create("orders", json!({"what": "b"})).await;
    assert_eq!(states(2).await, ["delivered", "dead"], "bob may make no notes");
    // What counts is what they may when it runs, not when they wrote.
    assert!(admin.delete(&format!("/api/policies/{may}")).await.is_success());
    ann.create("orders", json!({"what": "c"})).await;
    assert_eq!(states(3).await, ["delivered", "dead", "dead"]);
    assert_eq!(admin.get("/api/records/notes").await.list().len(), 1);
}

/// A rule that runs because of what it has written itself.
const CIRCLE: &str = r#"import { afterCommit, definePlugin, records } from "@ironrule/rules";
    const run = ({ after }) => void records.create("notes", { depth: after.depth + 1 });
    const circle = afterCommit({ name: "circle", collections: ["notes"], operations: ["create"], run });
    export const rules = definePlugin({ name: "circle", version: "1.0.0", grants: { write: ["notes"] }, rules: [circle] });"#;

#[tokio::test]
async fn rules_that_make_themselves_run_come_to_an_end() {
    let environment = ("IRONRULE_DELIVERY_ATTEMPTS".to_owned(), "1".to_owned());
    let app = TestApp::start_with(Options { environment: vec![environment], ..Options::default() }).await;
    let admin = app.admin().await;
    admin.collection("notes", json!([{"name": "depth", "type": "integer"}])).await;
    install(&admin, CIRCLE).await.expect(201);
    admin.create("notes", json!({"depth": 0})).await;
    let dead = eventually("the circle is broken", async || admin.query(DELIVERIES, &[("state", "dead")]).await.list().pop()).await;
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("deep")), "{dead}");
    assert_eq!(admin.get("/api/records/notes").await.list().len(), 5);
}

/// Takes up to a minute and a bit: schedules have no seconds.
#[tokio::test]
async fn a_schedule_runs_once_for_each_slot() {
    let post = Post::start().await;
    let start = Instant::now();
    let ticks = async || post.admin.query(DELIVERIES, &[("kind", "scheduled"), ("state", "delivered")]).await.list();
    let tick = loop {
        match ticks().await.pop() {
            Some(tick) => break tick,
            None => assert!(start.elapsed() < Duration::from_secs(90), "no tick came"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let whole = post.delivery(&tick).await;
    let slot = whole["payload"]["scheduled_at"].as_str().expect("a moment").to_owned();
    assert!(slot.ends_with(":00.000000Z"), "{slot}");
    assert!(tick["created"].as_str().is_some_and(|created| *created >= *slot), "{tick}");
    let notes: Vec<Value> = post.all_notes().await.into_iter().filter(|note| note["operation"] == "tick").collect();
    assert_eq!(notes.len(), ticks().await.len(), "{notes:?}");
    assert_eq!(notes[0]["order"], slot);
}
