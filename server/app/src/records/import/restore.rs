//! A record as a file has it, with its id and its times: for whoever may restore what was exported. It is valid and its relations lead
//! somewhere, as for every record; but no policy is asked about it and no rule of a plugin, which have been before.

use model::{Collection, Draft, Record, validate};
use store::Transaction;

use super::super::steps::{self, next_id};
use crate::{Error, call::Call};

/// What a row says, and the record that it replaces, if there is one.
pub(super) struct Restored {
    pub(super) draft: Draft,
    pub(super) stored: Option<Record>,
}

/// Writes a record as a file has it.
///
/// # Errors
/// Everything that is wrong with it, a unique value or an id that is taken, too many conflicts.
pub(super) async fn restore(call: &Call, transaction: &Transaction, collection: &Collection, row: Restored) -> Result<Record, Error> {
    let Restored { draft, stored } = row;
    let stamp = validate::Stamp {
        id: next_id(),
        tenant: call.caller.tenant.clone(),
        now: call.now.to_string(),
        caller: call.caller.principal.id().map(str::to_owned),
    };
    let new = validate::restore(collection, draft, stamp, stored.as_ref()).map_err(Error::Invalid)?;
    steps::check_relations(call, transaction, collection, &new, stored.as_ref()).await?;
    steps::take_turns(call, transaction, collection).await?;
    let written = match &stored {
        Some(_) => store::records::update(transaction, collection, &new).await,
        None => store::records::insert(transaction, collection, &new).await,
    };
    written.map_err(|error| steps::not_unique(collection, error))?;
    if let Some(stored) = stored.as_ref().filter(|stored| steps::password_changed(collection, stored, new.record())) {
        store::sessions::remove_all(transaction, &stored.id).await?;
    }
    let (action, ground) = (if stored.is_some() { "update" } else { "create" }, (call.caller.principal.to_string(), Vec::new()));
    steps::append(call, transaction, collection, ground, action, (stored.as_ref(), Some(new.record())), Vec::new()).await?;
    Ok(new.into_record())
}
