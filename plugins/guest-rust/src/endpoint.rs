//! A request to an endpoint of the plugin, and what the plugin answers.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Answer, Outcome, Rejection};

/// A request to an endpoint. Headers with credentials (`authorization`, `cookie`) are not among `headers`: the server has
/// checked them, and `Context::caller` says who asks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path behind the plugin's name: `/pay/7`.
    pub path: String,
    /// What stands in the place of the path's variables: `7` for the `{id}` of `/pay/{id}`.
    pub params: BTreeMap<String, String>,
    /// What follows the question mark.
    pub query: BTreeMap<String, String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body if it is JSON, null otherwise.
    pub body: Value,
    /// The body as it was sent, byte for byte: what a signature is made over.
    pub text: String,
}

impl Request {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The value of a variable of the path; empty if the path has none of that name.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// The body as a `T`.
    ///
    /// # Errors
    /// A rejection (422) that says what does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        T::deserialize(&self.body).map_err(|cause| Rejection::invalid().message(cause.to_string()))
    }
}

/// What an endpoint answers. Without one, `accept()` is an empty 204.
#[derive(Debug, Serialize)]
#[must_use]
pub struct Response {
    status: u16,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Response {
    /// An answer without a body; the status is one of 200 to 499.
    pub fn status(status: u16) -> Self {
        Self { status, headers: BTreeMap::new(), body: None, text: None }
    }

    /// An answer of JSON.
    pub fn json(status: u16, body: impl Into<Value>) -> Self {
        Self { body: Some(body.into()), ..Self::status(status) }
    }

    /// An answer of plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::status(status) }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }
}

/// Answers a request. What the rule wrote is committed, whatever the status: an `Err` is what rolls back.
pub fn respond(response: Response) -> Answer {
    Ok(Outcome::with_details(serde_json::json!({ "response": response })))
}
