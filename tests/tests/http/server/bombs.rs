//! Small requests that ask for a lot of work: refused before it is done. What each takes is printed, and bounded generously.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Client, Method, Raw, TestApp, url};

use super::{NOTES, notes, texts, with};

/// What a refusal may take on a machine that is busy with other tests. Alone it takes a few milliseconds.
const GENEROUS: Duration = Duration::from_secs(5);

async fn server() -> (TestApp, Client) {
    let app = with(&[]).await;
    let admin = app.admin().await;
    let kinds = ["text", "integer", "number", "decimal", "json", "datetime"];
    let fields: Vec<_> = kinds.iter().map(|kind| json!({"name": format!("a_{kind}"), "type": kind})).collect();
    admin.collection("things", json!(fields)).await;
    notes(&admin).await;
    (app, admin)
}

/// Runs a request that must be refused with one of these statuses.
async fn refused(what: &str, statuses: &[u16], request: tests::Request) {
    let start = Instant::now();
    let answer = request.send().await;
    let elapsed = start.elapsed();
    println!("{what}: {} in {elapsed:?}", answer.status);
    assert!(statuses.contains(&answer.status), "{what}: {answer}");
    answer.any_problem();
    assert!(elapsed < GENEROUS, "{what} took {elapsed:?}");
}

#[tokio::test]
async fn bombs_in_a_body() {
    let (_app, admin) = server().await;
    let nest = |open: &str, close: &str, depth: usize| format!(r#"{{"a_json":{}1{}}}"#, open.repeat(depth), close.repeat(depth));
    let numbers = |digits: &str| ["a_integer", "a_number", "a_decimal", "a_json"].map(|field| format!(r#"{{"{field}":{digits}}}"#));
    let mut bodies = vec![
        ("deep lists", nest("[", "]", 400_000)),
        ("deep objects", nest(r#"{"a":"#, "}", 150_000)),
        ("deep and never closed", format!(r#"{{"a_json":{}"#, "[".repeat(900_000))),
        ("many keys", format!("{{{}}}", (0..80_000).map(|key| format!(r#""k{key}":1"#)).collect::<Vec<_>>().join(","))),
        (
            "many keys inside",
            format!(r#"{{"a_json":{{{}}}}}"#, (0..80_000).map(|key| format!(r#""k{key}":1"#)).collect::<Vec<_>>().join(",")),
        ),
        ("one key again and again", format!("{{{}}}", vec![r#""a_text":"""#; 90_000].join(","))),
        ("one key twice inside", r#"{"a_json":{"x":1,"x":2}}"#.to_owned()),
        ("a list of lists", format!("[{}]", vec!["[]"; 300_000].join(","))),
        ("a list of objects", format!("[{}]", vec!["{}"; 300_000].join(","))),
        ("a list of numbers", format!("[{}]", vec!["1"; 500_000].join(","))),
        ("lists inside", format!(r#"{{"a_json":[{}]}}"#, vec!["[]"; 300_000].join(","))),
        ("objects inside", format!(r#"{{"a_json":[{}]}}"#, vec![r#"{"a":1}"#; 120_000].join(","))),
        ("a long text", format!(r#"{{"a_text":"{}"}}"#, "a".repeat(1_000_000))),
        ("a long escaped text", format!(r#"{{"a_text":"{}"}}"#, r"\u0061".repeat(170_000))),
    ];
    bodies.extend(numbers("1e999999999").map(|body| ("a huge exponent", body)));
    bodies.extend(numbers(&"9".repeat(100_000)).map(|body| ("100,000 digits", body)));
    bodies.push(("a decimal of text", format!(r#"{{"a_decimal":"{}"}}"#, "9".repeat(100_000))));
    bodies.push(("a decimal with an exponent", r#"{"a_decimal":"1e999999999"}"#.to_owned()));
    for (what, body) in bodies {
        let request = admin.request(Method::POST, "/api/records/things").body("application/json", body);
        refused(what, &[400, 413, 422], request).await;
    }
    // Many digits behind the point are a number like any other.
    let fraction = format!(r#"{{"a_number":0.{}}}"#, "1".repeat(100_000));
    let request = admin.request(Method::POST, "/api/records/things").body("application/json", fraction);
    request.send().await.expect(201);
    assert_eq!(admin.get("/api/records/things").await.list().len(), 1);
}

#[tokio::test]
async fn bombs_in_a_query() {
    let (app, admin) = server().await;
    let chain = |operator: &str, count: usize| vec!["number == 1"; count].join(operator);
    let filters = [
        ("deep parentheses", format!("{}number == 1{}", "(".repeat(1_900), ")".repeat(1_900))),
        ("many not", format!("{}number == 1", "!".repeat(4_000))),
        ("a long filter", chain(" && ", 2_000)),
        ("a long text in a filter", format!("text == \"{}\"", "a".repeat(8_000))),
        ("a long number in a filter", format!("number == {}", "9".repeat(4_000))),
        ("a huge exponent in a filter", "number == 1e999999999".to_owned()),
        ("a long list in a filter", format!("number in [{}]", vec!["1"; 1_500].join(","))),
        ("a long path in a filter", format!("text.{} == 1", vec!["a"; 1_000].join("."))),
        ("brackets that are never closed", "[".repeat(4_000)),
        ("quotes that are never closed", "\"".repeat(4_001)),
    ];
    for (what, filter) in &filters {
        refused(what, &[400, 414], admin.request(Method::GET, &url(NOTES, &[("filter", filter)]))).await;
    }
    let long = format!("{NOTES}?filter={}", "a".repeat(40_000));
    refused("a query of 40 KB", &[414], admin.request(Method::GET, &long)).await;
    let many = format!("{NOTES}?{}", vec!["limit=1"; 2_000].join("&"));
    refused("2,000 parameters", &[400], admin.request(Method::GET, &many)).await;
    let unknown = format!("{NOTES}?{}", (0..90).map(|number| format!("p{number}=1")).collect::<Vec<_>>().join("&"));
    refused("90 unknown parameters", &[400], admin.request(Method::GET, &unknown)).await;
    for (what, name, value) in [
        ("a long sort", "sort", vec!["number"; 3_000].join(",")),
        ("many fields", "fields", vec!["number"; 3_000].join(",")),
        ("a long cursor", "cursor", "A".repeat(20_000)),
        ("a huge limit", "limit", "9".repeat(10_000)),
        ("a huge offset", "offset", "9".repeat(30)),
    ] {
        let request = admin.request(Method::GET, &url(NOTES, &[(name, &value)]));
        let answer = request.send().await;
        assert!([200, 400].contains(&answer.status), "{what}: {answer}");
    }
    app.anonymous().get(NOTES).await.expect(200);
}

#[tokio::test]
async fn bombs_in_a_head() {
    let (app, admin) = server().await;
    let many = (0..2_000).map(|number| format!("X-{number}: a\r\n")).collect::<String>();
    let long = format!("X-Long: {}\r\n", "a".repeat(200_000));
    let path = format!("/{}", "a".repeat(100_000));
    let post = |headers: &str| format!("POST /livez HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\na");
    let heads = [
        (431, "request.head_too_large", format!("GET /livez HTTP/1.1\r\nHost: x\r\n{many}\r\n")),
        (431, "request.head_too_large", format!("GET /livez HTTP/1.1\r\nHost: x\r\n{long}\r\n")),
        (431, "request.head_too_large", format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")),
        (400, "request.malformed", post("Content-Length: 1\r\nContent-Length: 2")),
        (400, "request.malformed", post("Content-Length: -1")),
        (400, "request.malformed", post("Transfer-Encoding: nonsense")),
        (400, "request.malformed", "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: \u{1}\r\n\r\n".to_owned()),
        (400, "request.malformed", "\u{16}\u{3}\u{1}nonsense\r\n\r\n".to_owned()),
    ];
    for (status, code, head) in heads {
        let mut raw = Raw::open(&app).await;
        let start = Instant::now();
        // The server may close before all of it is sent.
        let _ = raw.send(&head).await;
        let answer = raw.answer().await;
        println!("{:?}: {status} in {:?}", &head[..head.len().min(60)], start.elapsed());
        answer.problem(status, code);
        assert_eq!(answer.header("x-request-id"), answer.json()["request_id"]);
        drop(raw.closed().await);
    }
    // One that is understood comes first, and has its own answer.
    let mut raw = Raw::open(&app).await;
    raw.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n").await.expect("it is taken");
    assert_eq!(raw.answer().await.status, 200);
    raw.answer().await.problem(400, "request.malformed");
    assert_eq!(texts(&admin).await, Vec::<serde_json::Value>::new());
    app.anonymous().get("/readyz").await.expect(200);
}
