//! The operations of the document, and requests that are made of them and then spoiled a little, or a lot.

use serde_json::Value;
use tests::Method;

use super::values::{Values, hostile, resolved, text};
use crate::agreement::random::Random;

/// A request, ready to be sent.
#[derive(Debug)]
pub struct Asked {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// Its type and the body.
    pub body: Option<(String, Vec<u8>)>,
}

/// Everything that the document offers.
pub struct Operations {
    document: Value,
    all: Vec<Operation>,
}

struct Operation {
    method: String,
    path: String,
    /// Name, where, schema.
    parameters: Vec<(String, String, Value)>,
    /// The schema of a JSON body, or another type of body.
    body: Option<Result<Value, String>>,
    /// How often it is chosen: what takes the application away is rare, or nothing is left to ask.
    weight: usize,
}

const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

/// Paths that no document has.
const STRANGE: [&str; 14] = [
    "/",
    "//",
    "/api",
    "/api//records",
    "/api/records/%00",
    "/api/records/%ff%fe",
    "/api/records/users/",
    "/api/records/../collections",
    "/api/records/products/%2e%2e",
    "/api/ext/nobody/x",
    "/docs/../livez",
    "/%",
    "/api/records/a%2Fb/c",
    "/api/records/products;a=b",
];

impl Operations {
    pub fn of(document: &Value) -> Self {
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten().filter(|(method, _)| METHODS.contains(&method.as_str())) {
                all.push(Operation::of(path, method, item, operation, document));
            }
        }
        assert!(all.len() > 30, "the document has {} operations", all.len());
        Self { document: document.clone(), all }
    }

    /// A request at random.
    pub fn request(&self, random: &mut Random, values: &Values) -> Asked {
        let operation = self.pick(random);
        let spoiled = random.percent(50);
        let mut method = operation.method.to_uppercase();
        let mut path = operation.path(random, values, spoiled);
        if spoiled && random.percent(8) {
            method = random.pick(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"]).to_owned();
        }
        if spoiled && random.percent(6) {
            path = (*random.pick(&STRANGE)).to_owned();
        }
        let query = operation.query(&self.document, random, values, spoiled);
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        let body = operation.body(&self.document, random, values, spoiled);
        let headers = headers(random, spoiled);
        Asked { method: method.parse().unwrap_or(Method::GET), target, headers, body }
    }

    fn pick(&self, random: &mut Random) -> &Operation {
        let total: usize = self.all.iter().map(|operation| operation.weight).sum();
        let mut left = random.below(total);
        for operation in &self.all {
            match left.checked_sub(operation.weight) {
                Some(rest) => left = rest,
                None => return operation,
            }
        }
        &self.all[0]
    }
}

impl Operation {
    fn of(path: &str, method: &str, item: &Value, operation: &Value, document: &Value) -> Self {
        let listed = [&item["parameters"], &operation["parameters"]].into_iter().filter_map(Value::as_array).flatten();
        let parameter = |parameter: &Value| {
            let parameter = resolved(parameter, document);
            let text = |name: &str| parameter[name].as_str().unwrap_or_default().to_owned();
            (text("name"), text("in"), parameter["schema"].clone())
        };
        let body = operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
        let body = body.map(|(kind, body)| if kind.contains("json") { Ok(body["schema"].clone()) } else { Err(kind.clone()) });
        let records = path.starts_with("/api/records/");
        let weight = match method {
            // Nobody would be left to ask.
            _ if path == "/api/auth/logout" => 0,
            "delete" | "put" | "patch" if path.starts_with("/api/records/users") => 1,
            "delete" if !records => 1,
            // What is hashed takes its time.
            "post" if path.starts_with("/api/auth/") || path == "/api/records/users" => 1,
            _ if path.starts_with("/api/roles") || path.starts_with("/api/policies") || path == "/api/collections/{name}" => 3,
            _ if records => 8,
            _ => 4,
        };
        Self { method: method.to_owned(), path: path.to_owned(), parameters: listed.map(parameter).collect(), body, weight }
    }

    fn path(&self, random: &mut Random, values: &Values, spoiled: bool) -> String {
        let segment = |segment: &str, random: &mut Random| {
            if !segment.starts_with('{') {
                return segment.to_owned();
            }
            let value = if spoiled && random.percent(30) { text(random) } else { values.known(random) };
            // An empty segment is another path.
            encoded(if value.is_empty() { "x" } else { &value })
        };
        self.path.split('/').map(|part| segment(part, random)).collect::<Vec<_>>().join("/")
    }

    fn query(&self, document: &Value, random: &mut Random, values: &Values, spoiled: bool) -> String {
        let mut pairs = Vec::new();
        for (name, _, schema) in self.parameters.iter().filter(|(_, place, _)| place == "query") {
            if !random.percent(if spoiled { 30 } else { 15 }) {
                continue;
            }
            let value = if spoiled && random.percent(60) { hostile(random) } else { values.of(schema, document, random, 0) };
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // Nobody waits for news here.
            let value = if name == "wait" { "0".to_owned() } else { value };
            pairs.push(format!("{}={}", encoded(name), encoded(&value)));
            if spoiled && random.percent(5) {
                pairs.push(pairs[pairs.len() - 1].clone());
            }
        }
        if spoiled && random.percent(5) {
            pairs.push(format!("{}={}", encoded(&text(random)), encoded(&text(random))));
        }
        if spoiled && random.percent(3) {
            pairs.push((*random.pick(&["%", "%zz", "&&", "=", "a", "filter", "%ff=%ff", "limit=1&limit=2"])).to_owned());
        }
        pairs.join("&")
    }

    fn body(&self, document: &Value, random: &mut Random, values: &Values, spoiled: bool) -> Option<(String, Vec<u8>)> {
        let Some(body) = &self.body else {
            return (spoiled && random.percent(10)).then(|| ("application/json".to_owned(), hostile(random).to_string().into_bytes()));
        };
        let Ok(schema) = body else {
            let kind = body.as_ref().err().cloned().unwrap_or_default();
            return Some((kind, text(random).into_bytes()));
        };
        let mut value = values.of(schema, document, random, 0);
        if spoiled {
            for _ in 0..=random.below(2) {
                spoil(&mut value, random);
            }
        }
        let mut bytes = value.to_string().into_bytes();
        if spoiled && random.percent(6) {
            let at = random.below(bytes.len().max(1));
            match random.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, random.below(256) as u8),
                2 => bytes.extend_from_within(..),
                _ => bytes = vec![b'['; random.below(3_000)],
            }
        }
        let kind = if spoiled && random.percent(4) {
            random.pick(&["text/plain", "application/xml", "", "application/JSON; charset=latin1"])
        } else {
            "application/json"
        };
        Some((kind.to_owned(), bytes))
    }
}

/// Breaks one thing in a value.
fn spoil(value: &mut Value, random: &mut Random) {
    match value {
        Value::Object(object) if !object.is_empty() && random.percent(85) => {
            let names: Vec<String> = object.keys().cloned().collect();
            let name = random.one(&names).clone();
            match random.below(5) {
                0 => drop(object.remove(&name)),
                1 => drop(object.insert(text(random), hostile(random))),
                2 => drop(object.insert(name, hostile(random))),
                _ => object.get_mut(&name).into_iter().for_each(|member| spoil(member, random)),
            }
        }
        Value::Array(items) if !items.is_empty() && random.percent(85) => {
            let at = random.below(items.len());
            spoil(&mut items[at], random);
        }
        other => *other = hostile(random),
    }
}

fn headers(random: &mut Random, spoiled: bool) -> Vec<(String, String)> {
    const NAMES: [&str; 8] =
        ["if-match", "if-none-match", "idempotency-key", "range", "origin", "access-control-request-method", "prefer", "x-forwarded-for"];
    const VALUES: [&str; 12] =
        ["*", "\"1\"", "W/\"1\"", "\"", "gzip", "bytes=0-1", "https://evil.example", "PUT", "a,b,,c", "", "\t", "key-1"];
    let mut headers = Vec::new();
    while spoiled && random.percent(20) {
        headers.push(((*random.pick(&NAMES)).to_owned(), (*random.pick(&VALUES)).to_owned()));
    }
    if spoiled && random.percent(2) {
        headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
    }
    headers
}

/// Percent-encoded, so that any text can be part of an address.
fn encoded(text: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(byte);
    text.bytes().map(|byte| if keep(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
