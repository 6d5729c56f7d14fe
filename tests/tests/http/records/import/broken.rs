//! Imports that break off: what was committed stays, and the same file goes on behind it.

use serde_json::{Value, json};
use tests::{Client, Database, Method, Options, TestApp, eventually, url};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{ID, NDJSON, import, import_into, things};
use crate::rules::{process, resident_bytes};

const ROWS: usize = 50_000;

async fn count(admin: &Client) -> usize {
    let counted = admin.get("/api/records/rows?limit=1&count=exact").await;
    counted.expect_header("x-total-count").parse().expect("a number")
}

fn file() -> String {
    (0..ROWS).map(|number| format!("{}\n", json!({"number": number, "text": format!("row {number}")}))).collect()
}

#[tokio::test]
async fn no_row_is_lost_or_taken_twice_whenever_the_server_dies() {
    // What is written is not the question here, and twice as many decisions take twice as long.
    let environment = vec![("IRONRULE_POLICY_MODE".to_owned(), "plan".to_owned())];
    let mut app = TestApp::start_with(Options { database: Database::Disk, environment, ..Options::default() }).await;
    let mut admin = app.admin().await;
    let fields = json!([{"name": "number", "type": "integer", "unique": true}, {"name": "text", "type": "text"}]);
    admin.collection("rows", fields).await;
    let (file, path) = (file(), url("/api/records/rows/import", &[("import", ID)]));
    let mut before = 0;
    for kill in 1..=3 {
        let sent = tokio::spawn(admin.request(Method::POST, &path).body(NDJSON, file.clone()).try_send());
        let wanted = before + ROWS / 10;
        let progress = async || {
            let import = admin.get(&format!("/api/imports/{ID}")).await;
            import.json["created"].as_u64().filter(|created| *created as usize >= wanted)
        };
        eventually("a tenth is written", progress).await;
        app.kill9();
        assert!(sent.await.expect("it ends").is_err(), "kill {kill}: the file was taken before");
        app.restart().await;
        admin = app.admin().await;
        let import = admin.get(&format!("/api/imports/{ID}")).await.json(200);
        assert_eq!(import["state"], "interrupted", "{import}");
        // What is written and what is noted are one.
        before = count(&admin).await;
        assert_eq!(import["created"], before, "kill {kill}");
    }
    let idle = resident_bytes(process(&app));
    let done = admin.request(Method::POST, &path).body(NDJSON, file).send().await.json(200);
    assert_eq!((&done["state"], &done["created"], &done["failed"]), (&json!("done"), &json!(ROWS), &json!(0)), "{done}");
    assert_eq!(count(&admin).await, ROWS);
    let exported = admin.get("/api/records/rows/export?sort=number&fields=number").await.expect(200).text;
    let numbers: Vec<Value> = super::lines(&exported).into_iter().map(|record| record["number"].clone()).collect();
    assert_eq!(numbers, (0..ROWS).map(|number| json!(number)).collect::<Vec<_>>());
    let grown = resident_bytes(process(&app)).saturating_sub(idle);
    // The database has its buffers; neither the file nor its records are kept.
    assert!(grown < 400 << 20, "{grown} bytes more");
}

/// Sends the beginning of a body that announces more.
async fn begin(app: &TestApp, admin: &Client, query: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.address().trim_start_matches("http://")).await.expect("a connection");
    let head = format!(
        "POST /api/records/things/import?{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: {NDJSON}\r\ntransfer-encoding: chunked\r\n\r\n",
        admin.token()
    );
    stream.write_all(format!("{head}{:x}\r\n{body}\r\n", body.len()).as_bytes()).await.expect("it is sent");
    stream
}

async fn reach(admin: &Client, state: &str, created: u64) -> Value {
    let there = async || {
        let import = admin.get(&format!("/api/imports/{ID}")).await;
        Some(import.json).filter(|import| import["state"] == state && import["created"] == created)
    };
    eventually(&format!("the import is {state} with {created}"), there).await
}

#[tokio::test]
async fn a_client_that_hangs_up_can_come_back() {
    let (app, admin) = things().await;
    let rows: Vec<String> = (0..10).map(|number| format!("{}\n", json!({"title": format!("t{number}")}))).collect();
    let query = format!("import={ID}");
    // The rows that are there do not wait for those that are not.
    let stream = begin(&app, &admin, &query, &format!("{}{{\"title\":", rows[..4].concat())).await;
    reach(&admin, "running", 4).await;
    drop(stream);
    let broken = reach(&admin, "interrupted", 4).await;
    assert_eq!(broken["reason"], "body.malformed", "{broken}");
    // Whoever comes back while the old connection still stands takes the import over.
    let mut old = begin(&app, &admin, &query, &rows[..6].concat()).await;
    reach(&admin, "running", 6).await;
    let done = import(&admin, &[("import", ID)], NDJSON, rows.concat()).await.json(200);
    assert_eq!((&done["state"], &done["created"]), (&json!("done"), &json!(10)), "{done}");
    let more = format!("{:x}\r\n{}\r\n0\r\n\r\n", rows[6].len(), rows[6]);
    old.write_all(more.as_bytes()).await.expect("it is sent");
    let mut answer = vec![0; 4096];
    let read = old.read(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("import.taken_over"), "{answer}");
    assert_eq!(super::titles(&admin).await, (0..10).map(|number| format!("t{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_row_must_arrive_in_time() {
    let (app, admin) = things().await;
    let mut stream = begin(&app, &admin, &format!("import={ID}"), "{\"title\":\"first\"}\n{\"title\":").await;
    reach(&admin, "running", 1).await;
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body.timeout"), "{answer}");
    reach(&admin, "interrupted", 1).await;
}

#[tokio::test]
async fn only_so_many_run_at_once() {
    let (app, admin) = things().await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(begin(&app, &admin, "", "{\"title\":\"first\"}\n").await);
    }
    eventually("four are running", async || (super::titles(&admin).await.len() == 4).then_some(())).await;
    let refused = import(&admin, &[], NDJSON, "{\"title\":\"fifth\"}\n").await.problem(429, "import.busy");
    assert!(refused.answer.header("retry-after").is_some(), "{}", refused.answer);
    drop(held);
    eventually("there is room again", async || {
        let answer = import(&admin, &[], NDJSON, "{\"title\":\"fifth\"}\n").await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn rows_and_files_have_limits() {
    let environment =
        vec![("IRONRULE_BODY_MAX_BYTES".to_owned(), "2000".to_owned()), ("IRONRULE_IMPORT_MAX_BYTES".to_owned(), "50000".to_owned())];
    let app = TestApp::start_with(Options { environment, ..Options::default() }).await;
    let admin = app.admin().await;
    admin.collection("rows", json!([{"name": "text", "type": "text"}])).await;
    let row = |length: usize| format!("{}\n", json!({"text": "x".repeat(length)}));
    let file = [row(10), row(3_000), row(10)].concat();
    let problem = import_into(&admin, "rows", &[("on_error", "skip")], NDJSON, file).await.problem(413, "row.too_large");
    problem.errors(&["/2 row.too_large"]);
    let open = format!("text\n\"first\"\n\"{}", "x".repeat(3_000));
    import_into(&admin, "rows", &[], super::CSV, open).await.problem(413, "row.too_large");
    import_into(&admin, "rows", &[], NDJSON, row(1_000).repeat(60)).await.problem(413, "body.too_large");
    // What was taken before the end stays.
    assert!(count(&admin).await >= 2);
}
