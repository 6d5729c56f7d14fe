//! `GET /api/records/{collection}/export`: all that a list would show, as a stream that is whole or visibly broken.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Client, Method, TestApp, eventually, url};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{THINGS, access, things};

const EXPORT: &str = "/api/records/things/export";

/// The records of an export, by line.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn an_export_has_what_a_list_would_show() {
    let (_app, callers) = access::world().await;
    for (name, caller) in &callers {
        for query in [vec![], vec![("filter", "amount > 3")], vec![("fields", "title,state")], vec![("sort", "-amount,title")]] {
            let mut asked = vec![("limit", "1000"), ("sort", "id")];
            asked.retain(|(name, _)| !query.iter().any(|(given, _)| given == name));
            let listed = caller.query(THINGS, &[asked, query.clone()].concat()).await;
            let exported = caller.query(EXPORT, &query).await;
            if listed.status == 200 {
                assert_eq!(lines(&exported.expect(200).text), listed.list(), "{name} {query:?}");
            } else {
                let (listed, exported) = (listed.any_problem(), exported.any_problem());
                assert_eq!(
                    (exported.answer.status, exported.code(), &exported.errors),
                    (listed.answer.status, listed.code(), &listed.errors)
                );
            }
        }
    }
}

#[tokio::test]
async fn csv_has_names_and_a_cell_for_each() {
    let (_app, admin) = things().await;
    admin.create("things", json!({"title": "plain", "price": "4.50", "active": false, "secret": "hush"})).await;
    admin
        .create(
            "things",
            json!({"title": "=1+1", "amount": null, "origin": "a, \"b\"\r\nc", "tags": ["x", "y"], "data": {"n": 1}, "code": ""}),
        )
        .await;
    let answer = admin.query(EXPORT, &[("format", "csv"), ("fields", "title,code,amount,price,active,tags,data,origin")]).await.expect(200);
    assert!(answer.expect_header("content-type").starts_with("text/csv"), "{answer}");
    assert_eq!(answer.expect_header("content-disposition"), "attachment; filename=\"things.csv\"");
    let rows: Vec<&str> = answer.text.split_inclusive("\r\n").collect();
    assert_eq!(rows[0], "id,title,code,amount,price,active,tags,data,origin\r\n");
    // After the ids, which nobody knows beforehand.
    assert_eq!(&rows[1][26..], ",plain,,1,4.50,false,,,\r\n");
    assert_eq!(&rows[2..].concat()[26..], ",=1+1,\"\",,,,\"[\"\"x\"\",\"\"y\"\"]\",\"{\"\"n\"\":1}\",\"a, \"\"b\"\"\r\nc\"\r\n");
    let all = admin.query(EXPORT, &[("format", "csv")]).await.expect(200).text;
    assert!(!all.contains("secret") && !all.contains("hush"), "{all}");
}

#[tokio::test]
async fn an_empty_collection_is_an_empty_file() {
    let (_app, admin) = things().await;
    assert_eq!(admin.get(EXPORT).await.expect(200).text, "");
    let csv = admin.query(EXPORT, &[("format", "csv"), ("fields", "title")]).await.expect(200);
    assert_eq!(csv.text, "id,title\r\n");
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused_before_it_begins() {
    let (app, admin) = things().await;
    let ann = app.user("ann").await;
    app.anonymous().get(EXPORT).await.problem(401, "auth.required");
    ann.get(EXPORT).await.problem(403, "policy.denied");
    ann.get("/api/records/things/export?format=nope").await.problem(403, "policy.denied");
    admin.get("/api/records/nope/export").await.problem(404, "collection.not_found");
    admin.get("/api/records/things/export?format=xml").await.problem(400, "query.invalid").errors(&["/format query.value"]);
    admin.get("/api/records/things/export?limit=5").await.problem(400, "query.invalid").errors(&["/limit query.unknown"]);
    admin.get("/api/records/things/export?sort=nope&fields=nope").await.problem(400, "query.invalid").at("/sort").at("/fields");
    admin.query(EXPORT, &[("filter", "secret == 'x'")]).await.problem(400, "query.invalid").at("/filter");
    admin.post(EXPORT, json!({})).await.problem(405, "route.method_not_allowed");
    let head = admin.request(Method::HEAD, EXPORT).send().await.expect(200);
    assert_eq!((head.text.as_str(), head.expect_header("content-type")), ("", "application/x-ndjson"));
}

/// Records of 20 KB, enough to fill every buffer between server and client several times.
async fn large(admin: &Client, count: usize) {
    admin.collection("large", json!([{"name": "number", "type": "integer"}, {"name": "text", "type": "text"}])).await;
    let text = "x".repeat(20_000);
    let file: String = (0..count).map(|number| format!("{}\n", json!({"number": number, "text": text}))).collect();
    let import = url("/api/records/large/import", &[]);
    admin.request(Method::POST, &import).body("application/x-ndjson", file).send().await.expect(200);
}

/// A client that sends its request and reads nothing yet.
async fn connect(app: &TestApp, client: &Client) -> TcpStream {
    let address = app.address().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let token = client.token();
    let head = format!("GET /api/records/large/export HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("the request is sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("an answer begins");
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

#[tokio::test]
async fn pages_follow_each_other_while_others_write() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    large(&admin, 1_200).await;
    let writing = join_all((0..50).map(|number| admin.create("large", json!({"number": 10_000 + number}))));
    let (exported, _) = tokio::join!(admin.get("/api/records/large/export?fields=number"), writing);
    let mut numbers: Vec<i64> = lines(&exported.expect(200).text).iter().filter_map(|record| record["number"].as_i64()).collect();
    // Oldest first; those that are written meanwhile may be there.
    numbers.retain(|number| *number < 10_000);
    assert_eq!(numbers, (0..1_200).collect::<Vec<_>>());
}

#[tokio::test]
async fn whoever_hangs_up_is_not_read_for_any_more() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    large(&admin, 1_000).await;
    // As many as may run at once, none of which reads.
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(connect(&app, &admin).await);
    }
    let refused = admin.get("/api/records/large/export").await.problem(429, "export.busy");
    assert!(refused.answer.header("retry-after").is_some(), "{}", refused.answer);
    drop(held);
    eventually("there is room again", async || (admin.get("/api/records/large/export?fields=number").await.status == 200).then_some(()))
        .await;
}

#[tokio::test]
async fn half_an_export_does_not_end_as_a_whole_one() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    large(&admin, 1_000).await;
    let ann = app.user("ann").await;
    let policy = admin.allow("role:authenticated", "large", "read", "true").await;
    // One that reads on gets everything, and the end of it.
    let mut whole = Vec::new();
    connect(&app, &ann).await.read_to_end(&mut whole).await.expect("the end");
    assert!(whole.ends_with(b"0\r\n\r\n") && whole.len() > 20_000_000, "{} bytes", whole.len());
    // One whose right ends while it waits does not.
    let mut waiting = connect(&app, &ann).await;
    admin.delete(&format!("/api/policies/{policy}")).await;
    let mut half = Vec::new();
    let _ = waiting.read_to_end(&mut half).await;
    assert!(!half.ends_with(b"0\r\n\r\n") && half.len() < whole.len(), "{} bytes", half.len());
    // Nor does one whose session ends.
    admin.allow("role:authenticated", "large", "read", "true").await;
    let mut waiting = connect(&app, &ann).await;
    ann.post("/api/auth/logout", json!({})).await.expect(204);
    let mut half = Vec::new();
    let _ = waiting.read_to_end(&mut half).await;
    assert!(!half.ends_with(b"0\r\n\r\n") && half.len() < whole.len(), "{} bytes", half.len());
}
