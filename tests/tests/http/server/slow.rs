//! Clients that send nothing, or a byte now and then: each is closed when its time is over.

use std::time::Duration;

use serde_json::json;
use tests::{Raw, request};

use super::{NOTES, notes, texts, with};

const DRIP: Duration = Duration::from_millis(50);

/// The beginning of every connection of HTTP/2: the preface and empty settings.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn whoever_says_nothing_is_closed() {
    let app = with(&[("HEADER_READ_SECONDS", "1")]).await;
    let mut silent = Raw::open(&app).await;
    assert_eq!(silent.closed().await, b"");
}

#[tokio::test]
async fn half_a_head_and_a_dripping_one_are_closed() {
    let app = with(&[("HEADER_READ_SECONDS", "1")]).await;
    for half in ["GET", "GET /livez HTTP/1.1\r\n", "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ", "PRI * HT"] {
        let mut raw = Raw::open(&app).await;
        raw.send(half).await.expect("a beginning");
        assert_eq!(raw.closed().await, b"", "{half}");
    }
    let mut raw = Raw::open(&app).await;
    raw.send("GET /livez HTTP/1.1\r\n").await.expect("a beginning");
    raw.drip(b"X-A: b\r\n", DRIP).await;
}

#[tokio::test]
async fn a_second_head_that_drips_is_closed_too() {
    let app = with(&[("HEADER_READ_SECONDS", "1"), ("KEEP_ALIVE_SECONDS", "3600")]).await;
    let mut raw = Raw::open(&app).await;
    assert_eq!(raw.ask("GET", "/livez", &[]).await.status, 200);
    raw.drip(b"G", DRIP).await;
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_its_time_and_closed_after_it() {
    let app = with(&[("KEEP_ALIVE_SECONDS", "2"), ("HEADER_READ_SECONDS", "1")]).await;
    let mut raw = Raw::open(&app).await;
    for _ in 0..3 {
        assert_eq!(raw.ask("GET", "/livez", &[]).await.status, 200);
    }
    assert_eq!(raw.closed().await, b"");
}

#[tokio::test]
async fn http_2_without_a_request_is_closed() {
    let app = with(&[("HEADER_READ_SECONDS", "1")]).await;
    let mut raw = Raw::open(&app).await;
    raw.send(HTTP_2).await.expect("a beginning");
    let said = raw.closed().await;
    // SETTINGS, with the most streams at once (3) that it takes: 200.
    assert!(said.len() > 9 && said[3] == 4, "{said:?}");
    assert!(said.windows(6).any(|window| window == [0, 3, 0, 0, 0, 200]), "{said:?}");
}

#[tokio::test]
async fn a_body_that_drips_is_answered_and_nothing_is_written() {
    let app = with(&[("BODY_READ_SECONDS", "1"), ("REQUEST_SECONDS", "60")]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    let mut half = Raw::open(&app).await;
    let headers = [("Content-Type", "application/json"), ("Content-Length", "16")];
    half.send(request("POST", NOTES, &headers, r#"{"text":"ha"#)).await.expect("half a body");
    let mut chunked = Raw::open(&app).await;
    let headers = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")];
    chunked.send(request("POST", NOTES, &headers, "1\r\n{\r\n")).await.expect("half a body");
    for raw in [&mut half, &mut chunked] {
        raw.answer().await.problem(408, "body.timeout");
        // The rest of the body cannot be told from the next request.
        assert_eq!(raw.closed().await, b"");
    }
    admin.post(NOTES, json!({"text": "whole"})).await.expect(201);
    assert_eq!(texts(&admin).await, ["whole"]);
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_hold_the_answer_up() {
    let app = with(&[("HEADER_READ_SECONDS", "1")]).await;
    let mut raw = Raw::open(&app).await;
    let headers = [("Content-Type", "application/json"), ("Content-Length", "100000")];
    raw.send(request("POST", "/livez", &headers, "{")).await.expect("a beginning");
    raw.answer().await.problem(405, "route.method_not_allowed");
    raw.closed().await;
}
