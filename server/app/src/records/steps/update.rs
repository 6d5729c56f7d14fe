//! Writing the next version of a stored record inside an open transaction.

use model::{Action, Collection, Draft, FieldType, Modifiers, Record, collection::USERS, validate};
use plugins::Operation;
use store::Transaction;

use super::{
    Authority, Logged, Manner, log,
    masks::{blind, check_write_mask},
    not_unique,
    relations::{Held, check_relations},
    take_turns,
    unique::check_unique,
};
use crate::{
    Error,
    call::{Call, Doing},
    decisions::Refused,
    records::{
        Preconditions,
        rules::{self, Subject},
    },
};

/// What an update is asked to do.
pub(in crate::records) struct Change<'a> {
    pub(in crate::records) id: &'a str,
    pub(in crate::records) draft: Draft,
    pub(in crate::records) manner: Manner,
    pub(in crate::records) preconditions: &'a Preconditions,
}

/// Writes the next version of a stored record.
pub(in crate::records) async fn update(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    mut change: Change<'_>,
) -> Result<Record, Error> {
    let _kept = call.attempt.under_way.begin(Doing::Writing, collection, change.id)?;
    let stored = load(call, transaction, (collection, Action::Update), &authority, change.id, change.preconditions).await?;
    let modifiers = match change.manner {
        Manner::Merge => Modifiers::split(&mut change.draft),
        Manner::Replace => Modifiers::default(),
    };
    let written = write(call, transaction, collection, &authority, (stored, change, &modifiers)).await;
    written.map_err(|error| error.relocated(|violations| modifiers.located(violations)))
}

async fn write(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    (stored, change, modifiers): (Record, Change<'_>, &Modifiers),
) -> Result<Record, Error> {
    let (mut change, unseen) = blind(call, authority, collection, &stored, (change, modifiers))?;
    modifiers.apply(collection, &stored.values, &mut change.draft).map_err(Error::Invalid)?;
    let given: Vec<String> = match change.manner {
        Manner::Merge => change.draft.values.keys().cloned().collect(),
        Manner::Replace => collection.fields().map(|field| field.name.clone()).collect(),
    };
    let mut draft = match change.manner {
        Manner::Merge => validate::merged(&stored, change.draft),
        Manner::Replace => validate::replaced(collection, &stored, change.draft),
    };

    let subject = Subject { collection, operation: Operation::Update, id: change.id, before: Some(&stored) };
    let ran = rules::before_write(call, transaction, &subject, Some(&mut draft)).await?;
    let new = validate::update(collection, &stored, draft, &call.now).map_err(Error::Invalid)?;
    check_relations(call, transaction, collection, (&new, Some(&stored)), &mut Held::default()).await?;
    if !authority.allows(call, new.record(), Some(&stored)) {
        let (record, before) = (Some(new.record().clone()), Some(stored));
        return Err(call.denied(Refused {
            id: Some(change.id.to_owned()),
            record,
            before,
            ..Refused::records(Action::Update, collection)
        }));
    }
    check_write_mask(call, authority, collection, (&new, Some(&stored)), (&given, &unseen))?;
    check_unique(call, transaction, collection, (&new, Some(&stored))).await?;

    take_turns(call, transaction, collection).await?;
    store::records::update(transaction, collection, &new).await.map_err(|error| not_unique(collection, error))?;
    if password_changed(collection, &stored, new.record()) {
        store::sessions::remove_all(transaction, &stored.id).await?;
    }
    if collection.name() == USERS {
        call.attempt.aftermath.forget_account(&stored.id);
    }
    let logged = Logged { action: "update", before: Some(&stored), after: Some(new.record()), plugins: ran };
    log(call, transaction, collection, authority, logged).await?;
    rules::after_write(call, transaction, &subject, Some(new.record())).await?;
    Ok(new.into_record())
}

/// Reads the stored record, locked. One that the plan does not allow is not there for this caller.
pub(super) async fn load(
    call: &Call,
    transaction: &Transaction,
    (collection, action): (&Collection, Action),
    authority: &Authority,
    id: &str,
    preconditions: &Preconditions,
) -> Result<Record, Error> {
    let stored = match store::records::get_locked(transaction, collection, &call.caller.tenant, id).await? {
        Some(stored) if authority.allows(call, &stored, Some(&stored)) => stored,
        stored => {
            return Err(match authority {
                Authority::Plan(_) => call.hidden(action, collection, id, stored),
                Authority::Grant(_) => Error::no_record(id),
            });
        }
    };
    preconditions.check(&stored)?;
    Ok(stored)
}

pub(super) fn password_changed(collection: &Collection, before: &Record, after: &Record) -> bool {
    let mut passwords = collection.fields().filter(|field| field.kind == FieldType::Password);
    passwords.any(|field| before.values.get(&field.name) != after.values.get(&field.name))
}
