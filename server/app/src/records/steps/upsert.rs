//! Changing the record that a draft means, or creating it, inside an open transaction. A record that the caller could not change anyway is
//! treated as one that is not there: whoever creates it then hears what every creation hears about a value that is taken, and no more.

use model::{Action, Collection, Draft, Key, Kind, Modifiers, Pointer, Record, Violation, key::Wanted, validate};
use policies::Plan;
use store::Transaction;

use super::{Authority, Change, Manner, NewId, create_as, update};
use crate::{
    Error,
    call::Call,
    decisions::Refused,
    records::{Outcome, Preconditions},
};

/// What an upsert is asked to do.
pub(in crate::records) struct Upsert<'a> {
    pub(in crate::records) key: &'a Key,
    pub(in crate::records) draft: Draft,
    /// How the draft and a record that is there become one.
    pub(in crate::records) manner: Manner,
    pub(in crate::records) preconditions: &'a Preconditions,
}

/// Writes the next version of the record that the draft means, or a new one.
pub(in crate::records) async fn upsert(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    upsert: Upsert<'_>,
) -> Result<(Record, Outcome), Error> {
    let Upsert { key, draft, manner, preconditions } = upsert;
    let wanted = key.of(collection, &draft).map_err(Error::Invalid)?;
    let plan = call.world.policies.plan(&call.caller, Action::Update, collection);
    if let Some(found) = find(call, transaction, collection, (&wanted, &plan)).await? {
        let change = Change { id: &found.id, draft, manner, preconditions };
        let record = update(call, transaction, collection, Authority::Plan(plan), change).await?;
        return Ok((record, Outcome::Done));
    }
    preconditions.check_absent()?;
    let authority = Authority::of_caller(call, Action::Create, collection)?;
    let id = match wanted {
        Wanted::Values(_) => NewId::Made,
        Wanted::Id(id) if collection.kind() == Kind::Base => NewId::Chosen(id),
        Wanted::Id(_) => return Err(no_choice(call, collection)),
    };
    let record = insert(call, transaction, collection, authority, (id, draft, manner)).await?;
    Ok((record, Outcome::Created))
}

/// The record that is meant, if the caller may change it. Whoever names values rather than an id must be able to see it, too: an answer would
/// tell what it has.
async fn find(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    (wanted, plan): (&Wanted, &Plan),
) -> Result<Option<Record>, Error> {
    let tenant = &call.caller.tenant;
    let found = match wanted {
        Wanted::Id(id) => store::records::get(transaction, collection, tenant, id).await?,
        Wanted::Values(values) => {
            let read = call.world.policies.plan(&call.caller, Action::Read, collection);
            let found = store::records::find_by(transaction, collection, tenant, values).await?;
            found.filter(|record| read.allows(&call.context(record, None)))
        }
    };
    Ok(found.filter(|record| plan.allows(&call.context(record, Some(record)))))
}

/// Modifiers of a new record change what it would have by default.
async fn insert(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    (id, mut draft, manner): (NewId, Draft, Manner),
) -> Result<Record, Error> {
    let modifiers = match manner {
        Manner::Merge => Modifiers::split(&mut draft),
        Manner::Replace => Modifiers::default(),
    };
    let mut defaults = Draft::default();
    validate::fill_defaults(collection, &mut defaults, call.caller.principal.id());
    modifiers.apply(collection, &defaults.values, &mut draft).map_err(Error::Invalid)?;
    let created = create_as(call, transaction, collection, authority, (id, draft)).await;
    created.map_err(|error| error.relocated(|violations| modifiers.located(violations)))
}

/// Roles and policies name accounts by their ids, also those of accounts that are gone: nobody may become one of them.
fn no_choice(call: &Call, collection: &Collection) -> Error {
    let refused = Refused { fields: vec!["id".to_owned()], ..Refused::records(Action::Create, collection) };
    let message = "the id of an account is made by the server";
    call.decided(refused, Error::FieldsDenied(Violation::new(Pointer::field("id"), "field.forbidden", message).into()))
}
