//! Clients that send nothing, or a byte now and then: each is closed when its time is over.

use std::time::{Duration, Instant};

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
async fn a_body_that_is_declared_too_large_is_answered_before_it_comes() {
    let app = with(&[]).await;
    notes(&app.admin().await).await;
    let declared = [("Content-Type", "application/json"), ("Content-Length", "100000000")];
    let asking = [declared[0], declared[1], ("Expect", "100-continue")];
    for headers in [&declared[..], &asking[..]] {
        let mut raw = Raw::open(&app).await;
        let start = Instant::now();
        raw.send(request("POST", NOTES, headers, "")).await.expect("a beginning");
        raw.until("\r\n\r\n").await;
        // Without `100 Continue`, and not after the five seconds for which the server would wait for something to throw away.
        assert!(raw.unread().starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(raw.unread()));
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        raw.answer().await.problem(413, "body.too_large");
    }
    // A body that is wanted is asked for.
    let mut raw = Raw::open(&app).await;
    let headers = [("Content-Type", "application/json"), ("Content-Length", "16"), ("Expect", "100-continue")];
    raw.send(request("POST", NOTES, &headers, "")).await.expect("a beginning");
    raw.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    raw.send(r#"{"text":"asked"}"#).await.expect("a body");
    assert_eq!(raw.answer().await.status, 201);
}

#[tokio::test]
async fn whoever_is_still_sending_what_is_too_large_hears_the_answer() {
    let app = with(&[]).await;
    notes(&app.admin().await).await;
    let body = "a".repeat(8 << 20);
    let length = body.len().to_string();
    for expect in [None, Some(("Expect", "100-continue"))] {
        let declared = [("Content-Type", "application/json"), ("Content-Length", length.as_str())];
        let headers: Vec<_> = declared.into_iter().chain(expect).collect();
        let mut raw = Raw::open(&app).await;
        raw.send(request("POST", NOTES, &headers, &body)).await.expect("all of it is taken");
        let answer = raw.answer().await;
        answer.problem(413, "body.too_large");
        if expect.is_none() {
            assert_eq!(raw.ask("GET", "/livez", &[]).await.status, 200);
        } else {
            // It could have kept its body to itself: then the next request would have been taken for that.
            assert_eq!(answer.header("connection"), "close");
            raw.closed().await;
        }
    }
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
