//! `/api/deliveries`, and what is told and done after commits: webhooks, e-mails, jobs, rules after a commit and on a schedule. The plugin
//! `post` does what an order asks for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Answer, Client, Database, Method, Options, TestApp, eventually};

mod emails;

mod kill;

mod mailbox;

mod receiver;

mod rights;

mod rules;

mod secrets;

mod signature;

mod webhooks;

use mailbox::Mailbox;
use receiver::Receiver;

const ORDERS: &str = "/api/records/orders";
const DELIVERIES: &str = "/api/deliveries";

/// The plugin `post`.
const POST: &str = include_str!("deliveries/post.js");

/// A server with the plugin, whose webhooks may go to the receiver and whose e-mails go to the mailbox.
struct Post {
    app: TestApp,
    admin: Client,
    receiver: Receiver,
    mailbox: Mailbox,
}

impl Post {
    async fn start() -> Self {
        Self::start_on(Database::Memory).await
    }

    async fn start_on(database: Database) -> Self {
        let (receiver, mailbox) = (Receiver::start().await, Mailbox::start().await);
        let setting = |name: &str, value: String| (format!("IRONRULE_{name}"), value);
        let environment = vec![
            setting("WEBHOOK_PRIVATE_HOSTS", format!("[\"127.0.0.1:{}\"]", receiver.port())),
            setting("SMTP_URL", mailbox.url()),
            setting("SMTP_FROM", "Shop <shop@test.example>".to_owned()),
        ];
        let app = TestApp::start_with(Options { database, environment, ..Options::default() }).await;
        let admin = app.admin().await;
        let (text, number) = (|name: &str| json!({"name": name, "type": "text"}), |name: &str| json!({"name": name, "type": "integer"}));
        let job = json!({"name": "job", "type": "bool"});
        let limited = json!({"name": "number", "type": "integer", "max": 1_000_000});
        admin
            .collection(
                "orders",
                json!([text("what"), limited, text("url"), text("key"), text("to"), number("attempts"), number("delay"), job]),
            )
            .await;
        let note = ["order", "operation", "wrote", "delivery", "request"].map(text);
        admin.collection("notes", json!([note[0], note[1], note[2], note[3], note[4], number("number"), number("attempt")])).await;
        install(&admin, POST).await.expect(201);
        Self { app, admin, receiver, mailbox }
    }

    /// An order that is accepted.
    async fn order(&self, order: Value) -> Value {
        self.admin.create("orders", order).await
    }

    /// An order of a webhook to this path of the receiver, which is tried so often.
    async fn webhook(&self, path: &str, number: u32, attempts: u32) -> Value {
        self.order(json!({"url": self.receiver.url(path), "number": number, "attempts": attempts})).await
    }

    /// The deliveries of this kind, the oldest first.
    async fn deliveries(&self, kind: &str) -> Vec<Value> {
        let mut all = self.admin.query(DELIVERIES, &[("kind", kind), ("limit", "500")]).await.list();
        all.reverse();
        all
    }

    /// Waits until so many deliveries of this kind have come to this state.
    async fn reached(&self, kind: &str, state: &str, count: usize) -> Vec<Value> {
        let what = format!("{count} deliveries of the kind {kind} are {state}");
        eventually(&what, async || {
            let all: Vec<Value> = self.deliveries(kind).await.into_iter().filter(|one| one["state"] == state).collect();
            (all.len() >= count).then_some(all)
        })
        .await
    }

    /// The notes, the oldest first, without those of the rule that runs every minute.
    async fn notes(&self) -> Vec<Value> {
        let mut notes = self.all_notes().await;
        notes.retain(|note| note["operation"] != "tick");
        notes
    }

    async fn all_notes(&self) -> Vec<Value> {
        self.admin.get("/api/records/notes?sort=created&limit=1000").await.list()
    }

    /// What is known of a delivery, with its payload.
    async fn delivery(&self, delivery: &Value) -> Value {
        self.admin.get(&path(delivery)).await.json(200)
    }
}

fn path(delivery: &Value) -> String {
    format!("{DELIVERIES}/{}", delivery["id"].as_str().unwrap_or_else(|| panic!("no id: {delivery}")))
}

/// Pastes a plugin.
async fn install(admin: &Client, source: &str) -> Answer {
    admin.request(Method::POST, "/api/plugins?grant=all").body("text/javascript", source.to_owned()).send().await
}

#[tokio::test]
async fn nothing_is_told_of_what_did_not_happen() {
    let post = Post::start().await;
    let url = post.receiver.url("/ok");
    let order = |what: &str, number: u32| json!({"what": what, "url": url, "to": "ann@test.example", "job": true, "number": number});
    post.admin.post(ORDERS, order("refused", 1)).await.problem(409, "rule.refused");
    post.admin.post(ORDERS, order("thrown", 2)).await.problem(500, "plugin.internal");
    // The rule agrees, and what it has agreed to is not valid.
    post.admin.post(ORDERS, order("fine", 2_000_000)).await.problem(422, "record.invalid");
    assert_eq!(post.admin.get(DELIVERIES).await.list(), Vec::<Value>::new());
    post.order(order("fine", 4)).await;
    post.reached("webhook", "delivered", 1).await;
    post.reached("email", "delivered", 1).await;
    post.reached("job", "delivered", 1).await;
    post.reached("after-commit", "delivered", 1).await;
    assert_eq!(post.receiver.all().iter().map(|one| one.number()).collect::<Vec<_>>(), [4]);
    assert_eq!(post.mailbox.all().len(), 1);
    assert!(post.notes().await.iter().all(|note| note["number"] == 4));
}

#[tokio::test]
async fn a_delivery_can_wait() {
    let post = Post::start().await;
    let start = Instant::now();
    post.order(json!({"url": post.receiver.url("/ok"), "number": 1, "delay": 1_500})).await;
    let waiting = &post.deliveries("webhook").await[0];
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("pending"), &json!(0)));
    post.reached("webhook", "delivered", 1).await;
    assert!(start.elapsed() >= Duration::from_millis(1_500), "after {:?}", start.elapsed());
}

#[tokio::test]
async fn a_stopped_plugin_sends_nothing_until_it_goes_on() {
    let post = Post::start().await;
    post.order(json!({"url": post.receiver.url("/ok"), "job": true, "number": 1, "delay": 1_000, "attempts": 1})).await;
    post.admin.patch("/api/plugins/post", json!({"enabled": false})).await.expect(200);
    let held = async || {
        let all = post.deliveries("webhook").await;
        all[0]["error"].as_str().is_some_and(|error| error.contains("disabled")).then(|| all[0].clone())
    };
    let held = eventually("the delivery is held", held).await;
    assert_eq!((&held["state"], &held["attempts"]), (&json!("pending"), &json!(0)), "being held is no attempt");
    assert!(post.receiver.all().is_empty());
    post.admin.patch("/api/plugins/post", json!({"enabled": true})).await.expect(200);
    post.reached("webhook", "delivered", 1).await;
    post.reached("job", "delivered", 1).await;
}

#[tokio::test]
async fn what_waits_for_a_removed_plugin_is_given_up() {
    let post = Post::start().await;
    post.order(json!({"url": post.receiver.url("/ok"), "number": 1, "delay": 1_000})).await;
    post.reached("after-commit", "delivered", 1).await;
    post.admin.delete("/api/plugins/post").await.expect(200);
    let dead = &post.reached("webhook", "dead", 1).await[0];
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("not installed any more")), "{dead}");
    assert!(post.receiver.all().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_deliveries_finish() {
    let mut post = Post::start_on(Database::Disk).await;
    post.webhook("/slow", 1, 5).await;
    eventually("the request has arrived", async || (!post.receiver.at("/slow").is_empty()).then_some(())).await;
    post.order(json!({"url": post.receiver.url("/ok"), "number": 2, "delay": 1_000})).await;
    let status = tokio::task::block_in_place(|| post.app.stop());
    assert!(status.success(), "{status}");
    post.app.restart().await;
    post.admin = post.app.admin().await;
    let delivered = post.reached("webhook", "delivered", 2).await;
    assert_eq!(delivered[0]["attempts"], 1, "it was not begun again: {delivered:?}");
    assert_eq!((post.receiver.at("/slow").len(), post.receiver.at("/ok").len()), (1, 1));
}
