//! The server that the catalogue is asked of: collections, records, policies, plugins, imports and sessions, made through the API.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::ask::{
    Answer, Ask, Body, Request,
    Who::{self, Admin, Ann, Liar, Nobody},
};

pub(super) const ADMIN: &str = "admin@ironrule.example";
pub(super) const PASSWORD: &str = "a-long-test-password-7";

/// Misbehaves on demand, in the middle of what it does.
const HOSTILE: &[u8] = include_bytes!("../../../../../../plugins/examples/hostile/hostile.wasm");

/// Writes and queues before it refuses.
pub(super) const CLERK: &str = include_str!("clerk.js");

/// Imports that were begun: done, stopped at a row, ended by somebody.
const DONE: &str = "01ARZ3NDEKTSV4RRFFQ69G5FA0";
const STOPPED: &str = "01ARZ3NDEKTSV4RRFFQ69G5FA1";
const CANCELLED: &str = "01ARZ3NDEKTSV4RRFFQ69G5FA2";

/// How long bytes may wait for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// A running server after the set-up.
pub(super) struct World {
    address: SocketAddr,
    http: reqwest::Client,
    ann: String,
    admin: String,
    /// What the names in braces stand for.
    names: Vec<(&'static str, String)>,
}

impl World {
    /// Sets a server up that has an admin.
    pub(super) async fn open(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut world = Self { address, http, ann: String::new(), admin: String::new(), names: Vec::new() };
        world.admin = world.logged_in(ADMIN).await["access_token"].as_str().expect("a token").to_owned();
        world.keep("admin_token", world.admin.clone());
        world.collections().await;
        world.records().await;
        world.people().await;
        world.policies().await;
        world.plugins().await;
        world.orders().await;
        world.imports().await;
        world
    }

    fn keep(&mut self, name: &'static str, value: String) {
        self.names.push((name, value));
    }

    /// Creates a record and keeps its id under a name.
    async fn create(&mut self, name: &'static str, collection: &str, record: Value) {
        let record = self.made(Admin.post(&format!("/api/records/{collection}")).json(&record)).await;
        self.keep(name, record["id"].as_str().expect("an id").to_owned());
    }

    async fn collections(&mut self) {
        let definitions = [
            json!({"name": "things", "search": ["title"], "indexes": [{"fields": ["amount", "title"]}], "fields": [
                {"name": "title", "type": "text", "required": true, "min": 2, "max": 20},
                {"name": "code", "type": "text", "unique": true},
                {"name": "amount", "type": "integer", "min": 0, "default": 1},
                {"name": "price", "type": "decimal", "min": 0},
                {"name": "state", "type": "select", "values": ["new", "done"]},
                {"name": "data", "type": "json"},
                {"name": "owner", "type": "relation", "collection": "users"},
                {"name": "origin", "type": "text", "immutable": true}
            ]}),
            json!({"name": "links", "fields": [{"name": "thing", "type": "relation", "collection": "things", "on_delete": "restrict"}]}),
            json!({"name": "shelves", "fields": [{"name": "label", "type": "text"}, {"name": "width", "type": "integer"}]}),
            json!({"name": "ledger", "fields": [{"name": "note", "type": "text"}]}),
            json!({"name": "customers", "fields": [{"name": "name", "type": "text"}]}),
            json!({"name": "orders", "fields": [
                {"name": "text", "type": "text"},
                {"name": "code", "type": "text", "unique": true},
                {"name": "number", "type": "integer", "max": 10},
                {"name": "page", "type": "text"},
                {"name": "gone", "type": "text"},
                {"name": "customer", "type": "relation", "collection": "customers", "on_delete": "cascade"}
            ]}),
            // Those of the plugin `hostile`.
            json!({"name": "audit", "fields": [{"name": "note", "type": "text"}]}),
            json!({"name": "notes", "fields": [
                {"name": "behaviour", "type": "text"},
                {"name": "text", "type": "text"},
                {"name": "count", "type": "integer"},
                {"name": "depth", "type": "integer"},
                {"name": "found", "type": "bool"}
            ]}),
        ];
        for definition in definitions {
            self.made(Admin.post("/api/collections").json(&definition)).await;
        }
    }

    /// In the order of their ids: what is refused for the last of several has written the others before.
    async fn records(&mut self) {
        self.create("small", "things", json!({"title": "small", "code": "A", "amount": 1, "origin": "here"})).await;
        let kept = Admin.post("/api/records/things").header("idempotency-key", "kept").json(&json!({"title": "once", "code": "K"}));
        self.made(kept).await;
        self.create("large", "things", json!({"title": "large", "code": "B", "amount": 9})).await;
        self.create("empty", "things", json!({"title": "empty", "code": "C", "amount": 0})).await;
        self.create("link", "links", json!({"thing": "{large}"})).await;
        self.create("shelf", "shelves", json!({"label": "not empty", "width": 3})).await;
        self.create("page", "ledger", json!({"note": "a page"})).await;
        self.create("leaf", "ledger", json!({"note": "a leaf"})).await;
        self.create("customer", "customers", json!({"name": "with orders"})).await;
        self.create("audited", "audit", json!({"note": "there before"})).await;
    }

    async fn people(&mut self) {
        for (name, email) in [("ann", "ann@test.example"), ("ben", "ben@test.example")] {
            self.create(name, "users", json!({"email": email, "password": PASSWORD})).await;
        }
        self.ann = self.logged_in("ann@test.example").await["access_token"].as_str().expect("a token").to_owned();
        let spent = self.logged_in("ben@test.example").await["refresh_token"].as_str().expect("a token").to_owned();
        self.made(Nobody.post("/api/auth/refresh").json(&json!({"refresh_token": spent}))).await;
        self.keep("spent", spent);
    }

    async fn policies(&mut self) {
        for (object, action, fields, condition) in [
            ("things", "create", "title code amount", "record.amount < 50"),
            ("things", "read", "title amount", ""),
            ("things", "update", "title", "record.amount < 5"),
            ("customers", "read", "*", ""),
            ("customers", "delete", "*", ""),
        ] {
            let policy =
                json!({"subject": "role:authenticated", "object": object, "action": action, "fields": fields, "condition": condition});
            self.made(Admin.post("/api/policies").json(&policy)).await;
        }
    }

    async fn plugins(&mut self) {
        self.made(Admin.post("/api/plugins?grant=all").bytes("application/wasm", HOSTILE)).await;
        self.made(Admin.post("/api/plugins?grant=all").bytes("text/javascript", CLERK)).await;
    }

    /// Written under the clerk's eyes.
    async fn orders(&mut self) {
        self.create("order", "orders", json!({"text": "fine", "code": "taken", "customer": "{customer}"})).await;
        self.create("locked", "orders", json!({"text": "locked", "customer": "{customer}"})).await;
    }

    async fn imports(&mut self) {
        let file = "{\"title\":\"from a file\"}\n";
        let import =
            |id: &str, file: &str| Admin.post(&format!("/api/records/things/import?import={id}")).text("application/x-ndjson", file);
        self.made(import(DONE, file)).await;
        for id in [STOPPED, CANCELLED] {
            let answer = self.send(&import(id, &format!("{file}{{\"title\":\"x\"}}\n"))).await;
            assert_eq!(answer.status, 422, "{}", answer.text);
        }
        self.made(Admin.delete(&format!("/api/imports/{CANCELLED}"))).await;
        for (name, id) in [("done", DONE), ("stopped", STOPPED), ("cancelled", CANCELLED)] {
            self.keep(name, id.to_owned());
        }
    }

    async fn logged_in(&self, email: &str) -> Value {
        self.made(Nobody.post("/api/auth/login").json(&json!({"identity": email, "password": PASSWORD}))).await
    }

    /// Sends what must be accepted.
    pub(super) async fn made(&self, request: Request) -> Value {
        let answer = self.send(&request).await;
        assert!((200..300).contains(&answer.status), "{} {}: {} {}", request.method, request.path, answer.status, answer.text);
        answer.json
    }

    pub(super) async fn ask(&self, ask: &Ask) -> Answer {
        match ask {
            Ask::Request(request) => self.send(request).await,
            Ask::Raw(bytes) => self.send_raw(bytes).await,
        }
    }

    pub(super) async fn send(&self, request: &Request) -> Answer {
        let url = format!("http://{}{}", self.address, self.filled(&request.path));
        let mut sent = self.http.request(request.method.clone(), url);
        if let Some(token) = self.token(request.who) {
            sent = sent.bearer_auth(token);
        }
        for (name, value) in &request.headers {
            sent = sent.header(*name, self.filled(value));
        }
        sent = match &request.body {
            Body::Empty => sent,
            Body::Text(kind, text) => sent.header("content-type", *kind).body(self.filled(text)),
            Body::Bytes(kind, bytes) => sent.header("content-type", *kind).body(bytes.clone()),
        };
        let response = sent.send().await.unwrap_or_else(|error| panic!("{} {}: {error:?}", request.method, request.path));
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{} {}: {error:?}", request.method, request.path));
        Answer { status, text: String::from_utf8_lossy(&bytes).into_owned(), json: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    fn token(&self, who: Who) -> Option<&str> {
        match who {
            Nobody => None,
            Ann => Some(&self.ann),
            Admin => Some(&self.admin),
            Liar => Some("no.such.token"),
        }
    }

    async fn send_raw(&self, bytes: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        // The server may close before all of it is sent.
        let _ = stream.write_all(self.filled(bytes).as_bytes()).await;
        let (mut said, mut block) = (Vec::<u8>::new(), [0_u8; 4 << 10]);
        loop {
            if let Some(answer) = whole(&said) {
                return answer;
            }
            let read = timeout(ANSWERED_WITHIN, stream.read(&mut block)).await.expect("the server says something");
            let count = read.unwrap_or_default();
            assert!(count > 0, "the answer breaks off: {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&block[..count]);
        }
    }

    /// With what the names in braces stand for.
    fn filled(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

/// A problem as it stands in an answer of HTTP/1; none until all of it has come.
fn whole(said: &[u8]) -> Option<Answer> {
    let said = String::from_utf8_lossy(said);
    let (head, body) = said.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = body.get(body.find('{')?..=body.rfind('}')?)?;
    let json = serde_json::from_str(body).ok()?;
    Some(Answer { status, text: body.to_owned(), json })
}
