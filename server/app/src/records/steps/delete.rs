//! Deleting inside an open transaction, with everything that hangs on the record.

use std::collections::BTreeSet;

use model::{Action, Collection, Draft, Field, Record, Value, collection::USERS, field::OnDelete};
use plugins::Operation;
use store::Transaction;

use super::{
    Authority, Change, Logged, Manner, log, take_turns,
    update::{self, load},
};
use crate::{
    Error,
    call::{Call, Doing},
    records::{
        Preconditions,
        rules::{self, Subject},
    },
};

/// Removes a stored record and returns it as it was.
pub(in crate::records) async fn delete(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    (id, preconditions): (&str, &Preconditions),
) -> Result<Record, Error> {
    delete_with(call, transaction, collection, authority, (id, preconditions), &mut Going::default()).await
}

/// The records that one deletion takes along, itself included: `collection` and `id`.
#[derive(Default)]
struct Going {
    records: BTreeSet<(String, String)>,
    depth: usize,
}

/// How many records one deletion may take along, and over how many relations in a row.
const GOING_MAX: usize = 1_000;
const GOING_DEPTH_MAX: usize = 16;

/// How often it is looked for records that point to one that goes: a rule may keep pointing there.
const LOOKS_MAX: usize = 4;

async fn delete_with(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    (id, preconditions): (&str, &Preconditions),
    going: &mut Going,
) -> Result<Record, Error> {
    going.records.insert((collection.name().to_owned(), id.to_owned()));
    let _kept = call.attempt.under_way.begin(Doing::Deleting, collection, id)?;
    let stored = load(call, transaction, (collection, Action::Delete), &authority, id, preconditions).await?;
    let subject = Subject { collection, operation: Operation::Delete, id, before: Some(&stored) };
    let ran = rules::before_write(call, transaction, &subject, None).await?;
    going.depth += 1;
    release_dependents(call, transaction, collection, &authority, id, going).await?;
    going.depth -= 1;
    take_turns(call, transaction, collection).await?;
    store::records::remove(transaction, collection, id).await?;
    if collection.name() == USERS {
        store::sessions::remove_all(transaction, id).await?;
        call.attempt.aftermath.forget_account(id);
    }
    let logged = Logged { action: "delete", before: Some(&stored), after: None, plugins: ran };
    log(call, transaction, collection, &authority, logged).await?;
    rules::after_write(call, transaction, &subject, None).await?;
    Ok(stored)
}

/// What happens to the records that point to one that is deleted, until there are none: a rule of one may have written another.
async fn release_dependents(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    id: &str,
    going: &mut Going,
) -> Result<(), Error> {
    let mut found = None;
    for _ in 0..LOOKS_MAX {
        found = release_found(call, transaction, collection, authority, id, going).await?;
        if found.is_none() {
            break;
        }
    }
    found.map_or(Ok(()), |(other, field)| Err(unreleased(other, field)))
}

/// Looks once, and says with which relation it has found any. Each record is authorized and runs through its own rules.
async fn release_found<'a>(
    call: &'a Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    id: &str,
    going: &mut Going,
) -> Result<Option<(&'a Collection, &'a Field)>, Error> {
    let mut found = None;
    for other in call.world.catalog.values() {
        for field in other.fields().filter(|field| field.collection.as_deref() == Some(collection.name())) {
            for record in dependents(call, transaction, other, field, id).await? {
                // One that goes anyway is in nobody's way, with this deletion or with the one whose rule began it; that also ends circles.
                if call.attempt.under_way.is_going(other.name(), &record.id) {
                    continue;
                }
                found = Some((other, field));
                // A rule of one before it may have deleted it, or let it point elsewhere.
                let now = store::records::get(transaction, other, &call.caller.tenant, &record.id).await?;
                if let Some(record) = now.filter(|record| points(record, &field.name, id)) {
                    let released = release(call, transaction, (other, field), authority, (&record, id), going).await;
                    released.map_err(|error| kept(call, (other, field), &record, error))?;
                }
            }
        }
    }
    Ok(found)
}

fn points(record: &Record, field: &str, id: &str) -> bool {
    match record.values.get(field) {
        Some(Value::List(ids)) => ids.iter().any(|other| other.as_text() == Some(id)),
        value => value.and_then(Value::as_text) == Some(id),
    }
}

/// Why a record could not go along or be changed, for whoever asked for the deletion of the one it points to. They have not sent it, so they
/// are told which one it is if they may see it.
fn kept(call: &Call, (other, field): (&Collection, &Field), record: &Record, error: Error) -> Error {
    match error {
        // What keeps the record is not for this caller to know; and one that is being written cannot be waited for.
        Error::Decided { .. } | Error::BeingWritten { .. } => unreleased(other, field),
        error => {
            let read = call.world.policies.plan(&call.caller, Action::Read, other);
            let seen = read.allows(&call.context(record, None));
            let which = if seen { format!("`{}` of ", record.id) } else { String::new() };
            let place = format!("in {which}`{}`", other.name());
            error.elsewhere(&place)
        }
    }
}

/// Deletes or changes one record that points to the one that is deleted, or says that it is in the way.
async fn release(
    call: &Call,
    transaction: &Transaction,
    (other, field): (&Collection, &Field),
    authority: &Authority,
    (record, id): (&Record, &str),
    going: &mut Going,
) -> Result<(), Error> {
    match field.on_delete.unwrap_or_default() {
        OnDelete::Restrict => Err(unreleased(other, field)),
        OnDelete::Cascade => {
            let authority = authority.of_dependents(call, Action::Delete, other)?;
            if going.depth >= GOING_DEPTH_MAX || going.records.len() >= GOING_MAX {
                return Err(too_many());
            }
            Box::pin(delete_with(call, transaction, other, authority, (&record.id, Preconditions::NONE), going)).await.map(drop)
        }
        OnDelete::Unset => {
            let authority = authority.of_dependents(call, Action::Update, other)?;
            let draft = without(record, &field.name, id);
            let change = Change { id: &record.id, draft, manner: Manner::Merge, preconditions: Preconditions::NONE };
            update::update(call, transaction, other, authority, change).await.map(drop)
        }
    }
}

async fn dependents(call: &Call, transaction: &Transaction, other: &Collection, field: &Field, id: &str) -> Result<Vec<Record>, Error> {
    let found = store::records::referring(transaction, other, &call.caller.tenant, &field.name, id, GOING_MAX + 1).await?;
    // Of those that restrict, one is enough.
    if found.len() > GOING_MAX && field.on_delete.unwrap_or_default() != OnDelete::Restrict {
        return Err(too_many());
    }
    Ok(found)
}

/// The caller may not change a record that would have to go along, so the one it depends on stays.
fn unreleased(other: &Collection, field: &Field) -> Error {
    Error::Referenced { collection: other.name().to_owned(), field: field.name.clone() }
}

fn too_many() -> Error {
    Error::TooManyDependents { records: GOING_MAX, relations: GOING_DEPTH_MAX }
}

fn without(record: &Record, field: &str, id: &str) -> Draft {
    let value = match record.values.get(field) {
        Some(Value::List(ids)) => Value::List(ids.iter().filter(|other| other.as_text() != Some(id)).cloned().collect()),
        _ => Value::Null,
    };
    let mut draft = Draft::default();
    draft.values.insert(field.to_owned(), value);
    draft
}
