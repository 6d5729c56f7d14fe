//! What happens outside of the database after the commit: webhooks, e-mails, and jobs of the plugin itself. An effect is stored
//! in the rule's transaction and carried out at least once, with retries; if the write is refused, nothing leaves the server.
//!
//! ```ignore
//! effects::webhook("https://hooks.example.com/orders").body(json!({ "order": id })).key(id).enqueue()?;
//! ```

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Failure;
use crate::bindings::ironrule::rules::effects as host;
use crate::records::text;

/// A request to a host that the plugin was granted, `POST` unless told. Webhooks are signed with the plugin's own secret.
pub fn webhook(url: impl Into<String>) -> Effect<Webhook> {
    Effect::new(Webhook { url: url.into(), method: None, headers: Map::new(), body: Value::Null })
}

/// A message to one or several addresses.
pub fn email<A: Into<String>>(to: impl IntoIterator<Item = A>, subject: impl Into<String>, text: impl Into<String>) -> Effect<Email> {
    let to = to.into_iter().map(Into::into).collect();
    Effect::new(Email { to, subject: subject.into(), text: text.into(), html: None, reply_to: None })
}

/// A later run of an after-commit rule of this plugin, which finds `data` in `Event::payload`.
pub fn job(rule: impl Into<String>, data: impl Into<Value>) -> Effect<Job> {
    Effect::new(Job { rule: rule.into(), data: data.into() })
}

/// An effect that does nothing before `enqueue`.
#[must_use = "an effect happens only after `enqueue`"]
pub struct Effect<Payload> {
    payload: Payload,
    options: Options,
}

/// See [`webhook`].
#[derive(Serialize)]
pub struct Webhook {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    headers: Map<String, Value>,
    body: Value,
}

/// See [`email`].
#[derive(Serialize)]
pub struct Email {
    to: Vec<String>,
    subject: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
}

/// See [`job`].
#[derive(Serialize)]
pub struct Job {
    rule: String,
    data: Value,
}

/// What an effect can be.
pub trait Kind: Serialize {
    /// Its name in the contract.
    const NAME: &'static str;
}

impl Kind for Webhook {
    const NAME: &'static str = "webhook";
}

impl Kind for Email {
    const NAME: &'static str = "email";
}

impl Kind for Job {
    const NAME: &'static str = "job";
}

#[derive(Default, Serialize)]
struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
}

impl<Payload: Kind> Effect<Payload> {
    fn new(payload: Payload) -> Self {
        Self { payload, options: Options::default() }
    }

    /// Effects of one key are delivered one after another, in the order in which they were committed.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.options.key = Some(key.into());
        self
    }

    /// Not before so many milliseconds after the commit.
    pub fn delay_ms(mut self, delay_ms: u64) -> Self {
        self.options.delay_ms = Some(delay_ms);
        self
    }

    /// Gives up after so many attempts; the server's default unless told.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.options.max_attempts = Some(attempts);
        self
    }

    /// Stores the effect in the rule's transaction and answers the id of its delivery.
    ///
    /// # Errors
    /// `not-allowed` without a grant, `invalid` if it cannot be delivered as it is, `limit` if there are too many.
    pub fn enqueue(self) -> Result<String, Failure> {
        host::enqueue(Payload::NAME, &text(&self.payload)?, &text(&self.options)?)
    }
}

impl Effect<Webhook> {
    /// Another method than `POST`.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.payload.method = Some(method.into());
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.payload.headers.insert(name.into(), Value::String(value.into()));
        self
    }

    /// What is sent, as JSON.
    pub fn body(mut self, body: impl Into<Value>) -> Self {
        self.payload.body = body.into();
        self
    }
}

impl Effect<Email> {
    /// The same message for programs that show HTML.
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.payload.html = Some(html.into());
        self
    }

    /// Where answers go.
    pub fn reply_to(mut self, address: impl Into<String>) -> Self {
        self.payload.reply_to = Some(address.into());
        self
    }
}
