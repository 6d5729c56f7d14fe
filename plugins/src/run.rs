//! One call of a rule: what goes in and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::grants::Grants;
use crate::manifest::Hook;
use crate::records::{Failure, Records};
use crate::transcript::HostCall;

/// What an operator decided about a plugin, and whether its host calls are written down. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    /// What the plugin may use.
    pub grants: Arc<Grants>,
    /// Values of its settings, secrets among them. A declared default holds where there is none.
    pub settings: Arc<BTreeMap<String, String>>,
    /// Whether the run keeps a transcript of its host calls.
    pub record: bool,
}

/// What a rule is asked about. Texts are JSON.
#[derive(Clone, Debug)]
pub struct Event {
    /// Name of the rule, as the manifest declares it.
    pub rule: String,
    /// Where in the story the rule runs.
    pub hook: Hook,
    /// What happens to the record (the text of an [`Operation`](crate::Operation)), or what else calls the rule: `job`,
    /// `tick`, an HTTP method in lower case.
    pub operation: String,
    /// Collection of the record; empty where no record is concerned.
    pub collection: String,
    /// Id of the record; empty where no record is concerned.
    pub id: String,
    /// The stored record; none when it is created.
    pub before: Option<String>,
    /// The record as it is about to be written; none when it is deleted. The request of an endpoint, the data of a job.
    pub after: Option<String>,
    /// An object: caller, request and so on.
    pub context: String,
    /// The transaction's time in milliseconds since 1970; all the guest sees of the clock.
    pub now_ms: u64,
    /// Seed of the guest's random numbers; the same seed repeats the same run.
    pub seed: u64,
    /// How many writes of rules this one is nested in; 0 for the write of a request.
    pub depth: usize,
}

/// What came out, and what it took.
pub struct Run {
    /// The transaction's records, given back in every case.
    pub records: Box<dyn Records>,
    /// Whether the write may go on.
    pub result: Result<Outcome, Refusal>,
    /// The plugin's log of this call, also when it was ended.
    pub logs: Vec<LogLine>,
    /// Log lines that were dropped because there were too many.
    pub logs_dropped: u64,
    /// Wall time with host calls, without waiting for a free slot.
    pub elapsed: Duration,
    /// The part of it inside host calls, where the transaction works, and other rules.
    pub host: Duration,
    /// The part of it that it took to make the instance; none when the transaction had one already.
    pub instantiate: Option<Duration>,
    /// Host calls made, without log lines.
    pub host_calls: u32,
    /// Largest size of the linear memory.
    pub memory_bytes: usize,
    /// Instructions of the call, without making the instance. Only a [metered](crate::Runtime::metered) runtime counts.
    pub fuel: Option<u64>,
    /// The host calls that had an answer, if [`Ground::record`] asks for them.
    pub transcript: Vec<HostCall>,
    /// The transcript was cut because it became too long; it cannot be replayed.
    pub transcript_cut: bool,
}

/// The write goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// RFC 7396 merge patch for the record, a JSON object.
    pub patch: Option<String>,
    /// A JSON object. An endpoint's answer is its member `response`.
    pub details: String,
}

impl Default for Outcome {
    fn default() -> Self {
        Self { patch: None, details: "{}".to_owned() }
    }
}

/// The write does not go on, and its transaction is rolled back.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The rule said no.
    Rejected(Rejection),
    /// The plugin did not behave; nobody can tell what the rule would have said, so it is a no.
    Failed(PluginFailure),
    /// The transaction failed under a host call; the rule is not to blame.
    Host(Failure),
}

/// A rule's no.
#[derive(Clone, Debug, Serialize)]
pub struct Rejection {
    /// What sort of no.
    pub kind: RejectionKind,
    /// For people.
    pub message: String,
    /// What is wrong with which value; may be empty.
    pub violations: Vec<Violation>,
    /// A JSON object.
    pub details: Box<RawValue>,
}

/// What sort of no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RejectionKind {
    /// The record breaks a rule.
    Invalid,
    /// The record does not fit to what others have written.
    Conflict,
    /// The caller may not do this.
    Forbidden,
    /// The transaction may be run again.
    Retry,
}

/// What is wrong with one value.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    /// RFC 6901 JSON pointer into the record; empty for the whole record.
    pub path: String,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// A JSON object with the values that the message speaks of.
    pub params: Box<RawValue>,
}

/// How a plugin failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginFailure {
    /// Stable: `plugin.timeout` (computed too long), `plugin.wall` (took too long with its host calls), `plugin.busy` (no
    /// free slot in time), `plugin.memory`, `plugin.stack`, `plugin.trap` (panicked, for instance), `plugin.budget` (too
    /// many host calls or effects), `plugin.output` (handed over too much), `plugin.garbage` (an answer outside the contract),
    /// `plugin.internal` (the rule says that it could not decide).
    pub code: &'static str,
    /// For the operator's log, not for clients.
    pub message: String,
    /// Where in the guest, when it is known: what a panic said and the functions that ran, or the stack of a JavaScript
    /// exception, with the lines of the author's own files when the component brings a source map.
    pub stack: Option<String>,
}

/// A line of a plugin's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// How important.
    pub level: LogLevel,
    /// What the plugin said; cut at [`Limits::log_line_max_bytes`](crate::Limits::log_line_max_bytes).
    pub message: String,
    /// A JSON object, as the plugin wrote it; `{}` when it is no object or too long.
    pub fields: String,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Error,
}
