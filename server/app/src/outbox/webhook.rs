//! Webhooks: signed requests to hosts that the operator has granted (Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`,
//! `webhook-signature`). No redirects, no proxies of the environment, short of time and of patience for long answers.

use std::{
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
    time::Duration,
};

use base64::{DecodeError, Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use hmac::{Hmac, Mac};
use plugins::Webhook;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use store::outbox::Delivery;
use url::Url;

use super::{
    App, Failed, RETRY_MAX,
    guard::{Guard, PublicOnly, Reach},
    row,
    worker::Done,
};
use crate::plugins::{Installed, Secrets};

const CONNECTING_WITHIN: Duration = Duration::from_secs(5);
const WITHIN: Duration = Duration::from_secs(15);

/// Bytes of an answer that are read for the sake of the error that they may explain.
const ANSWER_MAX_BYTES: usize = 64 << 10;
const ANSWER_SHOWN_BYTES: usize = 500;

/// How a secret begins that receivers are given.
const SECRET_PREFIX: &str = "whsec_";

/// Bytes of a secret, as Standard Webhooks says.
const SECRET_BYTES: RangeInclusive<usize> = 24..=64;

/// A setting of this name holds the secrets of a plugin that shall not have a derived one: one, or two while they are changed, with a space
/// between.
pub(crate) const SECRET_SETTING: &str = "webhook_secret";

/// The way out for webhooks.
pub(super) struct Sender {
    guard: Guard,
    /// Reaches the public internet only.
    public: Lazy,
    /// For hosts that the operator has named.
    any: Lazy,
}

/// A client that is made when it is needed first: a server without certificates of authorities must start, too.
type Lazy = OnceLock<Result<Client, String>>;

impl Sender {
    pub(super) fn new(private: &[String]) -> Self {
        Self { guard: Guard::new(private), public: OnceLock::new(), any: OnceLock::new() }
    }

    fn client(&self, reach: Reach) -> Result<&Client, String> {
        let made = match reach {
            Reach::Public => self.public.get_or_init(|| public(PublicOnly::system())),
            Reach::Any => self.any.get_or_init(|| built(builder())),
        };
        made.as_ref().map_err(Clone::clone)
    }
}

/// A client that reaches the public internet only, if literal addresses were checked before.
pub(super) fn public(resolver: PublicOnly) -> Result<Client, String> {
    built(builder().https_only(true).dns_resolver(Arc::new(resolver)))
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECTING_WITHIN)
        .timeout(WITHIN)
        // A host that is called now and then has closed the connection long since, and every delivery is checked anew.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("ironrule/", env!("CARGO_PKG_VERSION")))
}

fn built(builder: reqwest::ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| format!("the client for webhooks: {}", cause(&error)))
}

/// The secret with which the webhooks of a plugin are signed: derived, so that every node has it and it is nowhere to be read.
pub(super) fn derived_secret(app: &App, plugin: &str) -> SecretString {
    let key = app.vault.derived("ironrule 2026 webhook signatures");
    let secret = blake3::keyed_hash(&key, plugin.as_bytes());
    SecretString::from(format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(secret.as_bytes())))
}

/// The secrets that the operator has set; none if the derived one is in use.
pub(super) fn set_secrets(installed: &Installed) -> Option<Vec<SecretString>> {
    let set = installed.ground.settings.get(SECRET_SETTING)?;
    let secrets: Vec<SecretString> = set.split_whitespace().map(|secret| SecretString::from(secret.to_owned())).collect();
    (!secrets.is_empty()).then_some(secrets)
}

/// True for what webhooks can be signed with: secrets as Standard Webhooks says, with a space between.
pub(crate) fn are_secrets(text: &str) -> bool {
    let mut secrets = text.split_whitespace().peekable();
    secrets.peek().is_some() && secrets.all(|secret| key_of(secret).is_ok_and(|key| SECRET_BYTES.contains(&key.len())))
}

pub(super) async fn deliver(app: &App, installed: &Installed, delivery: &Delivery) -> Result<Done, Failed> {
    let row = &delivery.row;
    let webhook: Webhook = serde_json::from_str(&row.payload).map_err(row::internal)?;
    let url = Url::parse(&webhook.url).map_err(|error| Failed::ForGood(format!("`{}`: {error}", webhook.url)))?;
    let place = url.host_str().unwrap_or_default().to_owned();
    // A grant that was taken back holds for what waits, too.
    if !installed.grants().calls(&place) {
        return Err(Failed::ForGood(format!("no grant for webhooks to `{place}` any more")));
    }
    let sender = &app.outbox.http;
    let reach = sender.guard.check(&url).map_err(Failed::ForGood)?;
    let secrets = set_secrets(installed).unwrap_or_else(|| vec![derived_secret(app, &row.plugin)]);
    let Some(_room) = app.outbox.crowd.enter(&place).await else {
        return Err(Failed::Crowded(format!("`{place}` has not answered to others yet")));
    };
    let request = request(sender.client(reach).map_err(Failed::Again)?, url, &webhook, &row.id, &secrets)?;
    let answer = request.send().await.map_err(|error| Failed::Again(format!("`{place}`: {}", cause(&error.without_url()))))?;
    match answer.status().is_success() {
        true => Ok(Done::Sent),
        false => Err(refused(answer, &installed.secrets).await),
    }
}

/// The request with its signatures.
fn request(client: &Client, url: Url, webhook: &Webhook, id: &str, secrets: &[SecretString]) -> Result<RequestBuilder, Failed> {
    let body = if webhook.body.get() == "null" { "" } else { webhook.body.get() };
    let method = Method::from_bytes(webhook.method.as_bytes()).map_err(|error| Failed::ForGood(error.to_string()))?;
    let timestamp = Utc::now().timestamp().to_string();
    let signatures = secrets.iter().map(|secret| signature(secret, id, &timestamp, body)).collect::<Result<Vec<_>, _>>();
    let signatures = signatures.map_err(|error| Failed::ForGood(format!("a secret in `{SECRET_SETTING}` is none: {error}")))?;
    let mut request = client.request(method, url);
    if !body.is_empty() && !webhook.headers.contains_key(header::CONTENT_TYPE.as_str()) {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    for (name, value) in &webhook.headers {
        request = request.header(name, value);
    }
    let request = request.header("webhook-id", id).header("webhook-timestamp", timestamp);
    Ok(request.header("webhook-signature", signatures.join(" ")).body(body.to_owned()))
}

/// `410 Gone` means that the receiver wants no more of this (Standard Webhooks); everything else may get better, and some say when.
async fn refused(answer: Response, secrets: &Secrets) -> Failed {
    let (status, later) = (answer.status(), retry_after(&answer));
    let moved = if status.is_redirection() { ", and redirects are not followed" } else { "" };
    let error = format!("answered {status}{moved}: {}", beginning(answer, secrets).await);
    match later {
        _ if status == StatusCode::GONE => Failed::ForGood(error),
        Some(later) => Failed::After(later, error),
        None => Failed::Again(error),
    }
}

/// The seconds that a receiver asks for, within reason. A date is not understood: clocks differ.
fn retry_after(answer: &Response) -> Option<Duration> {
    let asks = matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = answer.headers().get(header::RETRY_AFTER).filter(|_| asks)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_MAX))
}

async fn beginning(mut answer: Response, secrets: &Secrets) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= ANSWER_MAX_BYTES {
            break;
        }
    }
    // Secrets first: half of one would not be found.
    let (mut text, _) = secrets.without(String::from_utf8_lossy(&bytes).into_owned());
    text.truncate(text.floor_char_boundary(ANSWER_SHOWN_BYTES));
    text
}

/// What is behind an error of the client; it says only "error sending request" itself.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, as Standard Webhooks says.
pub(super) fn signature(secret: &SecretString, id: &str, timestamp: &str, body: &str) -> Result<String, String> {
    let key = key_of(secret.expose_secret()).map_err(|error| error.to_string())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Ok(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
}

fn key_of(secret: &str) -> Result<Vec<u8>, DecodeError> {
    BASE64_STANDARD.decode(secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret))
}
