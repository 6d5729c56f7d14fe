//! Bodies that are no draft: refused before anything is looked up.

use serde_json::{Value, json};
use tests::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{THINGS, path, things};

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    let (_app, admin) = things().await;
    let deep = format!(r#"{{"title":"deep","data":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let cases: [&[u8]; 11] = [
        b"",
        b"{",
        b"nope",
        br#"{"title":"two"}{"title":"bodies"}"#,
        br#"{"title":"a","title":"b"}"#,
        br#"{"title":"inner","data":{"n":1,"n":2}}"#,
        br#"{"title":"number","ratio":1e999}"#,
        br#"{"title":"comma",}"#,
        b"{\"title\":\"\xff\xfe\"}",
        br#"{"title":"\ud800"}"#,
        deep.as_bytes(),
    ];
    for body in cases {
        admin.request(Method::POST, THINGS).body("application/json", body.to_vec()).send().await.problem(400, "body.malformed");
    }
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_not_an_object_has_the_wrong_shape() {
    let (_app, admin) = things().await;
    let record = admin.create("things", json!({"title": "stays"})).await;
    for body in [json!([]), json!("text"), json!(7), json!(null), json!(true)] {
        admin.post(THINGS, body).await.problem(400, "body.shape");
    }
    // Only a creation takes several records.
    for body in [json!([]), json!([{"title": "in a list"}]), json!("text"), json!(7), json!(null), json!(true)] {
        admin.patch(&path(&record), body.clone()).await.problem(400, "body.shape");
        admin.put(&path(&record), body).await.problem(400, "body.shape");
    }
    assert_eq!(admin.get(THINGS).await.list(), [record]);
}

#[tokio::test]
async fn a_body_has_at_most_a_thousand_keys() {
    let (_app, admin) = things().await;
    let many: Value = (0..1_001).map(|number| (format!("f{number}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    admin.post(THINGS, many.clone()).await.problem(400, "body.too_many_keys");
    let batch = json!({"operations": [{"op": "create", "collection": "things", "record": many}]});
    admin.post("/api/batch", batch).await.problem(400, "body.too_many_keys");
}

#[tokio::test]
async fn a_body_has_so_many_lists_objects_and_keys_in_all() {
    let (_app, admin) = things().await;
    let post = async |item: &str, count: usize| {
        let body = format!(r#"{{"title":"bomb","data":{{"n":1,"list":[{}]}}}}"#, vec![item; count].join(","));
        admin.request(Method::POST, THINGS).body("application/json", body).send().await
    };
    for item in ["[]", "{}", "[7]"] {
        post(item, 70_000).await.problem(400, "body.malformed");
    }
    let object = format!("{{{}}}", (0..1_000).map(|key| format!("\"k{key}\":1")).collect::<Vec<_>>().join(","));
    post(&object, 70).await.problem(400, "body.too_many_keys");
    assert_eq!(admin.get(THINGS).await.list(), Vec::<Value>::new());
    // A line of as many points as somebody draws.
    post("[12.5,41.9]", 50_000).await.expect(201);
}

#[tokio::test]
async fn a_body_has_at_most_a_mebibyte() {
    let (_app, admin) = things().await;
    let large = json!({"title": "x".repeat(1 << 20)}).to_string();
    admin.request(Method::POST, THINGS).body("application/json", large).send().await.problem(413, "body.too_large");
    let small = json!({"title": "small", "origin": "x".repeat(90_000)});
    admin.post(THINGS, small).await.expect(201);
}

#[tokio::test]
async fn a_body_without_a_length_is_limited_too() {
    let (app, admin) = things().await;
    let host = app.address().trim_start_matches("http://");
    let token = admin.token();
    let head = format!("POST {THINGS} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n");
    let body = format!(r#"{{"title":"{}"}}"#, "x".repeat(1 << 20));
    let chunked = format!("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let mut stream = tokio::net::TcpStream::connect(host).await.expect("a connection");
    stream.write_all(format!("{head}{chunked}").as_bytes()).await.expect("the body is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body.too_large"), "{answer}");
}

#[tokio::test]
async fn other_types_than_json_are_refused() {
    let (_app, admin) = things().await;
    let body = json!({"title": "typed"}).to_string();
    for kind in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"] {
        let request = admin.request(Method::POST, THINGS).body(kind, body.clone());
        request.send().await.problem(415, "body.unsupported_type");
    }
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        admin.request(Method::POST, THINGS).body(kind, body.clone()).send().await.expect(201);
    }
    let record = admin.create("things", json!({"title": "patched"})).await;
    let patch = admin.request(Method::PATCH, &path(&record)).body("application/merge-patch+json", r#"{"amount":2}"#);
    assert_eq!(patch.send().await.json(200)["amount"], 2);
}
