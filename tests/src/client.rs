//! One caller: somebody with a token, or nobody.

use reqwest::{Method, Url};
use serde_json::Value;

use crate::Answer;

/// What no answer may ever hold: how stored passwords begin.
const NEVER_SHOWN: [&str; 1] = ["$argon2"];

/// A path with its query, percent-encoded.
///
/// # Panics
/// When it cannot be part of a URL.
#[must_use]
pub fn url(path: &str, query: &[(&str, &str)]) -> String {
    let url = Url::parse_with_params(&format!("http://x{path}"), query).expect("a path");
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

/// Somebody who talks to the server. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    address: String,
    token: Option<String>,
    id: String,
}

impl Client {
    /// Nobody known.
    #[must_use]
    pub fn anonymous(http: reqwest::Client, address: &str) -> Self {
        Self { http, address: address.to_owned(), token: None, id: String::new() }
    }

    /// The same connection with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Whoever logged in here, given the answer to that.
    ///
    /// # Panics
    /// When the answer has not the form of a login.
    #[must_use]
    pub fn logged_in(&self, login: &Value) -> Self {
        let token = login["access_token"].as_str().unwrap_or_else(|| panic!("no access token: {login}"));
        let id = login["record"]["id"].as_str().unwrap_or_else(|| panic!("no record: {login}"));
        Self { id: id.to_owned(), ..self.with_token(token) }
    }

    /// The id of the caller's record in `users`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The access token.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// A request that is not yet sent. `path` begins with `/`.
    #[must_use]
    pub fn request(&self, method: Method, path: &str) -> Request {
        let described = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Request { described, request }
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// Reads with query parameters.
    pub async fn query(&self, path: &str, query: &[(&str, &str)]) -> Answer {
        self.get(&url(path, query)).await
    }

    /// Sends a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request(Method::POST, path).json(&body).send().await
    }

    /// Sends a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.request(Method::PATCH, path).json(&body).send().await
    }

    /// Sends a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.request(Method::PUT, path).json(&body).send().await
    }

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path).send().await
    }

    /// Creates a record that must be accepted.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn create(&self, collection: &str, record: Value) -> Value {
        self.post(&format!("/api/records/{collection}"), record).await.json(201)
    }

    /// Creates a collection that must be accepted.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn collection(&self, name: &str, fields: Value) -> Value {
        let definition = serde_json::json!({"name": name, "kind": "base", "fields": fields});
        self.post("/api/collections", definition).await.json(201)
    }

    /// Adds a policy that must be accepted, and returns its id.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn allow(&self, subject: &str, object: &str, action: &str, condition: &str) -> String {
        let policy = serde_json::json!({"subject": subject, "object": object, "action": action, "condition": condition});
        self.policy(policy).await
    }

    /// Adds a policy that must be accepted, and returns its id.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn policy(&self, policy: Value) -> String {
        let policy = self.post("/api/policies", policy).await.json(201);
        policy["id"].as_str().unwrap_or_else(|| panic!("a policy has an id: {policy}")).to_owned()
    }

    /// Uploads a component with `?grant=`.
    pub async fn upload(&self, component: Vec<u8>, grant: &str) -> Answer {
        let path = url("/api/plugins", &[("grant", grant)]);
        self.request(Method::POST, &path).body("application/wasm", component).send().await
    }
}

/// A request under construction.
pub struct Request {
    described: String,
    request: reqwest::RequestBuilder,
}

impl Request {
    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With any body.
    #[must_use]
    pub fn body(self, kind: &str, body: impl Into<reqwest::Body>) -> Self {
        let request = self.request.header("content-type", kind).body(body);
        Self { request, ..self }
    }

    /// Sends it.
    ///
    /// # Panics
    /// When no answer arrives.
    pub async fn send(self) -> Answer {
        let described = self.described.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{described} got no answer: {error:?}"))
    }

    /// Sends it to a server that may die meanwhile.
    ///
    /// # Errors
    /// When no whole answer arrives.
    ///
    /// # Panics
    /// When an answer shows what must never be shown.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
        let text = String::from_utf8_lossy(&response.bytes().await?).into_owned();
        let json = serde_json::from_str(&text).unwrap_or_default();
        let answer = Answer { request: self.described, status, headers, text, json };
        for secret in NEVER_SHOWN {
            assert!(!answer.text.contains(secret), "a secret is shown: {answer}");
        }
        Ok(answer)
    }
}
