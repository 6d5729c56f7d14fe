//! Answers in gzip: when, and how entity tags and caches get along with it; compressed requests are refused.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tests::{Method, PASSWORD, Raw, RawAnswer, TestApp, request};

use super::{NOTES, notes, texts, with};

const GZIP: (&str, &str) = ("Accept-Encoding", "gzip, deflate");

async fn raw(app: &TestApp) -> Raw {
    Raw::open(app).await
}

/// What an answer in gzip says.
fn unpacked(answer: &RawAnswer) -> Value {
    assert_eq!(answer.header("content-encoding"), "gzip", "{answer:?}");
    assert!(answer.header("vary").to_lowercase().contains("accept-encoding"), "{answer:?}");
    let mut text = String::new();
    GzDecoder::new(&answer.body[..]).read_to_string(&mut text).expect("gzip");
    serde_json::from_str(&text).expect("JSON")
}

fn is_plain(answer: &RawAnswer) {
    assert_eq!(answer.header("content-encoding"), "", "{answer:?}");
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_accept_it() {
    let app = with(&[]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    for number in 0..500 {
        admin.create("notes", json!({"text": format!("a text that comes again and again, {number}"), "number": number})).await;
    }
    let mut raw = raw(&app).await;
    for limit in [30, 500] {
        let path = format!("{NOTES}?sort=number&limit={limit}");
        let plain = raw.ask("GET", &path, &[]).await;
        is_plain(&plain);
        assert!(plain.header("vary").contains("Accept-Encoding"), "a cache must keep them apart: {plain:?}");
        let packed = raw.ask("GET", &path, &[GZIP]).await;
        assert_eq!(unpacked(&packed), plain.json());
        assert!(packed.body.len() * 3 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
        for refusing in ["identity", "br", "gzip;q=0", "*;q=0"] {
            is_plain(&raw.ask("GET", &path, &[("Accept-Encoding", refusing)]).await);
        }
    }
    let head = admin.request(Method::HEAD, NOTES).header("accept-encoding", "gzip").send().await.expect(200);
    assert_eq!(head.header("content-encoding"), None);
}

#[tokio::test]
async fn short_answers_and_those_with_tokens_are_not() {
    let app = with(&[]).await;
    let mut raw = raw(&app).await;
    is_plain(&raw.ask("GET", "/api/version", &[GZIP]).await);
    is_plain(&raw.ask("GET", "/docs/favicon-32x32.png", &[GZIP]).await);
    let admin = app.admin().await;
    // Long enough to be worth it.
    admin.patch("/api/collections/users", json!({"fields": [{"name": "about", "type": "text"}]})).await.expect(200);
    let account = json!({"email": "ann@test.example", "password": PASSWORD, "about": "long ".repeat(1_000)});
    admin.create("users", account).await;
    let body = json!({"identity": "ann@test.example", "password": PASSWORD}).to_string();
    let length = body.len().to_string();
    let headers = [GZIP, ("Content-Type", "application/json"), ("Content-Length", &length)];
    raw.send(request("POST", "/api/auth/login", &headers, &body)).await.expect("sent");
    let login = raw.answer().await;
    is_plain(&login);
    let token = format!("Bearer {}", login.json()["access_token"].as_str().expect("a token"));
    is_plain(&raw.ask("GET", "/api/auth/me", &[GZIP, ("Authorization", &token)]).await);
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let app = with(&[("COMPRESSION", "false")]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    admin.create("notes", json!({"text": "long ".repeat(1_000)})).await;
    is_plain(&raw(&app).await.ask("GET", NOTES, &[GZIP]).await);
}

#[tokio::test]
async fn the_tags_of_both_forms_differ_and_each_is_good_for_a_write() {
    let app = with(&[]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    let note = admin.create("notes", json!({"text": "long ".repeat(1_000), "number": 1})).await;
    let path = format!("{NOTES}/{}", note["id"].as_str().expect("an id"));
    let mut raw = raw(&app).await;
    let plain = raw.ask("GET", &path, &[]).await;
    let packed = raw.ask("GET", &path, &[GZIP]).await;
    assert_eq!(unpacked(&packed), plain.json());
    let (plain, packed) = (plain.header("etag").to_owned(), packed.header("etag").to_owned());
    assert_eq!(packed, plain.replacen("\"", "\u{1}", 1).replace('"', "-gzip\"").replace('\u{1}', "\""));

    let same = raw.ask("GET", &path, &[GZIP, ("If-None-Match", &packed)]).await;
    assert_eq!((same.status, same.header("etag"), same.body.len()), (304, &packed as &str, 0), "{same:?}");
    let same = raw.ask("GET", &path, &[("If-None-Match", &plain)]).await;
    assert_eq!((same.status, same.header("etag")), (304, &plain as &str), "{same:?}");

    let write = |tag: &str, number: u32| {
        let change = admin.request(Method::PATCH, &path).header("if-match", tag).header("accept-encoding", "gzip");
        change.json(&json!({"number": number})).send()
    };
    let next = write(&packed, 2).await.expect(200).expect_header("etag").to_owned();
    assert!(next.ends_with("-gzip\"") && next != packed, "{next}");
    write(&packed, 3).await.problem(412, "record.version_mismatch");
    write(&plain, 3).await.problem(412, "record.version_mismatch");
    write(&format!("\"nope\", {next}"), 3).await.expect(200);
    assert_eq!(admin.get(&path).await.json(200)["number"], 3);
}

#[tokio::test]
async fn the_document_and_the_explorer_too() {
    let app = with(&[]).await;
    let mut raw = raw(&app).await;
    let plain = raw.ask("GET", "/openapi.json", &[]).await;
    let packed = raw.ask("GET", "/openapi.json", &[GZIP]).await;
    assert_eq!(unpacked(&packed), plain.json());
    assert_ne!(packed.header("etag"), plain.header("etag"));
    for answer in [&plain, &packed] {
        let headers = [GZIP, ("If-None-Match", answer.header("etag"))];
        assert_eq!(raw.ask("GET", "/openapi.json", &headers).await.status, 304);
    }
    let script = raw.ask("GET", "/docs/swagger-ui-bundle.js", &[GZIP]).await;
    assert_eq!(script.header("content-encoding"), "gzip");
    let mut text = String::new();
    GzDecoder::new(&script.body[..]).read_to_string(&mut text).expect("gzip");
    assert_eq!(text.as_bytes(), raw.ask("GET", "/docs/swagger-ui-bundle.js", &[]).await.body);
}

#[tokio::test]
async fn a_compressed_body_is_refused_before_it_is_unpacked() {
    let app = with(&[]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    let bomb = {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(br#"{"text":""#).and_then(|()| encoder.write_all(&vec![b'a'; 64 << 20])).expect("packed");
        encoder.finish().expect("packed")
    };
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"] {
        let request = admin.request(Method::POST, NOTES).header("content-encoding", coding).body("application/json", bomb.clone());
        let refused = request.send().await.problem(415, "body.unsupported_encoding");
        assert_eq!(refused.answer.expect_header("accept-encoding"), "identity");
    }
    let plain = admin.request(Method::POST, NOTES).header("content-encoding", "identity").json(&json!({"text": "plain"}));
    plain.send().await.expect(201);
    assert_eq!(texts(&admin).await, ["plain"]);
}

#[tokio::test]
async fn a_body_that_is_packed_for_the_transfer_is_refused_too() {
    let app = with(&[]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    let json = ("Content-Type", "application/json");
    let coded = |coding: &'static str| ("Transfer-Encoding", coding);
    let body = "c\r\n{\"text\":\"a\"}\r\n0\r\n\r\n";
    for headers in [vec![json, coded("gzip, chunked")], vec![json, coded("gzip"), coded("chunked")], vec![json, coded("x,Chunked")]] {
        let mut raw = raw(&app).await;
        raw.send(request("POST", NOTES, &headers, body)).await.expect("sent");
        raw.answer().await.problem(415, "body.unsupported_encoding");
    }
    let mut raw = raw(&app).await;
    raw.send(request("POST", NOTES, &[json, coded("Chunked")], body)).await.expect("sent");
    assert_eq!(raw.answer().await.status, 201);
    assert_eq!(texts(&admin).await, ["a"]);
}
