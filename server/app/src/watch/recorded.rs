//! What is kept of a run so that it can be looked at and run again: the event, every host call with its answer, the result and the log.
//! Secret settings are taken out of all of it.

use std::time::Duration;

use plugins::{Event, Failure, HostCall, LogLevel, LogLine, PluginFailure, Refusal, Rejection, Run};
use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use crate::plugins::{REDACTED, Secrets};

/// Bytes of a recorded run. What is longer loses the end of its transcript, and what is still too long all of it.
const RUN_MAX_BYTES: usize = 128 << 10;

/// How a transcript says that a setting has no value.
const NO_VALUE: &str = r#"{"ok":null}"#;

/// What is known of a run beside the numbers.
pub(super) struct Detail {
    pub(super) json: Box<RawValue>,
    pub(super) redacted: bool,
    pub(super) truncated: bool,
}

#[derive(Serialize)]
struct Kept<'a> {
    event: Option<Asked<'a>>,
    transcript: &'a [HostCall],
    result: Option<Said<'a>>,
    logs: Vec<Logged<'a>>,
    host_us: u64,
    instantiate_us: Option<u64>,
    host_calls: u32,
    memory_bytes: usize,
    fuel: Option<u64>,
}

/// The event, its texts as the JSON that they are.
#[derive(Serialize)]
struct Asked<'a> {
    rule: &'a str,
    hook: &'static str,
    operation: &'a str,
    collection: &'a str,
    id: &'a str,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    context: Box<RawValue>,
    now_ms: u64,
    /// As text: numbers of 64 bits do not survive every reader of JSON.
    seed: String,
    depth: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Said<'a> {
    Outcome { patch: Option<Box<RawValue>>, details: Box<RawValue> },
    Rejected(&'a Rejection),
    Failed(&'a PluginFailure),
    Aborted(&'a Failure),
}

#[derive(Serialize)]
struct Logged<'a> {
    level: LogLevel,
    message: &'a str,
    fields: Box<RawValue>,
}

/// Puts a run together.
pub(super) fn detail(event: &Event, run: &Run, secrets: &Secrets) -> Detail {
    let mut transcript = run.transcript.clone();
    let mut redacted = false;
    for call in transcript.iter_mut().filter(|call| reads_secret(call, secrets)) {
        (call.output, redacted) = (Value::from(REDACTED).to_string(), true);
    }
    let mut kept = Kept {
        event: Some(asked(event)),
        transcript: &transcript,
        result: Some(said(run)),
        logs: run.logs.iter().map(logged).collect(),
        host_us: micros(run.host),
        instantiate_us: run.instantiate.map(micros),
        host_calls: run.host_calls,
        memory_bytes: run.memory_bytes,
        fuel: run.fuel,
    };
    let mut text = written(&kept);
    while text.len() > RUN_MAX_BYTES && !kept.transcript.is_empty() {
        kept.transcript = &kept.transcript[..kept.transcript.len() / 2];
        text = written(&kept);
    }
    let mut truncated = run.transcript_cut || kept.transcript.len() < transcript.len();
    if text.len() > RUN_MAX_BYTES {
        (kept.event, kept.result, kept.logs, truncated) = (None, None, Vec::new(), true);
        text = written(&kept);
    }
    let (text, found) = secrets.without(text);
    match RawValue::from_string(text) {
        Ok(json) => Detail { json, redacted: redacted || found, truncated },
        // A secret of digits was taken out of a number: better nothing than half of it.
        Err(_) => Detail { json: empty(), redacted: true, truncated: true },
    }
}

/// True if the call reads a secret setting, or a setting whose name cannot be read.
fn reads_secret(call: &HostCall, secrets: &Secrets) -> bool {
    let name = || Some(serde_json::from_str::<Value>(&call.input).ok()?["name"].as_str()?.to_owned());
    call.call == "host.setting" && call.output != NO_VALUE && name().is_none_or(|name| secrets.are_of(&name))
}

fn written(kept: &Kept<'_>) -> String {
    // INVARIANT: numbers, texts and JSON only, so writing it as JSON cannot fail.
    serde_json::to_string(kept).expect("a run is always valid JSON")
}

fn asked(event: &Event) -> Asked<'_> {
    Asked {
        rule: &event.rule,
        hook: event.hook.as_str(),
        operation: &event.operation,
        collection: &event.collection,
        id: &event.id,
        before: event.before.as_deref().map(raw),
        after: event.after.as_deref().map(raw),
        context: raw(&event.context),
        now_ms: event.now_ms,
        seed: event.seed.to_string(),
        depth: event.depth,
    }
}

fn said(run: &Run) -> Said<'_> {
    match &run.result {
        Ok(outcome) => Said::Outcome { patch: outcome.patch.as_deref().map(raw), details: raw(&outcome.details) },
        Err(Refusal::Rejected(rejection)) => Said::Rejected(rejection),
        Err(Refusal::Failed(failure)) => Said::Failed(failure),
        Err(Refusal::Host(failure)) => Said::Aborted(failure),
    }
}

fn logged(line: &LogLine) -> Logged<'_> {
    Logged { level: line.level, message: &line.message, fields: raw(&line.fields) }
}

/// The JSON that the text is, digit for digit, or the text as JSON where it is none.
pub(super) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).or_else(|_| to_raw_value(text)).unwrap_or_else(|_| empty())
}

fn empty() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

pub(super) fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
