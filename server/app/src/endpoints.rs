//! The stories of custom endpoints: finding the rule of a plugin that answers a request, running it with what was sent in a transaction of its
//! own, under the caller's principal, and reading its answer. A request that only reads (GET and HEAD) writes nothing: a rule that tries is
//! undone.

pub(crate) mod answer;

pub(crate) mod template;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{Pointer, Principal, Value, Violation, Violations, value::Object};
use plugins::{Access, Hook, Outcome, RuleDeclaration};
use serde::Serialize;
use serde_json::value::RawValue;
use store::Transaction;

use crate::{
    Error,
    call::Call,
    plugins::{Bound, Installed, Rulebook},
    records::rules::{Detached, in_own_transaction},
};
use answer::Answer;
use template::Template;

/// Headers that rules do not see: what is in them has been checked, and is nobody else's business.
const HIDDEN_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// The rule that answers a request.
pub(crate) struct Endpoint {
    installed: Arc<Installed>,
    rule: Arc<str>,
    /// As it is declared: `GET` for HEAD too.
    method: &'static str,
    parameters: BTreeMap<String, String>,
}

/// A request as it came, free of HTTP.
pub(crate) struct Request {
    /// Behind the name of the plugin, beginning with `/`; not decoded.
    pub(crate) path: String,
    /// Decoded.
    pub(crate) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: bytes::Bytes,
    /// True if the type of the body is JSON.
    pub(crate) is_json: bool,
}

/// The request as the rule sees it.
#[derive(Serialize)]
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    params: &'a BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    /// Digit for digit as it was sent; null unless it is JSON.
    body: Option<&'a RawValue>,
    text: &'a str,
}

/// An endpoint for the document.
pub(crate) struct Described<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) version: &'a str,
    pub(crate) rule: &'a RuleDeclaration,
    pub(crate) template: Template<'a>,
}

/// Finds the rule of a plugin that answers a request. Its body need not have been read.
///
/// # Errors
/// [`Error::NoRoute`] and [`Error::MethodNotAllowed`]; [`Error::Unauthenticated`] when only users may call it and nobody is logged in.
pub(crate) fn find(call: &Call, plugin: &str, method: &str, path: &str) -> Result<Endpoint, Error> {
    let path = template::segments(path).ok_or(Error::NoRoute)?;
    // Whoever asks for the head gets that of the answer to GET.
    let wanted = if method == "HEAD" { "GET" } else { method };
    let of_plugin = call.world.plugins.endpoints().iter().filter(|bound| bound.installed.name() == plugin);
    let fits = |bound| {
        let (rule, method, template) = declared(bound)?;
        Some((template.rank(), method, bound, rule, template.parameters(&path)?))
    };
    let fitting: Vec<_> = of_plugin.filter_map(fits).collect();
    let allowed = fitting.iter().map(|(_, method, ..)| *method).collect();
    let best = fitting.into_iter().filter(|(_, method, ..)| *method == wanted).min_by(|(one, ..), (other, ..)| one.cmp(other));
    let Some((_, method, bound, rule, parameters)) = best else { return Err(missing(allowed)) };
    if rule.access == Access::Users && call.caller.principal == Principal::Anonymous {
        return Err(Error::Unauthenticated);
    }
    let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Endpoint { installed: Arc::clone(&bound.installed), rule: Arc::clone(&bound.rule), method, parameters })
}

/// Runs the rule and reads its answer.
///
/// # Errors
/// What is wrong with the request, what the rule refuses, how it fails, too many conflicts. Nothing is written then.
pub(crate) async fn answer(call: &Call, endpoint: Endpoint, request: &Request) -> Result<Answer, Error> {
    let Endpoint { installed, rule, method, parameters } = endpoint;
    let detached = Detached {
        installed,
        rule,
        hook: Hook::Endpoint,
        operation: method.to_lowercase(),
        collection: String::new(),
        id: String::new(),
        before: None,
        after: Some(asked(method, &parameters, request)?),
        context: Object::new(),
    };
    // An answer that cannot be sent, and a request that reads and has written, are not committed.
    let read = if method == "GET" { read_without_writes } else { read };
    in_own_transaction(call, detached, read, |_| async { Ok(()) }).await
}

fn read_without_writes(transaction: &Transaction, outcome: &Outcome) -> Result<Answer, String> {
    match transaction.writes() {
        0 => read(transaction, outcome),
        _ => Err("an endpoint with the method GET wrote something".to_owned()),
    }
}

fn read(_: &Transaction, outcome: &Outcome) -> Result<Answer, String> {
    Answer::read(&outcome.details)
}

/// The endpoints of a picture of the world, for its document.
pub(crate) fn described(rulebook: &Rulebook) -> Vec<Described<'_>> {
    let described = |bound| {
        let (rule, _, template) = declared(bound)?;
        let manifest = bound.installed.manifest();
        Some(Described { plugin: &manifest.name, version: &manifest.version, rule, template })
    };
    rulebook.endpoints().iter().filter_map(described).collect()
}

fn declared(bound: &Bound) -> Option<(&RuleDeclaration, &'static str, Template<'_>)> {
    let rule = bound.declaration()?;
    Some((rule, rule.method?.as_str(), Template::parse(rule.path.as_deref()?)))
}

fn missing(mut allowed: BTreeSet<&str>) -> Error {
    if allowed.is_empty() {
        return Error::NoRoute;
    }
    if allowed.contains("GET") {
        allowed.insert("HEAD");
    }
    Error::MethodNotAllowed { allow: allowed.into_iter().collect::<Vec<_>>().join(", ") }
}

fn asked(method: &str, params: &BTreeMap<String, String>, request: &Request) -> Result<String, Error> {
    let malformed = |message: String| Error::Body(Violation::new(Pointer::root(), "body.malformed", message));
    let text = std::str::from_utf8(&request.body).map_err(|error| malformed(format!("the body is not UTF-8: {error}")))?;
    // Clients name a type for bodies that they do not send.
    let absent = text.is_empty() && matches!(method, "GET" | "DELETE");
    let body: Option<&RawValue> = if request.is_json && !absent {
        // Serde's own reading would let duplicate keys and deep nesting pass.
        Value::from_body(text.as_bytes()).map_err(|error| malformed(error.to_string()))?;
        Some(serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?)
    } else {
        None
    };
    let asked = Asked { method, path: &request.path, params, query: query(request)?, headers: headers(request), body, text };
    serde_json::to_string(&asked).map_err(|error| Error::Internal(error.to_string()))
}

/// What stands twice could be read in two ways.
fn query(request: &Request) -> Result<BTreeMap<String, String>, Error> {
    let (mut query, mut violations) = (BTreeMap::new(), Violations::default());
    for (name, value) in &request.query {
        if query.insert(name.clone(), value.clone()).is_some() {
            violations.add(Pointer::field(name), "query.value", format!("`{name}` stands twice"));
        }
    }
    violations.or(query).map_err(Error::Query)
}

/// Several lines of one name as one (RFC 9110, section 5.3).
fn headers(request: &Request) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers.iter().filter(|(name, _)| !HIDDEN_HEADERS.contains(&name.as_str())) {
        match headers.get_mut(name) {
            Some(before) => *before = format!("{before}, {value}"),
            None => drop(headers.insert(name.clone(), value.clone())),
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &str, is_json: bool) -> Request {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![pair("x-a", "1"), pair("authorization", "Bearer t"), pair("x-a", "2"), pair("cookie", "c")];
        Request { path: "/pay/7".to_owned(), query: vec![pair("a", "b c")], headers, body: body.to_owned().into(), is_json }
    }

    fn check(method: &str, request: &Request, expected: Result<serde_json::Value, &str>) {
        let params = BTreeMap::from([("id".to_owned(), "7".to_owned())]);
        match (asked(method, &params, request), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), expected),
            (Err(error), Err(part)) => {
                let text = format!("{error:?}");
                assert!(text.contains(part), "{text} lacks {part}");
            }
            (asked, expected) => panic!("{asked:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_rule_sees_the_request_without_credentials() {
        let expected = |body: serde_json::Value, text: &str| {
            serde_json::json!({"method": "POST", "path": "/pay/7", "params": {"id": "7"}, "query": {"a": "b c"}, "headers": {"x-a": "1, 2"},
                "body": body, "text": text})
        };
        check("POST", &request(r#"{"a": [1]}"#, true), Ok(expected(serde_json::json!({"a": [1]}), r#"{"a": [1]}"#)));
        check("POST", &request(r#"{"a": [1]}"#, false), Ok(expected(serde_json::Value::Null, r#"{"a": [1]}"#)));
        check("POST", &request("", false), Ok(expected(serde_json::Value::Null, "")));
    }

    #[test]
    fn numbers_come_as_they_were_sent() {
        let text = asked("POST", &BTreeMap::new(), &request(r#"{"n":1.50,"big":123456789012345678901234567890}"#, true)).expect("JSON");
        assert!(text.contains(r#""body":{"n":1.50,"big":123456789012345678901234567890}"#), "{text}");
    }

    #[test]
    fn bodies_that_cannot_be_read_are_refused() {
        for body in ["", "{", "nope", r#"{"a":1,"a":2}"#, "{\"a\":\"\u{0}\"}", "{} {}", &"[".repeat(40)] {
            check("POST", &request(body, true), Err("body.malformed"));
        }
        for method in ["GET", "DELETE"] {
            assert!(asked(method, &BTreeMap::new(), &request("", true)).is_ok());
            check(method, &request("{", true), Err("body.malformed"));
        }
        let mut binary = request("", false);
        binary.body = vec![0xff].into();
        check("POST", &binary, Err("is not UTF-8"));
        let mut twice = request("", false);
        twice.query.push(("a".to_owned(), "d".to_owned()));
        check("POST", &twice, Err("`a` stands twice"));
    }

    #[test]
    fn a_method_that_is_not_taken_is_told_from_a_path_that_is_not_there() {
        assert!(matches!(missing(BTreeSet::new()), Error::NoRoute));
        let allow = |methods: &[&'static str]| match missing(methods.iter().copied().collect()) {
            Error::MethodNotAllowed { allow } => allow,
            other => panic!("{other:?}"),
        };
        assert_eq!(allow(&["POST", "GET"]), "GET, HEAD, POST");
        assert_eq!(allow(&["DELETE"]), "DELETE");
    }
}
