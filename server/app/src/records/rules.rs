//! Running the rules of the plugins before a write. All of them are asked, so that a client hears of everything at once; what any of them
//! refuses is not written.

use std::sync::Arc;

use model::{Collection, Draft, FieldType, Pointer, Principal, Record, Value, Violation, Violations, value::Object};
use plugins::{Event, Hook, LogLevel, LogLine, Operation, Refusal, Rejection, RejectionKind};
use store::Transaction;

use super::rule_records::{Fault, RuleRecords};
use crate::{Error, call::Call, plugins::Installed};

/// What is about to be written.
pub(super) struct Subject<'a> {
    pub(super) collection: &'a Collection,
    pub(super) operation: Operation,
    pub(super) id: &'a str,
    pub(super) before: Option<&'a Record>,
}

/// Runs every rule that applies, in order; each sees what the one before it made of the draft. Returns the plugins that ran, as
/// `name@version#digest`.
pub(super) async fn before_write(
    call: &Call,
    transaction: &Transaction,
    subject: &Subject<'_>,
    mut draft: Option<&mut Draft>,
) -> Result<Vec<String>, Error> {
    let mut ran = Vec::new();
    let mut refused: Option<Error> = None;
    for (installed, rule) in rules(call, subject) {
        let after = draft.as_deref().map(|draft| Value::Object(without_passwords(subject.collection, &draft.values)).to_json());
        let event = event(call, subject, rule, after);
        let fault = Fault::default();
        let records = RuleRecords::new(call, transaction, installed, &fault);
        let run = installed.plugin.run(&installed.grants, Box::new(records), event).await;
        report(call, installed, rule, &run.logs);
        drop(run.records);
        ran.push(installed.label());
        match run.result {
            Ok(outcome) => {
                if let (Some(patch), Some(draft)) = (outcome.patch, draft.as_deref_mut()) {
                    let patch = patch_object(installed, &patch)?;
                    draft.merge(without_passwords(subject.collection, &patch));
                }
            }
            Err(Refusal::Rejected(rejection)) => merge(&mut refused, refusal(installed, rejection)?)?,
            Err(Refusal::Failed(failure)) => return Err(failed(call, installed, rule, failure.code, failure.message)),
            Err(Refusal::Host(failure)) => return Err(fault.take().unwrap_or(Error::Internal(failure.message))),
        }
    }
    ran.dedup();
    refused.map_or(Ok(ran), Err)
}

/// The rules that apply, by their order and then by the age of the installation.
fn rules<'a>(call: &'a Call, subject: &Subject<'_>) -> Vec<(&'a Arc<Installed>, &'a str)> {
    let all = call.world.plugins.iter().flat_map(|installed| installed.plugin.manifest().rules.iter().map(move |rule| (installed, rule)));
    let mut rules: Vec<_> = all.filter(|(_, rule)| rule.applies(Hook::BeforeWrite, subject.operation, subject.collection.name())).collect();
    rules.sort_by_key(|(_, rule)| rule.order);
    rules.into_iter().map(|(installed, rule)| (installed, rule.name.as_str())).collect()
}

fn event(call: &Call, subject: &Subject<'_>, rule: &str, after: Option<String>) -> Event {
    let mut caller = call.caller.attributes.clone();
    caller.insert("principal".to_owned(), Value::from(call.caller.principal.to_string()));
    let caller = if call.caller.principal == Principal::Anonymous { Value::Null } else { Value::Object(caller) };
    let mut context = Object::new();
    context.insert("now".to_owned(), Value::from(&*call.now));
    context.insert("request".to_owned(), Value::from(&*call.id));
    context.insert("caller".to_owned(), caller);
    context.insert("tenant".to_owned(), Value::from(call.caller.tenant.as_str()));
    context.insert("depth".to_owned(), Value::Integer(i64::from(call.depth)));
    let seed = blake3::hash(call.id.as_bytes());
    let mut first = [0_u8; 8];
    first.copy_from_slice(&seed.as_bytes()[..8]);
    Event {
        rule: rule.to_owned(),
        hook: Hook::BeforeWrite,
        operation: subject.operation,
        collection: subject.collection.name().to_owned(),
        id: subject.id.to_owned(),
        before: subject.before.map(|record| record_json(subject.collection, record)),
        after,
        context: Value::Object(context).to_json(),
        now_ms: u64::try_from(call.moment.timestamp_millis()).unwrap_or_default(),
        seed: u64::from_le_bytes(first),
        depth: usize::from(call.depth),
    }
}

/// A record as rules see it: every field, hidden ones too, but never a password.
pub(super) fn record_json(collection: &Collection, record: &Record) -> String {
    let mut values = Object::with_capacity(record.values.len() + 3);
    values.insert("id".to_owned(), Value::from(record.id.as_str()));
    values.extend(without_passwords(collection, &record.values));
    values.insert("created".to_owned(), Value::from(record.created.as_str()));
    values.insert("updated".to_owned(), Value::from(record.updated.as_str()));
    Value::Object(values).to_json()
}

fn without_passwords(collection: &Collection, values: &Object) -> Object {
    let is_password = |name: &str| collection.field(name).is_some_and(|field| field.kind == FieldType::Password);
    values.iter().filter(|(name, _)| !is_password(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn patch_object(installed: &Installed, patch: &str) -> Result<Object, Error> {
    match Value::from_json(patch.as_bytes()) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Error::PluginFailed {
            plugin: installed.name().to_owned(),
            code: "plugin.garbage",
            detail: "the patch is not a JSON object that can be stored".to_owned(),
        }),
    }
}

fn refusal(installed: &Installed, rejection: Rejection) -> Result<Error, Error> {
    let mut violations = Violations::default();
    for one in rejection.violations {
        let pointer = Pointer::parse(&one.path).unwrap_or_default();
        violations.0.push(Violation::new(pointer, &one.code, one.message));
    }
    match rejection.kind {
        RejectionKind::Retry => Err(Error::Store(store::Error::Conflict)),
        kind => Ok(Error::Refused { plugin: installed.name().to_owned(), kind, message: rejection.message, violations }),
    }
}

/// Field errors of several rules are answered together; anything but a field error ends the story at once.
fn merge(refused: &mut Option<Error>, next: Error) -> Result<(), Error> {
    match (refused.as_mut(), next) {
        (_, next @ Error::Refused { kind: RejectionKind::Forbidden | RejectionKind::Conflict, .. }) => Err(next),
        (Some(Error::Refused { violations, .. }), Error::Refused { violations: more, .. }) => {
            violations.0.extend(more.0);
            Ok(())
        }
        (_, next) => {
            *refused = Some(next);
            Ok(())
        }
    }
}

fn failed(call: &Call, installed: &Installed, rule: &str, code: &'static str, detail: String) -> Error {
    tracing::error!(request = %call.id, plugin = %installed.label(), rule, code, detail, "a rule failed");
    Error::PluginFailed { plugin: installed.name().to_owned(), code, detail }
}

fn report(call: &Call, installed: &Installed, rule: &str, logs: &[LogLine]) {
    for line in logs {
        let (plugin, message, fields) = (installed.name(), &line.message, &line.fields);
        match line.level {
            LogLevel::Debug => tracing::debug!(request = %call.id, plugin, rule, fields, "{message}"),
            LogLevel::Info => tracing::info!(request = %call.id, plugin, rule, fields, "{message}"),
            LogLevel::Warn => tracing::warn!(request = %call.id, plugin, rule, fields, "{message}"),
            LogLevel::Error => tracing::error!(request = %call.id, plugin, rule, fields, "{message}"),
        }
    }
}
