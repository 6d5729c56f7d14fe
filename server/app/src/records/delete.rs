//! The story of a deleted record.

use std::sync::Arc;

use model::{Action, collection::USERS};

use super::{Shown, committed, steps};
use crate::{Error, call::Call};

/// Deletes a stored record and returns it as it was. `if_match` is the entity tag that it must still have.
///
/// # Errors
/// In the order of the story: the policies, no such record, another version, a rule, a relation that restricts, too many conflicts.
pub async fn delete(call: &Call, collection: &str, id: &str, if_match: Option<String>) -> Result<Shown, Error> {
    let collection = call.collection(collection)?;
    let plan = call.plan(Action::Delete, &collection)?;

    let writer = (collection.clone(), Arc::clone(&plan), id.to_owned(), if_match);
    let record = committed(call, move |call, transaction| {
        let (collection, plan, id, if_match) = writer.clone();
        async move { steps::delete(&call, &transaction, &collection, steps::Authority::Plan(plan), &id, if_match.as_deref()).await }
    })
    .await?;
    if collection.name() == USERS {
        call.app.keyring.forget_account(&record.id);
    }
    Ok(Shown::after_write(call, &collection, record))
}
