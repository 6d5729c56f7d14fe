//! The rules of plugins around a write. Before it, all of them are asked, so that a client hears of everything at once, and what any of them
//! refuses is not written; those that run after the commit get a row in the outbox, in the same transaction.

mod detached;

mod records;

mod run;

use model::{Collection, Draft, FieldType, Pointer, Record, Value, Violation, Violations, value::Object};
use plugins::{Hook, Operation, Outcome, Rejection, RejectionKind};
use store::Transaction;

use crate::{
    Error,
    call::Call,
    outbox::{self, Written},
    plugins::Installed,
};
pub(crate) use detached::{Detached, Tried, in_own_transaction, try_out};
use run::{Asked, Play, Stopped};

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
    shadow(call, transaction, subject, draft.as_deref()).await;
    let mut ran = Vec::new();
    let mut refused: Option<Error> = None;
    for bound in call.world.plugins.rules(Hook::BeforeWrite, subject.operation, subject.collection.name()) {
        let asked = subject.asked(draft.as_deref());
        let answer = run::run(call, transaction, bound, Play::Real, asked, patch).await;
        ran.push(bound.installed.label());
        match answer {
            Ok(patch) => {
                if let (Some(patch), Some(draft)) = (patch, draft.as_deref_mut()) {
                    draft.merge(without_passwords(subject.collection, &patch));
                }
            }
            Err(Stopped::Rejected(rejection)) => merge(&mut refused, refusal(&bound.installed, rejection)?)?,
            Err(Stopped::Error(error)) => return Err(error),
        }
    }
    ran.dedup();
    refused.map_or(Ok(ran), Err)
}

/// Runs the versions that are only watched. They see the draft before any rule has changed it; whatever they say, the write goes on.
async fn shadow(call: &Call, transaction: &Transaction, subject: &Subject<'_>, draft: Option<&Draft>) {
    for bound in call.world.plugins.shadows(Hook::BeforeWrite, subject.operation, subject.collection.name()) {
        // What came out has been noted where it can be looked at.
        let _ = run::run(call, transaction, bound, Play::Shadow, subject.asked(draft), patch).await;
    }
}

/// Puts the rules that run after the commit into the outbox.
pub(super) async fn after_write(
    call: &Call,
    transaction: &Transaction,
    subject: &Subject<'_>,
    after: Option<&Record>,
) -> Result<(), Error> {
    let name = subject.collection.name();
    for bound in call.world.plugins.rules(Hook::AfterCommit, subject.operation, name) {
        let json = |record: Option<&Record>| record.map(|record| record_json(subject.collection, record));
        let (before, after) = (json(subject.before), json(after));
        let written = Written { operation: subject.operation.as_str(), collection: name, id: subject.id, before, after };
        call.enqueue(transaction, &outbox::after_commit(call, bound, written)?).await?;
    }
    Ok(())
}

impl Subject<'_> {
    fn asked(&self, draft: Option<&Draft>) -> Asked {
        Asked {
            hook: Hook::BeforeWrite,
            operation: self.operation.as_str().to_owned(),
            collection: self.collection.name().to_owned(),
            id: self.id.to_owned(),
            before: self.before.map(|record| record_json(self.collection, record)),
            after: draft.map(|draft| Value::Object(without_passwords(self.collection, &draft.values)).to_json()),
            context: Object::new(),
        }
    }
}

/// A record as rules see it: every field, hidden ones too, but never a password.
fn record_json(collection: &Collection, record: &Record) -> String {
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

/// What the rule changes in the draft. The contract asks for a JSON object, storing it for more.
fn patch(_: &Transaction, outcome: &Outcome) -> Result<Option<Object>, String> {
    match outcome.patch.as_deref().map(|patch| Value::from_json(patch.as_bytes())) {
        None => Ok(None),
        Some(Ok(Value::Object(patch))) => Ok(Some(patch)),
        Some(_) => Err("the patch is not a JSON object that can be stored".to_owned()),
    }
}

/// A rule's no as the error of the story; one that asks for another attempt is a conflict.
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
