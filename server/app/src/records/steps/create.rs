//! Writing new records inside an open transaction.

use model::{Action, Collection, Draft, NewRecord, Record, validate};
use plugins::{Hook, Operation};
use store::Transaction;

use super::{
    Authority, Logged, log, log_all,
    masks::check_write_mask,
    next_id, not_unique,
    relations::{Held, check_relations},
    take_turns,
    unique::check_unique,
};
use crate::{
    Error, Place,
    call::{Call, Doing, Kept},
    decisions::Refused,
    records::rules::{self, Subject},
};

/// Where the id of a new record comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::records) enum NewId {
    /// The server makes it.
    Made,
    /// The client has chosen it: a ULID that may be taken.
    Chosen(String),
}

/// Writes a new record.
pub(in crate::records) async fn create(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    draft: Draft,
) -> Result<Record, Error> {
    create_as(call, transaction, collection, authority, (NewId::Made, draft)).await
}

/// Writes a new record whose id may be chosen.
pub(in crate::records) async fn create_as(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    (id, draft): (NewId, Draft),
) -> Result<Record, Error> {
    let Prepared { new, ran, kept: _kept } = prepared(call, transaction, collection, &authority, (id, draft), &mut Held::default()).await?;
    check_unique(call, transaction, collection, (&new, None)).await?;
    take_turns(call, transaction, collection).await?;
    store::records::insert(transaction, collection, &new).await.map_err(|error| not_unique(collection, error))?;
    let logged = Logged { action: "create", before: None, after: Some(new.record()), plugins: ran };
    log(call, transaction, collection, &authority, logged).await?;
    announce(call, transaction, collection, &new).await?;
    Ok(new.into_record())
}

/// Writes new records, in order. An error says which of them it is about.
pub(in crate::records) async fn create_all(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    drafts: Vec<Draft>,
    pace: Pace,
) -> Result<Vec<Record>, Error> {
    if pace == Pace::Together && !has_rules(call, collection) {
        return create_together(call, transaction, collection, authority, drafts).await;
    }
    let mut records = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        let created = create(call, transaction, collection, authority.clone(), draft).await;
        records.push(created.map_err(|error| error.at(Place::element(index)))?);
    }
    Ok(records)
}

/// How several records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::records) enum Pace {
    /// In one statement where no rule has to see the effect of one on the next.
    Together,
    /// One after the other, so that it can be said which of them is in the way.
    OneByOne,
}

fn has_rules(call: &Call, collection: &Collection) -> bool {
    let (plugins, name) = (&call.world.plugins, collection.name());
    let (real, watched) =
        (plugins.rules(Hook::BeforeWrite, Operation::Create, name), plugins.shadows(Hook::BeforeWrite, Operation::Create, name));
    !real.is_empty() || !watched.is_empty()
}

async fn create_together(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    drafts: Vec<Draft>,
) -> Result<Vec<Record>, Error> {
    let (mut all, mut held) = (Vec::with_capacity(drafts.len()), Held::default());
    for (index, draft) in drafts.into_iter().enumerate() {
        let prepared = prepared(call, transaction, collection, authority, (NewId::Made, draft), &mut held).await;
        all.push(prepared.map_err(|error| error.at(Place::element(index)))?.new);
    }
    take_turns(call, transaction, collection).await?;
    store::records::insert_all(transaction, collection, &all).await.map_err(|error| not_unique(collection, error))?;
    let logged = |new| Logged { action: "create", before: None, after: Some(NewRecord::record(new)), plugins: Vec::new() };
    let logged: Vec<_> = all.iter().map(logged).collect();
    log_all(call, transaction, collection, authority, &logged).await?;
    for new in &all {
        announce(call, transaction, collection, new).await?;
    }
    Ok(all.into_iter().map(NewRecord::into_record).collect())
}

/// A record that may be written, and the plugins that had a say.
struct Prepared {
    new: NewRecord,
    ran: Vec<String>,
    kept: Kept,
}

/// Everything about a new record but writing it.
async fn prepared(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    (id, mut draft): (NewId, Draft),
    held: &mut Held,
) -> Result<Prepared, Error> {
    let given: Vec<String> = draft.values.keys().cloned().collect();
    let caller = call.caller.principal.id();
    validate::fill_defaults(collection, &mut draft, caller);
    let id = if let NewId::Chosen(id) = id { id } else { next_id() };

    let kept = call.attempt.under_way.begin(Doing::Writing, collection, &id)?;
    let subject = Subject { collection, operation: Operation::Create, id: &id, before: None };
    let ran = rules::before_write(call, transaction, &subject, Some(&mut draft)).await?;
    let (tenant, now) = (call.caller.tenant.clone(), call.now.to_string());
    let stamp = validate::Stamp { id: id.clone(), tenant, now, caller: caller.map(str::to_owned) };
    let new = validate::create(collection, draft, stamp).map_err(Error::Invalid)?;
    check_relations(call, transaction, collection, (&new, None), held).await?;
    if !authority.allows(call, new.record(), None) {
        return Err(call.denied(Refused { record: Some(new.record().clone()), ..Refused::records(Action::Create, collection) }));
    }
    check_write_mask(call, authority, collection, (&new, None), (&given, &[]))?;
    Ok(Prepared { new, ran, kept })
}

/// Rules that run after the commit hear of the record.
async fn announce(call: &Call, transaction: &Transaction, collection: &Collection, new: &NewRecord) -> Result<(), Error> {
    let subject = Subject { collection, operation: Operation::Create, id: &new.record().id, before: None };
    rules::after_write(call, transaction, &subject, Some(new.record())).await
}
