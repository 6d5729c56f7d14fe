//! What a rule asked of the host and what it was answered, written down, and records that answer from such a transcript:
//! the same rule with the same event and the same answers decides the same again.

use std::collections::{BTreeMap, VecDeque};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::effect::Effect;
use crate::records::{BoxFuture, Failure, Records};

/// Bytes of a transcript; more of it would cost more than the run is worth.
const TRANSCRIPT_MAX_BYTES: usize = 512 << 10;

/// One host call with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCall {
    /// `records.get`, `effects.enqueue`, `host.setting` and so on.
    pub call: String,
    /// A JSON object with the arguments by their names in the contract.
    #[serde(deserialize_with = "text_or_value")]
    pub input: String,
    /// `{"ok": answer}` or `{"error": failure}`, as JSON text.
    #[serde(deserialize_with = "text_or_value")]
    pub output: String,
}

/// Where a text of JSON was kept as the JSON that it is, it is read as well.
fn text_or_value<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        value => value.to_string(),
    })
}

/// A transcript while it is written.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) calls: Vec<HostCall>,
    pub(crate) cut: bool,
    bytes: usize,
}

impl Recorder {
    pub(crate) fn note<T: Written>(&mut self, call: &'static str, input: Value, answer: Result<&T, &Failure>) {
        let output = match answer {
            Ok(value) => format!(r#"{{"ok":{}}}"#, value.written()),
            Err(failure) => json!({ "error": failure }).to_string(),
        };
        let input = input.to_string();
        self.bytes += call.len() + input.len() + output.len();
        if self.bytes > TRANSCRIPT_MAX_BYTES {
            self.cut = true;
            return;
        }
        self.calls.push(HostCall { call: call.to_owned(), input, output });
    }
}

/// An argument that is JSON text, as the JSON that it is; text that is no JSON stays a text.
pub(crate) fn as_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// How an answer stands in a transcript: records as they are, letter for letter.
pub(crate) trait Written {
    fn written(&self) -> String;
}

/// The text of an id, which is not JSON as the text of a record is.
pub(crate) struct Id(pub(crate) String);

impl Written for String {
    fn written(&self) -> String {
        match serde_json::from_str::<&RawValue>(self) {
            Ok(json) => json.get().to_owned(),
            Err(_) => Value::from(self.as_str()).to_string(),
        }
    }
}

impl Written for Option<String> {
    fn written(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), Written::written)
    }
}

impl Written for Vec<Option<String>> {
    fn written(&self) -> String {
        let texts: Vec<String> = self.iter().map(Written::written).collect();
        format!("[{}]", texts.join(","))
    }
}

impl Written for () {
    fn written(&self) -> String {
        "null".to_owned()
    }
}

impl Written for Id {
    fn written(&self) -> String {
        Value::from(self.0.as_str()).to_string()
    }
}

impl Written for Option<Id> {
    fn written(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), Written::written)
    }
}

/// The settings that a run read, from its transcript: a replay needs them in its [`Ground`](crate::Ground). What was taken
/// out of the transcript because it is a secret is not among them.
pub fn recorded_settings(transcript: &[HostCall]) -> BTreeMap<String, String> {
    let reads = transcript.iter().filter(|call| call.call == "host.setting");
    let setting = |call: &HostCall| {
        let input: Value = serde_json::from_str(&call.input).ok()?;
        let output: Value = serde_json::from_str(&call.output).ok()?;
        Some((input.get("name")?.as_str()?.to_owned(), output.get("ok")?.as_str()?.to_owned()))
    };
    reads.filter_map(setting).collect()
}

/// Answers from a transcript, in its order. A call that is not the next one of the transcript ends the guest: the run
/// answers [`Refusal::Host`](crate::Refusal::Host) with the code `diverged`. A run that asks for less than the transcript
/// has is seen by comparing the two transcripts.
pub struct Replayed {
    left: VecDeque<HostCall>,
    at: usize,
}

impl Replayed {
    /// `host.setting` is answered by the [`Ground`](crate::Ground), see [`recorded_settings`].
    pub fn new(transcript: Vec<HostCall>) -> Self {
        Self { left: transcript.into_iter().filter(|call| call.call != "host.setting").collect(), at: 0 }
    }

    fn answer<T: FromTranscript>(&mut self, call: &str, input: &Value) -> Result<T, Failure> {
        self.at += 1;
        let Some(expected) = self.left.pop_front() else {
            return Err(self.diverged(&format!("`{call}` with {input}, but the transcript has ended")));
        };
        // Compared by value: whoever kept the transcript may have written its JSON anew.
        if expected.call != call || serde_json::from_str::<Value>(&expected.input).ok().as_ref() != Some(input) {
            return Err(self.diverged(&format!("`{call}` with {input}, recorded was `{}` with {}", expected.call, expected.input)));
        }
        let unreadable = |why: String| self.diverged(&format!("the answer of `{call}` cannot be read: {why}"));
        let output: Output = serde_json::from_str(&expected.output).map_err(|cause| unreadable(cause.to_string()))?;
        match (output.ok, output.error) {
            (Some(ok), None) => T::read(&ok).ok_or_else(|| unreadable("it has another type".to_owned())),
            (None, Some(failure)) => Err(failure),
            _ => Err(unreadable("it is neither `ok` nor `error`".to_owned())),
        }
    }

    fn diverged(&self, what: &str) -> Failure {
        Failure::fatal("diverged", format!("host call {} is {what}", self.at))
    }
}

#[derive(Deserialize)]
struct Output {
    // An `Option` alone would read `null` as absent, and null is what a missing record is.
    #[serde(default, deserialize_with = "present")]
    ok: Option<Box<RawValue>>,
    error: Option<Failure>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

trait FromTranscript: Sized {
    fn read(json: &RawValue) -> Option<Self>;
}

impl FromTranscript for Option<String> {
    fn read(json: &RawValue) -> Option<Self> {
        Some((json.get() != "null").then(|| json.get().to_owned()))
    }
}

impl FromTranscript for Vec<Option<String>> {
    fn read(json: &RawValue) -> Option<Self> {
        parse::<Vec<Box<RawValue>>>(json)?.iter().map(|json| FromTranscript::read(json)).collect()
    }
}

impl FromTranscript for String {
    fn read(json: &RawValue) -> Option<Self> {
        Some(json.get().to_owned())
    }
}

impl FromTranscript for () {
    fn read(json: &RawValue) -> Option<Self> {
        (json.get() == "null").then_some(())
    }
}

impl FromTranscript for Id {
    fn read(json: &RawValue) -> Option<Self> {
        parse(json).map(Id)
    }
}

fn parse<T: DeserializeOwned>(json: &RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok()
}

impl Records for Replayed {
    fn get<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        Box::pin(async move { self.answer("records.get", &input::get(collection, id)) })
    }

    fn get_many<'a>(&'a mut self, collection: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<String>>, Failure>> {
        Box::pin(async move { self.answer("records.get-many", &input::get_many(collection, ids)) })
    }

    fn query<'a>(&'a mut self, collection: &'a str, query: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move { self.answer("records.query", &input::query(collection, query)) })
    }

    fn create<'a>(&'a mut self, collection: &'a str, content: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move { self.answer("records.create", &input::create(collection, content)) })
    }

    fn update<'a>(&'a mut self, collection: &'a str, id: &'a str, patch: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move { self.answer("records.update", &input::update(collection, id, patch)) })
    }

    fn delete<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.answer("records.delete", &input::delete(collection, id)) })
    }

    fn enqueue<'a>(&'a mut self, effect: Effect) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move { self.answer::<Id>("effects.enqueue", &input::enqueue(&effect)).map(|Id(id)| id) })
    }
}

/// How the arguments stand in a transcript; the recorder and the replay share it.
pub(crate) mod input {
    use super::{Effect, Value, as_json, json};

    pub(crate) fn get(collection: &str, id: &str) -> Value {
        json!({ "collection": collection, "id": id })
    }

    pub(crate) fn get_many(collection: &str, ids: &[String]) -> Value {
        json!({ "collection": collection, "ids": ids })
    }

    pub(crate) fn query(collection: &str, query: &str) -> Value {
        json!({ "collection": collection, "query": as_json(query) })
    }

    pub(crate) fn create(collection: &str, content: &str) -> Value {
        json!({ "collection": collection, "content": as_json(content) })
    }

    pub(crate) fn update(collection: &str, id: &str, patch: &str) -> Value {
        json!({ "collection": collection, "id": id, "patch": as_json(patch) })
    }

    pub(crate) fn delete(collection: &str, id: &str) -> Value {
        json!({ "collection": collection, "id": id })
    }

    pub(crate) fn enqueue(effect: &Effect) -> Value {
        json!({ "kind": effect.kind.as_str(), "payload": as_json(&effect.payload), "options": effect.options })
    }

    pub(crate) fn setting(name: &str) -> Value {
        json!({ "name": name })
    }
}
