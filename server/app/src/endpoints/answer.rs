//! What a rule answers to a request, checked: the member `response` of its details. A rule chooses the status, most headers and the body; how
//! the connection works and what browsers may do here stays with the server.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Headers that a rule may set, and their bytes altogether.
const HEADERS_MAX: usize = 32;
const HEADERS_MAX_BYTES: usize = 8 << 10;

/// Headers that are the server's: of the connection and of the encoding of the body, what browsers let a page of this server do, and what
/// tells requests apart.
const RESERVED: [&str; 27] = [
    "alt-svc",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "content-security-policy-report-only",
    "date",
    "host",
    "keep-alive",
    "permissions-policy",
    "policy-epoch",
    "referrer-policy",
    "refresh",
    "server",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-content-type-options",
    "x-frame-options",
    "x-request-id",
];

/// Families of such headers.
const RESERVED_PREFIXES: [&str; 4] = ["access-control-", "cross-origin-", "proxy-", "sec-"];

/// An answer that can be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, the type of the body among them.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// As rules write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    status: Option<u16>,
    #[serde(default)]
    headers: indexmap::IndexMap<String, String>,
    body: Option<Box<RawValue>>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Details {
    response: Option<Box<RawValue>>,
}

impl Answer {
    /// Reads the details of an outcome. Without a `response` the answer is an empty 204.
    ///
    /// # Errors
    /// What is wrong with it, in words for the author of the plugin.
    pub(crate) fn read(details: &str) -> Result<Self, String> {
        let details: Details = serde_json::from_str(details).map_err(|error| format!("the details are no object: {error}"))?;
        let Some(response) = details.response else { return Ok(Self { status: 204, ..Self::default() }) };
        // Serde would take a list for an object whose members are in its order.
        if !response.get().starts_with('{') {
            return Err("`response` is no object".to_owned());
        }
        let given: Given = serde_json::from_str(response.get()).map_err(|error| format!("`response` cannot be read: {error}"))?;
        let (body, kind) = match (given.body, given.text) {
            (Some(_), Some(_)) => return Err("`response` has both `body` and `text`".to_owned()),
            (Some(json), None) => {
                // Nested a thousand levels deep or with duplicate keys, it would be read differently by everybody, if at all.
                model::Value::from_json(json.get().as_bytes()).map_err(|error| format!("`body` cannot be sent: {error}"))?;
                (json.get().to_owned(), Some("application/json"))
            }
            (None, Some(text)) => (text, Some("text/plain; charset=utf-8")),
            (None, None) => (String::new(), None),
        };
        let status = given.status.unwrap_or(if kind.is_some() { 200 } else { 204 });
        if !(200..=499).contains(&status) {
            return Err(format!("{status} is no status for an answer: use 200 to 499"));
        }
        if [204, 205, 304].contains(&status) && kind.is_some() {
            return Err(format!("an answer with the status {status} has no body"));
        }
        let headers = headers(given.headers, kind)?;
        Ok(Self { status, headers, body })
    }
}

fn headers(given: indexmap::IndexMap<String, String>, kind: Option<&str>) -> Result<Vec<(String, String)>, String> {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > HEADERS_MAX || bytes > HEADERS_MAX_BYTES {
        return Err(format!("more than {HEADERS_MAX} headers, or more than {HEADERS_MAX_BYTES} bytes of them"));
    }
    let mut headers: Vec<(String, String)> = Vec::with_capacity(given.len() + 1);
    for (name, value) in given {
        let lower = name.to_ascii_lowercase();
        if !is_name(&lower) {
            return Err(format!("`{name}` is no name of a header"));
        }
        if RESERVED.contains(&lower.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
            return Err(format!("the header `{name}` is not for a rule to set"));
        }
        if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t') {
            return Err(format!("the value of the header `{name}` is not plain ASCII text"));
        }
        if headers.iter().any(|(other, _)| *other == lower) {
            return Err(format!("the header `{name}` stands twice"));
        }
        headers.push((lower, value.trim().to_owned()));
    }
    if let Some(kind) = kind.filter(|_| !headers.iter().any(|(name, _)| name == "content-type")) {
        headers.push(("content-type".to_owned(), kind.to_owned()));
    }
    Ok(headers)
}

/// RFC 9110, section 5.6.2.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Expected<'a> = Result<(u16, &'a [(&'a str, &'a str)], &'a str), &'a str>;

    fn check(details: &str, expected: Expected<'_>) {
        match (Answer::read(details), expected) {
            (Ok(answer), Ok((status, headers, body))) => {
                let found: Vec<(&str, &str)> = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                assert_eq!((answer.status, found.as_slice(), answer.body.as_str()), (status, headers, body), "{details}");
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{error} lacks {part}"),
            (read, _) => panic!("{details}: {read:?}, expected {expected:?}"),
        }
    }

    const JSON: (&str, &str) = ("content-type", "application/json");
    const TEXT: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

    #[test]
    fn answers_are_read() {
        check("{}", Ok((204, &[], "")));
        check(r#"{"response": null, "other": 1}"#, Ok((204, &[], "")));
        check(r#"{"response": {}}"#, Ok((204, &[], "")));
        check(r#"{"response": {"status": 401}}"#, Ok((401, &[], "")));
        check(
            r#"{"response": {"body": {"b": 1.50, "a": 12345678901234567890}}}"#,
            Ok((200, &[JSON], r#"{"b": 1.50, "a": 12345678901234567890}"#)),
        );
        check(r#"{"response": {"status": 201, "text": "hi"}}"#, Ok((201, &[TEXT], "hi")));
        check(r#"{"response": {"text": ""}}"#, Ok((200, &[TEXT], "")));
        let html = r#"{"response": {"text": "<p>", "headers": {"Content-Type": " text/html ", "X-Mine": "1"}}}"#;
        check(html, Ok((200, &[("content-type", "text/html"), ("x-mine", "1")], "<p>")));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let response = |text: &str| format!(r#"{{"response": {text}}}"#);
        check("[]", Err("the details are no object"));
        check("nope", Err("the details are no object"));
        check(&response("7"), Err("`response` is no object"));
        check(&response("[200, {}, null, \"x\"]"), Err("`response` is no object"));
        check(&response(r#"{"code": 200}"#), Err("unknown field `code`"));
        check(&response(r#"{"status": "200"}"#), Err("`response` cannot be read"));
        for status in [0, 99, 100, 101, 199, 500, 503, 999, 65_535] {
            check(&response(&format!(r#"{{"status": {status}}}"#)), Err("is no status for an answer"));
        }
        check(&response(r#"{"status": 65536}"#), Err("`response` cannot be read"));
        for status in [204, 205, 304] {
            check(&response(&format!(r#"{{"status": {status}, "text": "x"}}"#)), Err("has no body"));
        }
        check(&response(r#"{"body": 1, "text": "x"}"#), Err("both `body` and `text`"));
        check(&response(&format!(r#"{{"body": {}{}}}"#, "[".repeat(50_000), "]".repeat(50_000))), Err("`body` cannot be sent"));
        check(&response(r#"{"body": {"a": 1, "a": 2}}"#), Err("`body` cannot be sent"));
    }

    #[test]
    fn headers_that_are_the_servers_are_refused() {
        let with = |name: &str, value: &str| serde_json::json!({"response": {"headers": {name: value}}}).to_string();
        for name in RESERVED.iter().copied().chain(["Access-Control-Allow-Origin", "Cross-Origin-Opener-Policy", "Proxy-Status", "Sec-GPC"])
        {
            check(&with(name, "x"), Err("is not for a rule to set"));
            check(&with(&name.to_ascii_uppercase(), "x"), Err("is not for a rule to set"));
        }
        for name in ["", " ", "a b", "a:b", "a\r\nb", "ü", "a\0"] {
            check(&with(name, "x"), Err("is no name of a header"));
        }
        for value in ["a\r\nset-cookie: b=1", "a\nb", "\0", "ü", "\u{7f}"] {
            check(&with("x-mine", value), Err("is not plain ASCII text"));
        }
        check(r#"{"response": {"headers": {"X-Mine": "1", "x-mine": "2"}}}"#, Err("stands twice"));
        check(r#"{"response": {"headers": {"x-mine": 1}}}"#, Err("`response` cannot be read"));
        check(&with("x-mine", &"a".repeat(9 << 10)), Err("more than 32 headers"));
    }
}
