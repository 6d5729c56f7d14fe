//! HEAD over HTTP/2: an answer ends with its head, whatever it is. In HTTP/1 hyper sees to that.

use serde_json::json;
use tests::{Method, Raw};

use super::{
    NOTES,
    drain::{HTTP_2, stopping},
    notes, with,
};

const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A request without a body, with the names of the static table of HPACK: :method, :scheme http, :path, :authority.
fn asking(stream: u8, method: &str, path: &str) -> Vec<u8> {
    let literal = |name: u8, value: &str| {
        let mut literal = vec![name, u8::try_from(value.len()).expect("a short text")];
        literal.extend(value.as_bytes());
        literal
    };
    let block = [literal(2, method), vec![0x86], literal(4, path), literal(1, "x")].concat();
    let length = u8::try_from(block.len()).expect("a short head");
    [vec![0, 0, length, HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, stream], block].concat()
}

/// The frames in what came: type, flags, stream.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u8)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, _, _, _, stream, rest @ ..] = bytes {
        frames.push((*kind, *flags, *stream));
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    frames
}

#[tokio::test]
async fn the_answer_to_head_has_no_body() {
    let app = with(&[]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    admin.create("notes", json!({"text": "long ".repeat(1_000)})).await;
    let whole = admin.get(NOTES).await.expect(200);
    let head = admin.request(Method::HEAD, NOTES).send().await.expect(200);
    assert_eq!(head.expect_header("content-length"), whole.text.len().to_string());

    let mut raw = Raw::open(&app).await;
    raw.send(HTTP_2).await.expect("a beginning");
    // Found, made for the caller, refused by policies, not there.
    let paths = ["/livez", "/openapi.json", "/api/version", NOTES, "/api/records/users", "/api/policies", "/api/nope"];
    let asked: Vec<(u8, &str)> = (0..).map(|number: u8| 2 * number + 1).zip(paths).collect();
    for (stream, path) in &asked {
        raw.send(asking(*stream, "HEAD", path)).await.expect("a request");
    }
    raw.send(asking(101, "GET", "/livez")).await.expect("a request");
    raw.until(r#"{"status":"ok"}"#).await;
    // What has begun is finished first.
    let stopping = stopping(app);
    let frames = frames(&raw.closed().await);
    for (stream, path) in asked {
        let answer: Vec<(u8, u8)> =
            frames.iter().filter(|(_, _, of)| *of == stream).map(|(kind, flags, _)| (*kind, flags & END_STREAM)).collect();
        assert_eq!(answer, [(HEADERS, END_STREAM)], "{path}: {frames:?}");
    }
    assert!(stopping.join().expect("the server stops").0.success());
}
