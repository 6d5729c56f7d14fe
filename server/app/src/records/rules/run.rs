//! One run of one rule: what it is asked, which records it sees, what is kept of it. What the answer means is for the hooks to say.

use std::sync::Arc;

use model::{Principal, Value, value::Object};
use plugins::{Event, Failure, Hook, LogLevel, LogLine, Outcome, PluginFailure, Refusal, Rejection};
use store::Transaction;

use super::records::{Fault, RuleRecords};
use crate::{
    Error,
    call::Call,
    plugins::{Bound, Installed},
    watch::Observed,
};

/// What a rule is asked. The texts are JSON.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) hook: Hook,
    /// What happens to the record, or what else calls the rule.
    pub(super) operation: String,
    /// Empty where no record is concerned.
    pub(super) collection: String,
    pub(super) id: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    /// What the context says beside the usual members.
    pub(super) context: Object,
}

/// Whether what a rule does is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Play {
    Real,
    /// The rule is only watched: it reads, and its writes and effects are answered as if they were done.
    Shadow,
}

/// Why a rule gave no outcome.
pub(super) enum Stopped {
    /// It said no.
    Rejected(Rejection),
    /// It failed, or the transaction did.
    Error(Error),
}

/// Takes out of an outcome what its hook needs, or says what is wrong with it, in words for the author of the plugin.
pub(super) type Read<T> = fn(&Transaction, &Outcome) -> Result<T, String>;

/// Runs a rule in the instance that this attempt keeps for its plugin. An outcome that its hook cannot read is a failure like any other, and
/// is counted and kept as one.
pub(super) async fn run<T>(
    call: &Call,
    transaction: &Transaction,
    bound: &Bound,
    play: Play,
    asked: Asked,
    read: Read<T>,
) -> Result<T, Stopped> {
    let (installed, rule) = (&bound.installed, &*bound.rule);
    let plugin = installed.plugin().map_err(Stopped::Error)?;
    let event = event(call, installed, rule, play, asked);
    let fault = Fault::default();
    let records = RuleRecords::new(call, transaction, bound, play, &fault);
    let mut ground = installed.ground.clone();
    ground.record = call.app.watch.wants_transcript(&installed.label(), rule, play == Play::Shadow);
    let kept = ground.record.then(|| event.clone());
    let mut run = plugin.run(&call.attempt.instances, ground, Box::new(records), event).await;
    if let Some(refusal) = denied(&run.result, &fault) {
        run.result = Err(refusal);
    }
    let answer = match &run.result {
        Ok(outcome) => read(transaction, outcome).map_err(garbage),
        Err(refusal) => Err(refusal.clone()),
    };
    if let Err(refusal) = &answer {
        run.result = Err(refusal.clone());
    }
    if play == Play::Real {
        report(call, installed, rule, &run.logs);
    }
    call.app.watch.note(&Observed { call, installed, rule, event: kept.as_ref(), run: &run, shadow: play == Play::Shadow });
    answer.map_err(|refusal| stopped(call, installed, rule, refusal, &fault))
}

/// A rule that writes as its caller and may not is not to blame: it ends with what the policies say.
fn denied(result: &Result<Outcome, Refusal>, fault: &Fault) -> Option<Refusal> {
    match result {
        Err(Refusal::Failed(failure)) if failure.code == "plugin.internal" && fault.was_denied(&failure.message) => {
            Some(Refusal::Host(Failure::fatal("not-allowed", failure.message.clone())))
        }
        _ => None,
    }
}

/// What keeps the contract and still is no answer here.
fn garbage(message: String) -> Refusal {
    Refusal::Failed(PluginFailure { code: "plugin.garbage", message, stack: None })
}

fn stopped(call: &Call, installed: &Installed, rule: &str, refusal: Refusal, fault: &Fault) -> Stopped {
    // A guest may say more of its secrets than a log may know.
    let told = |text: String| installed.secrets.without(text).0;
    match refusal {
        Refusal::Rejected(rejection) => Stopped::Rejected(rejection),
        Refusal::Failed(failure) => {
            let (plugin, code, detail) = (installed.name().to_owned(), failure.code, told(failure.message));
            tracing::error!(request = %call.id, plugin = %installed.label(), rule, code, detail, "a rule failed");
            Stopped::Error(Error::PluginFailed { plugin, code, detail })
        }
        Refusal::Host(failure) => Stopped::Error(fault.take().unwrap_or_else(|| Error::Internal(told(failure.message)))),
    }
}

pub(super) fn event(call: &Call, installed: &Installed, rule: &str, play: Play, asked: Asked) -> Event {
    let Asked { hook, operation, collection, id, before, after, context: more } = asked;
    let mut context = Object::new();
    context.insert("now".to_owned(), Value::from(&*call.now));
    context.insert("request".to_owned(), Value::from(&*call.id));
    context.insert("caller".to_owned(), caller(call));
    context.insert("tenant".to_owned(), Value::from(call.caller.tenant.as_str()));
    context.insert("depth".to_owned(), Value::Integer(i64::from(call.depth)));
    context.insert("dry_run".to_owned(), Value::Bool(play == Play::Shadow));
    context.extend(more);
    let number = call.attempt.next_run(installed.name(), rule, play == Play::Shadow);
    Event {
        seed: seed(&[&call.id, installed.name(), rule, &number.to_string()]),
        rule: rule.to_owned(),
        hook,
        operation,
        collection,
        id,
        before,
        after,
        context: Value::Object(context).to_json(),
        now_ms: u64::try_from(call.moment.timestamp_millis()).unwrap_or_default(),
        depth: usize::from(call.depth),
    }
}

/// Who asked, with the attributes that conditions see too; null for nobody known.
fn caller(call: &Call) -> Value {
    if call.caller.principal == Principal::Anonymous {
        return Value::Null;
    }
    let mut caller = call.caller.attributes.clone();
    caller.insert("principal".to_owned(), Value::from(call.caller.principal.to_string()));
    Value::Object(caller)
}

/// The same for every attempt of a request, so that one that is run again decides the same.
fn seed(parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes()).update(b"\x1f");
    }
    let mut first = [0_u8; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn report(call: &Call, installed: &Arc<Installed>, rule: &str, logs: &[LogLine]) {
    let told = |text: &str| installed.secrets.without(text.to_owned()).0;
    for line in logs {
        let (plugin, message, fields) = (installed.name(), told(&line.message), told(&line.fields));
        match line.level {
            LogLevel::Debug => tracing::debug!(request = %call.id, plugin, rule, fields, "{message}"),
            LogLevel::Info => tracing::info!(request = %call.id, plugin, rule, fields, "{message}"),
            LogLevel::Warn => tracing::warn!(request = %call.id, plugin, rule, fields, "{message}"),
            LogLevel::Error => tracing::error!(request = %call.id, plugin, rule, fields, "{message}"),
        }
    }
}
