//! A server that is asked to stop: it finishes what it has begun, says that this was the last answer, and does not wait for ever.

use tests::{Raw, TestApp, request};

use super::{NOTES, notes, with};

/// The preface, settings, and the acknowledgement of the server's.
pub(super) const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";

/// GET /livez with the static table of HPACK: :method GET, :scheme http, :path, :authority.
const LIVEZ: &[u8] = b"\0\0\x0d\x01\x05\0\0\0\x01\x82\x86\x04\x06/livez\x41\x01x";

const GOAWAY: u8 = 7;

/// Stops the server beside what goes on.
pub(super) fn stopping(mut app: TestApp) -> std::thread::JoinHandle<(std::process::ExitStatus, String)> {
    std::thread::spawn(move || {
        let status = app.stop();
        (status, app.output())
    })
}

/// The types of the frames in what came.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [a, b, c, kind, rest @ ..] = bytes {
        types.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(5 + length..).unwrap_or_default();
    }
    types
}

#[tokio::test]
async fn what_has_begun_is_finished_and_said_to_be_the_last() {
    let app = with(&[]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    let body = r#"{"text": "the last"}"#;
    let headers = [("Content-Type", "application/json"), ("Content-Length", &body.len().to_string() as &str), ("Expect", "100-continue")];
    let mut busy = Raw::open(&app).await;
    busy.send(request("POST", NOTES, &headers, "")).await.expect("a head");
    // The endpoint reads the body: the request is under way.
    busy.until("100 Continue").await;
    let mut idle = Raw::open(&app).await;
    assert_eq!(idle.ask("GET", "/livez", &[]).await.status, 200);
    let host = app.host().to_owned();
    let stopping = stopping(app);
    assert_eq!(idle.closed().await, b"", "an idle connection ends at once");
    busy.send(body).await.expect("the body");
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (201, "close"), "{answer:?}");
    assert_eq!(busy.closed().await, b"");
    let (status, output) = stopping.join().expect("the server stops");
    assert!(status.success(), "{output}");
    assert!(!output.contains("did not finish in time"), "{output}");
    assert!(Raw::connect(&host).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn http_2_hears_goodbye() {
    let app = with(&[]).await;
    let mut raw = Raw::open(&app).await;
    raw.send([HTTP_2, LIVEZ].concat()).await.expect("a request");
    raw.until(r#"{"status":"ok"}"#).await;
    let stopping = stopping(app);
    let said = raw.closed().await;
    assert!(frames(&said).contains(&GOAWAY), "{:?}", frames(&said));
    assert!(stopping.join().expect("the server stops").0.success());
}

#[tokio::test]
async fn whoever_never_finishes_is_not_waited_for() {
    let app = with(&[("DRAIN_SECONDS", "1"), ("BODY_READ_SECONDS", "3600"), ("HEADER_READ_SECONDS", "3600")]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    let headers = [("Content-Type", "application/json"), ("Content-Length", "100"), ("Expect", "100-continue")];
    let mut half = Raw::open(&app).await;
    half.send(request("POST", NOTES, &headers, "")).await.expect("a head");
    half.until("100 Continue").await;
    let mut silent = Raw::open(&app).await;
    let stopping = stopping(app);
    silent.closed().await;
    half.closed().await;
    let (status, output) = stopping.join().expect("the server stops");
    assert!(status.success() && output.contains("did not finish in time"), "{output}");
}
