//! The story of a deleted record.

use model::{Action, Collection, collection::USERS};

use super::{Share, Shown, committed, steps};
use crate::{Error, call::Call};

/// Deletes a stored record and returns it as it was. `if_match` is the entity tag that it must still have.
///
/// # Errors
/// In the order of the story: the policies, no such record, another version, a rule, a relation that restricts, too many conflicts.
pub async fn delete(call: &Call, collection: &str, id: &str, if_match: Option<String>) -> Result<Shown, Error> {
    let defined = call.collection(collection)?;
    call.plan(Action::Delete, &defined)?;

    let pointed_to = call.world.catalog.values().flat_map(Collection::fields).any(|field| field.collection.as_deref() == Some(collection));
    let share = if pointed_to { Share::Alone } else { Share::WithOthers };
    let (name, id) = (collection.to_owned(), id.to_owned());
    let record = committed(call, share, move |call, transaction| {
        let (name, id, if_match) = (name.clone(), id.clone(), if_match.clone());
        async move {
            let collection = call.collection(&name)?;
            let plan = call.plan(Action::Delete, &collection)?;
            steps::delete(&call, &transaction, &collection, steps::Authority::Plan(plan), &id, if_match.as_deref()).await
        }
    })
    .await?;
    if collection == USERS {
        call.app.keyring.forget_account(&record.id);
    }
    Ok(Shown::after_write(call, &defined, record))
}
