//! A record as a file has it, with its id and its times: for whoever may restore what was exported. It is valid and its relations lead
//! somewhere, as for every record; but no policy is asked about it and no rule of a plugin, which have been before.

use model::{Collection, Draft, Record, collection::USERS, validate};
use store::Transaction;

use super::{
    Logged,
    log::log_restored,
    next_id, not_unique,
    relations::{Held, check_relations},
    take_turns,
    update::password_changed,
};
use crate::{Error, call::Call};

/// Writes a record as a draft has it, over the one that is stored if there is one.
pub(in crate::records) async fn restore(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    draft: Draft,
    stored: Option<&Record>,
) -> Result<Record, Error> {
    let stamp = validate::Stamp {
        id: next_id(),
        tenant: call.caller.tenant.clone(),
        now: call.now.to_string(),
        caller: call.caller.principal.id().map(str::to_owned),
    };
    let new = validate::restore(collection, draft, stamp, stored).map_err(Error::Invalid)?;
    check_relations(call, transaction, collection, (&new, stored), &mut Held::default()).await?;
    take_turns(call, transaction, collection).await?;
    let written = match stored {
        Some(_) => store::records::update(transaction, collection, &new).await,
        None => store::records::insert(transaction, collection, &new).await,
    };
    written.map_err(|error| not_unique(collection, error))?;
    if let Some(stored) = stored.filter(|_| collection.name() == USERS) {
        if password_changed(collection, stored, new.record()) {
            store::sessions::remove_all(transaction, &stored.id).await?;
        }
        call.attempt.aftermath.forget_account(&stored.id);
    }
    let action = if stored.is_some() { "update" } else { "create" };
    let logged = Logged { action, before: stored, after: Some(new.record()), plugins: Vec::new() };
    log_restored(call, transaction, collection, logged).await?;
    Ok(new.into_record())
}
