//! Answers that no endpoint should give.

use ironrule_rules::prelude::*;
use ironrule_rules::{Outcome, prelude};
use serde_json::{Value, json};

/// None for what is no matter of endpoints.
pub fn answer(behaviour: &str, request: &Request) -> Option<Answer> {
    let details = |response: Value| Ok(Outcome::with_details(json!({ "response": response })));
    let header = |name: &str, value: &str| prelude::respond(Response::json(200, json!({})).header(name, value));
    Some(match behaviour {
        "echo" => respond(Response::json(200, json!({ "headers": request.headers, "query": request.query, "text": request.text }))),
        "no-json" => Ok(Outcome::raw(None, "no JSON".into())),
        "no-object" => details(json!("a text")),
        "details-no-object" => Ok(Outcome::with_details(json!([]))),
        "status-zero" => details(json!({ "status": 0 })),
        "status-continue" => details(json!({ "status": 100 })),
        "status-error" => details(json!({ "status": 500 })),
        "status-many" => details(json!({ "status": 70_000 })),
        "status-text" => details(json!({ "status": "200" })),
        "both" => details(json!({ "status": 200, "body": {}, "text": "x" })),
        "unknown-member" => details(json!({ "status": 200, "file": "/etc/passwd" })),
        "header-lines" => header("x-note", "a\r\nset-cookie: admin=1"),
        "header-name" => header("x note:", "a"),
        "header-cookie" => header("set-cookie", "session=stolen"),
        "header-length" => header("content-length", "1"),
        "header-encoding" => header("transfer-encoding", "chunked"),
        "header-many" => details(
            json!({ "status": 200, "headers": (0..5_000).map(|n| (format!("x-{n}"), json!("x"))).collect::<serde_json::Map<_, _>>() }),
        ),
        "header-number" => details(json!({ "status": 200, "headers": { "x-note": 1 } })),
        "html" => respond(Response::text(200, "<script>alert(1)</script>").header("content-type", "text/html")),
        "patch" => prelude::patch(json!({ "a": 1 })),
        "big" => respond(Response::text(200, "x".repeat(200_000))),
        "giant" => respond(Response::text(200, "x".repeat(600_000))),
        "gigantic" => respond(Response::text(200, "x".repeat(3_000_000))),
        "deep" => {
            Ok(Outcome::raw(None, format!("{{\"response\":{{\"status\":200,\"body\":{}{}}}}}", "[".repeat(50_000), "]".repeat(50_000))))
        }
        _ => return None,
    })
}
