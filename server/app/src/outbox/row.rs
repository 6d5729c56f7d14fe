//! What is written into the outbox: effects that rules ask for, and the rules that run after the commit.

use chrono::TimeDelta;
use model::{Principal, Value, time::datetime_text};
use plugins::{Effect, EffectKind, Job};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::outbox::{Queue, Row};

use crate::{Error, call::Call, plugins::Bound, records::next_id};

/// A record that was written.
pub(crate) struct Written<'a> {
    pub(crate) operation: &'a str,
    pub(crate) collection: &'a str,
    pub(crate) id: &'a str,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// What a rule is asked that runs later: the payload of `after-commit`, `job` and `scheduled` rows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) operation: String,
    #[serde(default)]
    pub(super) collection: String,
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) before: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) after: Option<Box<RawValue>>,
    /// For a schedule: the moment that is meant.
    #[serde(default)]
    pub(super) scheduled_at: Option<String>,
}

/// Who wrote, so that a rule can act for the same caller later.
#[derive(Debug, Serialize, Deserialize)]
struct Who {
    principal: String,
    tenant: String,
    attributes: Box<RawValue>,
}

/// The row of an effect that a rule asks for.
///
/// # Errors
/// [`Error::Internal`] if the payload cannot be read again.
pub(crate) fn effect(call: &Call, bound: &Bound, effect: Effect) -> Result<Row, Error> {
    let Effect { kind, payload, options } = effect;
    let (rule, payload) = match kind {
        EffectKind::Webhook | EffectKind::Email => (bound.rule.to_string(), payload),
        EffectKind::Job => {
            let job: Job = serde_json::from_str(&payload).map_err(internal)?;
            let question = Question {
                operation: "job".to_owned(),
                collection: String::new(),
                id: String::new(),
                before: None,
                after: Some(job.data),
                scheduled_at: None,
            };
            (job.rule, serde_json::to_string(&question).map_err(internal)?)
        }
    };
    let delay = TimeDelta::milliseconds(i64::try_from(options.delay_ms).unwrap_or(i64::MAX));
    let row = Row {
        rule,
        payload,
        // A key of one plugin has nothing to do with that of another.
        key: options.key.map(|key| format!("{}:{key}", bound.installed.name())),
        attempts_max: options.max_attempts.unwrap_or(call.app.config.delivery_attempts).max(1),
        // A rule that wants to run once more later may do so for ever; one that writes because of its own writes may not.
        depth: call.depth.saturating_sub(1),
        ..new(call, bound, kind.as_str())?
    };
    Ok(match delay.is_zero() {
        true => row,
        false => Row { not_before: datetime_text(call.moment + delay), ..row },
    })
}

/// The row of a rule that runs after the commit of a record. The writes of one record come in their order.
///
/// # Errors
/// [`Error::Internal`] if the record cannot be written as JSON.
pub(crate) fn after_commit(call: &Call, bound: &Bound, written: Written<'_>) -> Result<Row, Error> {
    let raw = |text: Option<String>| text.map(RawValue::from_string).transpose().map_err(internal);
    let question = Question {
        operation: written.operation.to_owned(),
        collection: written.collection.to_owned(),
        id: written.id.to_owned(),
        before: raw(written.before)?,
        after: raw(written.after)?,
        scheduled_at: None,
    };
    let key = format!("{}/{}:{}/{}", bound.installed.name(), bound.rule, written.collection, written.id);
    let payload = serde_json::to_string(&question).map_err(internal)?;
    Ok(Row { payload, key: Some(key), ..new(call, bound, "after-commit")? })
}

/// The row of a rule whose time has come.
pub(super) fn scheduled(call: &Call, bound: &Bound, slot: &str) -> Result<Row, Error> {
    let question = Question {
        operation: "tick".to_owned(),
        collection: String::new(),
        id: String::new(),
        before: None,
        after: None,
        scheduled_at: Some(slot.to_owned()),
    };
    let payload = serde_json::to_string(&question).map_err(internal)?;
    Ok(Row { payload, key: Some(format!("{}:tick", bound.name())), ..new(call, bound, "scheduled")? })
}

fn new(call: &Call, bound: &Bound, kind: &str) -> Result<Row, Error> {
    let attributes = RawValue::from_string(Value::Object(call.caller.attributes.clone()).to_json()).map_err(internal)?;
    let who = Who { principal: call.caller.principal.to_string(), tenant: call.caller.tenant.clone(), attributes };
    Ok(Row {
        id: next_id(),
        kind: kind.to_owned(),
        queue: if matches!(kind, "webhook" | "email") { Queue::Outside } else { Queue::Inside },
        plugin: bound.installed.name().to_owned(),
        version: bound.installed.label(),
        rule: bound.rule.to_string(),
        payload: String::new(),
        key: None,
        tenant: call.caller.tenant.clone(),
        caller: serde_json::to_string(&who).map_err(internal)?,
        request: call.id.to_string(),
        created: call.now.to_string(),
        not_before: call.now.to_string(),
        attempts_max: call.app.config.delivery_attempts.max(1),
        depth: call.depth,
    })
}

/// Who wrote.
pub(super) fn principal(row: &Row) -> Result<Principal, Error> {
    let who: Who = serde_json::from_str(&row.caller).map_err(internal)?;
    match who.principal.as_str() {
        "anonymous" => Ok(Principal::Anonymous),
        "system" => Ok(Principal::System),
        name => name.parse().map_err(|error: model::principal::UnknownPrincipal| Error::Internal(error.to_string())),
    }
}

/// Who wrote, for the rule to see.
pub(super) fn written_by(row: &Row) -> Value {
    let who = serde_json::from_str::<Who>(&row.caller).ok().filter(|who| who.principal != "anonymous");
    let Some(who) = who else { return Value::Null };
    match Value::from_json(who.attributes.get().as_bytes()) {
        Ok(Value::Object(mut attributes)) => {
            attributes.insert("principal".to_owned(), Value::from(who.principal.as_str()));
            Value::Object(attributes)
        }
        _ => Value::Null,
    }
}

pub(super) fn internal(error: serde_json::Error) -> Error {
    Error::Internal(error.to_string())
}
