//! What is refused for its form: bodies, queries, tokens, paths, methods, and what is no request at all.

use serde_json::{Value, json};

use super::ask::{
    Leaves, Refusal, Request,
    Who::{Admin, Liar, Nobody},
    raw, refusal,
};

pub(super) const THINGS: &str = "/api/records/things";
pub(super) const SMALL: &str = "/api/records/things/{small}";
pub(super) const LARGE: &str = "/api/records/things/{large}";

/// An id that nothing has.
pub(super) const NOTHING: &str = "01ARZ3NDEKTSV4RRFFQ69G5FZZ";

const JSON: &str = "application/json";

fn body(text: &str) -> Request {
    Admin.post(THINGS).text(JSON, text)
}

/// So many of the same, as a JSON list.
fn list(count: usize, one: &str) -> String {
    format!("[{}]", vec![one; count].join(","))
}

pub(super) fn of_bodies() -> Vec<Refusal> {
    let deep = format!("{{\"data\":{}1{}}}", "[".repeat(400_000), "]".repeat(400_000));
    let keys = format!("{{{}}}", (0..80_000).map(|key| format!("\"k{key}\":1")).collect::<Vec<_>>().join(","));
    let operations = format!("{{\"operations\":{}}}", list(1_001, r#"{"op":"create","collection":"things","record":{}}"#));
    let account = |number: usize| json!({"email": format!("user{number}@test.example"), "password": "a-long-test-password-7"});
    let accounts = Value::Array((0..101).map(account).collect());
    let large = format!("{{\"title\":\"{}\"}}", "a".repeat(1 << 20));
    let packed = Admin.post(THINGS).header("content-encoding", "gzip").bytes(JSON, [0x1f_u8, 0x8b, 8, 0]);
    vec![
        refusal("half an object", body("{"), 400, "body.malformed"),
        refusal("no UTF-8", Admin.post(THINGS).bytes(JSON, [0xff_u8, 0xfe]), 400, "body.malformed"),
        refusal("a key twice", body(r#"{"title":"one","title":"two"}"#), 400, "body.malformed"),
        refusal("lists in lists, without end", body(&deep), 400, "body.malformed"),
        refusal("no object", body("null"), 400, "body.shape"),
        refusal("no record in the array", body("[]"), 400, "body.shape"),
        refusal("a record in the array that is no object", body(r#"[{"title":"one"},7]"#), 400, "body.shape"),
        refusal("80,000 keys", body(&keys), 400, "body.too_many_keys"),
        refusal("1,001 records", body(&list(1_001, "{}")), 400, "body.too_many_records"),
        refusal("1,001 operations", Admin.post("/api/batch").text(JSON, &operations), 400, "body.too_many_operations"),
        refusal("101 passwords", Admin.post("/api/records/users").json(&accounts), 400, "body.too_many_passwords"),
        refusal("more than a mebibyte", body(&large), 413, "body.too_large"),
        refusal("a text that claims nothing", Admin.post(THINGS).text("text/plain", "{}"), 415, "body.unsupported_type"),
        refusal("a body that is packed", packed, 415, "body.unsupported_encoding"),
    ]
}

pub(super) fn of_queries() -> Vec<Refusal> {
    let fine = || json!({"title": "fine"});
    let long = format!("{THINGS}?max=1&filter={}", "a".repeat(40_000));
    vec![
        refusal("an unknown parameter", Admin.post(&format!("{THINGS}?nope=1")).json(&fine()), 400, "query.invalid"),
        refusal("an upsert by what is not unique", Admin.post(&format!("{THINGS}?upsert=amount")).json(&fine()), 400, "query.invalid"),
        refusal("a bulk write that does not say how many", Admin.delete(&format!("{THINGS}?filter=true")), 400, "query.invalid"),
        refusal("a value that cannot be decoded", Admin.delete(&format!("{THINGS}?filter=%zz&max=9")), 400, "query.invalid"),
        refusal("a filter that cannot be read", Admin.delete(&format!("{THINGS}?filter=amount+%3D%3D&max=9")), 400, "query.invalid"),
        refusal("a filter of 40,000 letters", Admin.delete(&long), 414, "query.too_long"),
        refusal("an unknown path", Admin.post("/api/nope").json(&fine()), 404, "route.not_found"),
        refusal("a method that a path does not take", Admin.put(THINGS).json(&fine()), 405, "route.method_not_allowed"),
        refusal("the same of the management", Admin.put("/api/collections").json(&fine()), 405, "route.method_not_allowed"),
    ]
}

/// The first and the second of the same wrong password follow each other: the server of these lines takes one.
pub(super) fn of_callers() -> Vec<Refusal> {
    let login = || Nobody.post("/api/auth/login").json(&json!({"identity": "nobody@test.example", "password": "wrong-password-1"}));
    let refresh = |token: &str| Nobody.post("/api/auth/refresh").json(&json!({"refresh_token": token}));
    let account = json!({"email": "new@test.example", "password": "a-long-test-password-7"});
    let setup = json!({"code": "no such code", "email": "new@test.example", "password": "a-long-test-password-7"});
    vec![
        refusal("nobody writes", Nobody.post(THINGS).json(&json!({"title": "fine"})), 401, "auth.required"),
        refusal("nobody deletes", Nobody.delete(SMALL), 401, "auth.required"),
        refusal("a token that is none", Liar.post(THINGS).json(&json!({"title": "fine"})), 401, "auth.invalid_token"),
        refusal("a wrong password", login(), 401, "auth.invalid_credentials"),
        refusal("a wrong password, once more", login(), 429, "rate.limited"),
        refusal("a wrong code", Nobody.post("/api/setup").json(&setup), 401, "auth.invalid_credentials"),
        refusal("registering while that is closed", Nobody.post("/api/auth/register").json(&account), 401, "auth.required"),
        refusal("logging out without a session", Nobody.post("/api/auth/logout"), 401, "auth.required"),
        refusal("a refresh token that is none", refresh("nonsense"), 401, "auth.invalid_token"),
        // It was stolen, from its owner or by it: the session ends.
        refusal("a refresh token that was spent", refresh("{spent}"), 401, "auth.invalid_token").leaves(&[Leaves::Gone("_sessions:")]),
    ]
}

pub(super) fn of_heads() -> Vec<Refusal> {
    let post = |headers: &str| format!("POST {THINGS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {{admin_token}}\r\n{headers}\r\n\r\na");
    vec![
        raw("two lengths", &post("Content-Length: 1\r\nContent-Length: 2"), 400, "request.malformed"),
        raw("a body that is packed for the transfer", &post("Transfer-Encoding: gzip, chunked"), 415, "body.unsupported_encoding"),
        raw("no host", &format!("DELETE {SMALL} HTTP/1.1\r\nAuthorization: Bearer {{admin_token}}\r\n\r\n"), 400, "request.host"),
        raw("a long head", &post(&format!("X-Long: {}", "a".repeat(200_000))), 431, "request.head_too_large"),
    ]
}

/// What is waited for in vain. The server of these lines gives up early.
pub(super) fn that_take_time() -> Vec<Refusal> {
    let head = format!("POST {THINGS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {{admin_token}}\r\nContent-Type: application/json\r\n");
    let half = format!("{head}Content-Length: 17\r\n\r\n{{\"title\":\"ha");
    let orders = |orders: Value| Admin.post("/api/records/orders").json(&orders);
    let endless = json!({"text": "loop", "page": "{page}", "gone": "{leaf}"});
    let later = Admin.post(THINGS).header("policy-min-epoch", "1000000").json(&json!({"title": "fine"}));
    vec![
        raw("half a body", &half, 408, "body.timeout"),
        refusal("a rule that wrote and never ends", orders(endless.clone()), 503, "request.timeout"),
        refusal("the same behind an order that is fine", orders(json!([{"text": "fine"}, endless])), 503, "request.timeout"),
        refusal("policies that nobody has made", later, 503, "policy.epoch_not_reached"),
    ]
}
