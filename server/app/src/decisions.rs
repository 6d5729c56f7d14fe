//! Refusals that can be looked up: the refused caller hears an id and nothing else; whoever may read policies finds the explanation behind
//! it. Explaining and keeping happen behind the request, so that a refusal takes no longer for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use model::{Action, Collection, Record, time::datetime_text};
use policies::{Decision, Explanation, Inquiry, Reason};
use serde::Serialize;
use serde_json::value::RawValue;
use store::decisions::DecisionRow;
use tokio::sync::{mpsc, oneshot};

use crate::{App, Error, call::Call};

/// How many refusals may wait to be explained.
const WAITING_MAX: usize = 1_024;

/// How many are written at once.
const BATCH: usize = 64;

/// How many refusals are kept per second in the long run, and how many more at once: whoever provokes refusals must not fill the disk. Those
/// beyond have an id too, but no explanation behind it.
const KEPT_PER_SECOND: f64 = 20.0;
const KEPT_AT_ONCE: f64 = 1_000.0;

/// The longest explanation that is kept, in bytes.
const KEPT_MAX_BYTES: usize = 256 << 10;

/// What was refused.
pub(crate) struct Refused {
    pub(crate) action: Action,
    pub(crate) object: String,
    /// None for parts of the management API.
    pub(crate) collection: Option<Collection>,
    /// The id that was asked for, whether there is such a record or not.
    pub(crate) id: Option<String>,
    /// The record that was decided about, if one was.
    pub(crate) record: Option<Record>,
    /// The stored one before an update.
    pub(crate) before: Option<Record>,
    /// What kind of refusal it was, such as `field.forbidden`, with the fields.
    pub(crate) fields: Vec<String>,
}

impl Refused {
    /// A refusal of everything of that kind.
    pub(crate) fn object(action: Action, object: &str) -> Self {
        Self { action, object: object.to_owned(), collection: None, id: None, record: None, before: None, fields: Vec::new() }
    }

    /// A refusal that concerns records.
    pub(crate) fn records(action: Action, collection: &Collection) -> Self {
        Self { collection: Some(collection.clone()), ..Self::object(action, collection.name()) }
    }
}

enum Message {
    Refusal {
        id: Arc<str>,
        call: Box<Call>,
        refused: Box<Refused>,
    },
    /// Answers once everything before it is kept.
    Flush(oneshot::Sender<()>),
}

/// The refusals on their way to the database.
pub(crate) struct Decisions {
    sender: mpsc::Sender<Message>,
    /// Taken by the task that keeps them.
    receiver: Mutex<Option<mpsc::Receiver<Message>>>,
    allowance: Mutex<(f64, Instant)>,
}

/// What is kept of a refusal.
#[derive(Serialize)]
struct Kept<'a> {
    id: &'a str,
    at: &'a str,
    request: &'a str,
    principal: String,
    tenant: &'a str,
    action: &'static str,
    object: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    /// `record.not_found` when there was no such record, else `denied`.
    outcome: &'static str,
    /// The fields that could not be used.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    fields: &'a [String],
    explanation: Explanation,
}

impl Decisions {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        Self { sender, receiver: Mutex::new(Some(receiver)), allowance: Mutex::new((KEPT_AT_ONCE, Instant::now())) }
    }

    /// Notes a refusal and returns the id that the caller may hear.
    pub(crate) fn note(&self, call: &Call, refused: Refused) -> Arc<str> {
        // Not one of the ascending ids, which would tell how much others are refused.
        let id: Arc<str> = ulid::Ulid::new().to_string().into();
        if call.app.config.decision_hours > 0 && self.may_keep() {
            let message = Message::Refusal { id: Arc::clone(&id), call: Box::new(call.clone()), refused: Box::new(refused) };
            // A full queue loses the explanation, never the refusal.
            let _ = self.sender.try_send(message);
        }
        id
    }

    fn may_keep(&self) -> bool {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *allowance;
        let now = Instant::now();
        let left = (left + now.duration_since(since).as_secs_f64() * KEPT_PER_SECOND).min(KEPT_AT_ONCE);
        let may = left >= 1.0;
        *allowance = (if may { left - 1.0 } else { left }, now);
        may
    }

    /// Waits until every refusal so far is kept.
    async fn flush(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.sender.send(Message::Flush(sender)).await.is_ok() {
            // Without the task (in commands that do not serve) nobody answers.
            let _ = tokio::time::timeout(Duration::from_secs(2), receiver).await;
        }
    }
}

impl App {
    /// Explains and keeps refusals until the task is dropped.
    pub(crate) async fn keep_decisions(&self) {
        let receiver = self.decisions.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = receiver else { return };
        let mut messages = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut messages, BATCH).await > 0 {
            let (mut rows, mut waiting) = (Vec::new(), Vec::new());
            for message in messages.drain(..) {
                match message {
                    Message::Refusal { id, call, refused } => rows.extend(row(&id, &call, &refused)),
                    Message::Flush(sender) => waiting.push(sender),
                }
            }
            if let Err(error) = store::decisions::put(&self.store, &rows).await {
                tracing::warn!(%error, "cannot keep {} decisions", rows.len());
            }
            for sender in waiting {
                let _ = sender.send(());
            }
        }
    }
}

fn row(id: &str, call: &Call, refused: &Refused) -> Option<DecisionRow> {
    let policies = &call.world.policies;
    let mut explanation = match &refused.collection {
        None => policies.explain_object(&call.caller, refused.action, &refused.object),
        Some(collection) => policies.explain(&Inquiry {
            caller: &call.caller,
            action: refused.action,
            collection,
            record: refused.record.as_ref(),
            before: refused.before.as_ref(),
            now: &call.now,
        }),
    };
    if !refused.fields.is_empty() && explanation.decision != Decision::Deny {
        (explanation.decision, explanation.reason, explanation.policy) = (Decision::Deny, Reason::FieldForbidden, None);
    }
    let missing = refused.id.is_some() && refused.record.is_none();
    let kept = Kept {
        id,
        at: &call.now,
        request: &call.id,
        principal: call.caller.principal.to_string(),
        tenant: &call.caller.tenant,
        action: refused.action.name(),
        object: &refused.object,
        record: refused.id.as_deref(),
        outcome: if missing { "record.not_found" } else { "denied" },
        fields: &refused.fields,
        explanation,
    };
    let hours = i64::try_from(call.app.config.decision_hours).unwrap_or(24).min(24 * 366);
    let text = serde_json::to_string(&kept).ok()?;
    if text.len() > KEPT_MAX_BYTES {
        tracing::warn!(request = %call.id, decision = id, bytes = text.len(), "an explanation is too long to be kept");
        return None;
    }
    Some(DecisionRow { id: id.to_owned(), expires: datetime_text(call.moment + TimeDelta::hours(hours)), text })
}

/// The explanation behind an id.
///
/// # Errors
/// The policies, or an id behind which nothing is, or no longer.
pub async fn look_up(call: &Call, id: &str) -> Result<Box<RawValue>, Error> {
    call.authorize(Action::Read, "_policies")?;
    call.app.decisions.flush().await;
    let unknown = || Error::NotFound { kind: "decision", name: id.to_owned() };
    let row = store::decisions::get(&call.app.store, id).await?.filter(|row| *row.expires > *call.now).ok_or_else(unknown)?;
    RawValue::from_string(row.text).map_err(|error| Error::Internal(error.to_string()))
}
