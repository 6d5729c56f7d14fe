//! What is asked and what must come of it: the words in which the catalogue is written.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

/// Everything that is stored, by what it is: see [`store::dump`].
pub(super) type Dump = BTreeMap<String, String>;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Without a token.
    Nobody,
    /// A user with few rights.
    Ann,
    Admin,
    /// With a token that nobody has signed.
    Liar,
}

/// A request. Names in braces (`{small}`) stand for what the set-up has made: see [`super::world::World`].
pub(super) struct Request {
    pub(super) who: Who,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Body,
}

pub(super) enum Body {
    Empty,
    /// Of a type; may have names in braces.
    Text(&'static str, String),
    /// Of a type, as it is.
    Bytes(&'static str, Vec<u8>),
}

/// What is sent.
pub(super) enum Ask {
    Request(Request),
    /// Bytes that are perhaps no request; may have names in braces.
    Raw(String),
}

impl Who {
    fn asks(self, method: Method, path: &str) -> Request {
        Request { who: self, method, path: path.to_owned(), headers: Vec::new(), body: Body::Empty }
    }

    pub(super) fn get(self, path: &str) -> Request {
        self.asks(Method::GET, path)
    }

    pub(super) fn post(self, path: &str) -> Request {
        self.asks(Method::POST, path)
    }

    pub(super) fn put(self, path: &str) -> Request {
        self.asks(Method::PUT, path)
    }

    pub(super) fn patch(self, path: &str) -> Request {
        self.asks(Method::PATCH, path)
    }

    pub(super) fn delete(self, path: &str) -> Request {
        self.asks(Method::DELETE, path)
    }
}

impl Request {
    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.text("application/json", &body.to_string())
    }

    pub(super) fn text(self, kind: &'static str, text: &str) -> Self {
        Self { body: Body::Text(kind, text.to_owned()), ..self }
    }

    pub(super) fn bytes(self, kind: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::Bytes(kind, bytes.into()), ..self }
    }
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
    /// Null when it is none.
    pub(super) json: Value,
}

/// What the contract says that a refusal leaves nevertheless: parts of the dump, by how their names begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaves {
    New(&'static str),
    Changed(&'static str),
    Gone(&'static str),
}

impl Leaves {
    fn allows(self, name: &str, before: &Dump, after: &Dump) -> bool {
        let (was, is) = (before.contains_key(name), after.contains_key(name));
        match self {
            Leaves::New(start) => name.starts_with(start) && !was && is,
            Leaves::Changed(start) => name.starts_with(start) && was && is,
            Leaves::Gone(start) => name.starts_with(start) && was && !is,
        }
    }
}

/// A line of the catalogue: a request that must be refused, and how.
pub(super) struct Refusal {
    name: &'static str,
    pub(super) ask: Ask,
    status: u16,
    pub(super) code: &'static str,
    leaves: &'static [Leaves],
}

/// A request that must be refused with this status and code.
pub(super) fn refusal(name: &'static str, request: Request, status: u16, code: &'static str) -> Refusal {
    Refusal { name, ask: Ask::Request(request), status, code, leaves: &[] }
}

/// The same of bytes.
pub(super) fn raw(name: &'static str, bytes: &str, status: u16, code: &'static str) -> Refusal {
    Refusal { name, ask: Ask::Raw(bytes.to_owned()), status, code, leaves: &[] }
}

impl Refusal {
    /// With what it leaves. The line above says why.
    pub(super) fn leaves(self, leaves: &'static [Leaves]) -> Self {
        Self { leaves, ..self }
    }

    /// What is wrong with the answer, and with what is stored after it.
    pub(super) fn faults(&self, answer: &Answer, before: &Dump, after: &Dump) -> Vec<String> {
        let mut faults = Vec::new();
        let code = answer.json["code"].as_str().unwrap_or_default();
        if (answer.status, code) != (self.status, self.code) {
            faults.push(format!("{}: expected {} `{}`, got {} {}", self.name, self.status, self.code, answer.status, answer.text));
        }
        let changed = changed(before, after);
        for name in &changed {
            if !self.leaves.iter().any(|leaves| leaves.allows(name, before, after)) {
                let (was, is) = (before.get(*name), after.get(*name));
                faults.push(format!("{}: `{name}` has changed\n  from {was:?}\n  to   {is:?}", self.name));
            }
        }
        for leaves in self.leaves {
            if !changed.iter().any(|name| leaves.allows(name, before, after)) {
                faults.push(format!("{}: nothing is {leaves:?}, the catalogue need not allow that", self.name));
            }
        }
        faults
    }
}

/// The names of the parts that differ.
pub(super) fn changed<'a>(before: &'a Dump, after: &'a Dump) -> Vec<&'a str> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let other = after.iter().filter(|(name, text)| before.get(*name) != Some(*text)).map(|(name, _)| name);
    gone.chain(other).map(String::as_str).collect()
}
