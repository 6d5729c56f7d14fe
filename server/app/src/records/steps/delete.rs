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
    call::Call,
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

impl Going {
    fn has(&self, collection: &Collection, id: &str) -> bool {
        self.records.contains(&(collection.name().to_owned(), id.to_owned()))
    }
}

/// How many records one deletion may take along, and over how many relations in a row.
const GOING_MAX: usize = 1_000;
const GOING_DEPTH_MAX: usize = 16;

async fn delete_with(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    (id, preconditions): (&str, &Preconditions),
    going: &mut Going,
) -> Result<Record, Error> {
    going.records.insert((collection.name().to_owned(), id.to_owned()));
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

/// What happens to the records that point to one that is deleted: each is authorized and runs through its own rules.
async fn release_dependents(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    id: &str,
    going: &mut Going,
) -> Result<(), Error> {
    for other in call.world.catalog.values() {
        for field in other.fields().filter(|field| field.collection.as_deref() == Some(collection.name())) {
            let dependents = dependents(call, transaction, other, field, id).await?;
            for record in dependents {
                // One that goes anyway is in nobody's way; that also ends circles.
                if going.has(other, &record.id) {
                    continue;
                }
                let released = release(call, transaction, (other, field), authority, (&record, id), going).await;
                released.map_err(|error| match error {
                    // What keeps the record is not for this caller to know.
                    Error::Decided { .. } => unreleased(other, field),
                    error => error,
                })?;
            }
        }
    }
    Ok(())
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
        OnDelete::Cascade if going.depth >= GOING_DEPTH_MAX || going.records.len() >= GOING_MAX => Err(unreleased(other, field)),
        OnDelete::Cascade => {
            let authority = authority.of_dependents(call, Action::Delete, other)?;
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
    if found.len() > GOING_MAX {
        return Err(unreleased(other, field));
    }
    Ok(found)
}

/// The caller may not change a record that would have to go along, so the one it depends on stays.
fn unreleased(other: &Collection, field: &Field) -> Error {
    Error::Referenced { collection: other.name().to_owned(), field: field.name.clone() }
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
