//! What a rule asks to be done after the commit. Read from the guest's JSON and checked against its grants here; stored
//! and carried out elsewhere, where the address behind a host name is checked once more.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::grants::Grants;
use crate::records::Failure;

const DELAY_MAX_MS: u64 = 366 * 24 * 60 * 60 * 1000;
const ATTEMPTS_MAX: u32 = 100;
const KEY_MAX_BYTES: usize = 200;
const URL_MAX_BYTES: usize = 2048;
const HEADERS_MAX: usize = 32;
const RECIPIENTS_MAX: usize = 50;
const LINE_MAX_BYTES: usize = 998;
/// Headers that belong to the delivery, or that would change where a request ends.
const HEADERS_RESERVED: [&str; 8] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "proxy-authorization"];

/// An effect that is well formed and granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What is done.
    pub kind: EffectKind,
    /// A JSON object with every member that has a default written out: [`Webhook`], [`Email`] or [`Job`].
    pub payload: String,
    /// How it is delivered.
    pub options: EffectOptions,
}

/// What an effect does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EffectKind {
    /// An HTTP request to a granted host.
    Webhook,
    /// A message through the server's mail server.
    Email,
    /// A call of an after-commit rule of the same plugin.
    Job,
}

/// How an effect is delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EffectOptions {
    /// Deliveries of one key keep their order.
    pub key: Option<String>,
    /// Milliseconds after the commit.
    pub delay_ms: u64,
    /// How often it is tried before it is given up; none is the server's default.
    pub max_attempts: Option<u32>,
}

/// Payload of [`EffectKind::Webhook`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `https://host/path`. Whether `http://` is delivered depends on the server.
    pub url: String,
    /// `POST` unless the rule says otherwise.
    #[serde(default = "post")]
    pub method: String,
    /// Lower-case names; none that belongs to the connection or to the signature.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Any JSON; `null` when the rule gives none.
    #[serde(default)]
    pub body: Box<RawValue>,
}

/// Payload of [`EffectKind::Email`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// Addresses; one at least.
    pub to: Vec<String>,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Where answers go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

/// Payload of [`EffectKind::Job`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Name of the after-commit rule.
    pub rule: String,
    /// Any JSON; `null` when the rule gives none.
    #[serde(default)]
    pub data: Box<RawValue>,
}

impl EffectKind {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
            Self::Job => "job",
        }
    }
}

impl Effect {
    /// Reads what a guest hands over. `jobs` are the after-commit rules of the plugin.
    ///
    /// # Errors
    /// `invalid` with the reason, or `not-allowed` when it is not granted.
    pub(crate) fn parse(kind: &str, payload: &str, options: &str, grants: &Grants, jobs: &BTreeSet<String>) -> Result<Self, Failure> {
        let options = read_options(options)?;
        let (kind, payload) = match kind {
            "webhook" => (EffectKind::Webhook, webhook(payload, grants)?),
            "email" => (EffectKind::Email, email(payload, grants)?),
            "job" => (EffectKind::Job, job(payload, jobs)?),
            other => return Err(invalid(format!("`{other}` is no kind of effect; there are `webhook`, `email` and `job`"))),
        };
        Ok(Self { kind, payload, options })
    }
}

fn read_options(text: &str) -> Result<EffectOptions, Failure> {
    let options: EffectOptions = read("options", text)?;
    if options.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_MAX_BYTES) {
        return Err(invalid(format!("the `key` of an effect has 1 to {KEY_MAX_BYTES} bytes")));
    }
    if options.delay_ms > DELAY_MAX_MS {
        return Err(invalid("a delay of more than a year".to_owned()));
    }
    match options.max_attempts {
        Some(attempts) if !(1..=ATTEMPTS_MAX).contains(&attempts) => {
            Err(invalid(format!("`max_attempts` is a number from 1 to {ATTEMPTS_MAX}")))
        }
        _ => Ok(options),
    }
}

fn webhook(text: &str, grants: &Grants) -> Result<String, Failure> {
    let mut webhook: Webhook = read("a webhook", text)?;
    let host = webhook_host(&webhook.url).map_err(invalid)?;
    if !grants.calls(&host) {
        return Err(Failure::new("not-allowed", format!("no grant for webhooks to `{host}`")));
    }
    webhook.method.make_ascii_uppercase();
    if !["POST", "PUT", "PATCH", "DELETE", "GET"].contains(&webhook.method.as_str()) {
        return Err(invalid(format!("`{}` is no method of a webhook", webhook.method)));
    }
    webhook.headers = webhook.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    if webhook.headers.len() > HEADERS_MAX {
        return Err(invalid(format!("a webhook has at most {HEADERS_MAX} headers of its own")));
    }
    for (name, value) in &webhook.headers {
        check_header(name, value).map_err(invalid)?;
    }
    write(&webhook)
}

fn check_header(name: &str, value: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("`{name}` is no name of a header"));
    }
    if HEADERS_RESERVED.contains(&name) || name.starts_with("webhook-") {
        return Err(format!("the header `{name}` is not for plugins to set"));
    }
    match value.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte)) {
        true => Ok(()),
        false => Err(format!("the value of the header `{name}` has characters that cannot be sent")),
    }
}

/// The host that a webhook's address names, without port and brackets kept: what [`Grants::calls`] is asked about.
///
/// Reads less than URLs may be: what two readers could understand in two ways (a name before an `@`, a backslash, an
/// escaped host) is refused.
///
/// # Errors
/// The text says what is wrong with the address.
pub fn webhook_host(url: &str) -> Result<String, String> {
    let odd = |byte: u8| byte <= b' ' || byte >= 0x7f || byte == b'\\';
    if url.len() > URL_MAX_BYTES || url.bytes().any(odd) {
        return Err("a webhook's address is a URL in plain ASCII letters, without spaces and backslashes".to_owned());
    }
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let rest = rest.ok_or_else(|| format!("`{url}` does not begin with `https://`"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let end = match authority.strip_prefix('[') {
        Some(address) => address.find(']').map(|at| at + 2),
        None => Some(authority.find(':').unwrap_or(authority.len())),
    };
    let (host, port) = end.and_then(|end| authority.split_at_checked(end)).ok_or_else(|| format!("`{url}` names no host"))?;
    let named = match host.starts_with('[') {
        true => host.bytes().all(|byte| byte.is_ascii_hexdigit() || b"[]:.".contains(&byte)),
        false => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)),
    };
    let port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok() && !port.starts_with('+'));
    if host.is_empty() || !named || !port {
        return Err(format!("`{url}` names no host"));
    }
    Ok(host.to_owned())
}

fn email(text: &str, grants: &Grants) -> Result<String, Failure> {
    let email: Email = read("an e-mail", text)?;
    if !grants.email {
        return Err(Failure::new("not-allowed", "no grant for e-mail"));
    }
    if email.to.is_empty() || email.to.len() > RECIPIENTS_MAX {
        return Err(invalid(format!("an e-mail goes to 1 to {RECIPIENTS_MAX} addresses")));
    }
    if let Some(bad) = email.to.iter().chain(&email.reply_to).find(|address| !is_address(address)) {
        return Err(invalid(format!("`{bad}` is no e-mail address")));
    }
    // a line break in the subject would begin a header of the sender's choice
    if email.subject.len() > LINE_MAX_BYTES || email.subject.chars().any(char::is_control) {
        return Err(invalid(format!("the subject of an e-mail is one line of at most {LINE_MAX_BYTES} bytes")));
    }
    write(&email)
}

/// Whether it can be an address at all; the mail server knows more.
fn is_address(address: &str) -> bool {
    let odd = |letter: char| letter.is_control() || letter.is_whitespace() || "<>,;\"".contains(letter);
    let parts = address.rsplit_once('@');
    address.len() <= 254 && !address.contains(odd) && parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
}

fn job(text: &str, jobs: &BTreeSet<String>) -> Result<String, Failure> {
    let job: Job = read("a job", text)?;
    if !jobs.contains(&job.rule) {
        return Err(invalid(format!("this plugin has no after-commit rule `{}`", job.rule)));
    }
    write(&job)
}

fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|cause| invalid(format!("{what}: {cause}")))
}

fn write<T: Serialize>(payload: &T) -> Result<String, Failure> {
    serde_json::to_string(payload).map_err(|cause| invalid(cause.to_string()))
}

fn invalid(message: String) -> Failure {
    Failure::new("invalid", message)
}

fn post() -> String {
    "POST".to_owned()
}

#[cfg(test)]
mod tests;
