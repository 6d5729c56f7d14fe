//! The story of a deleted record.

use model::Action;

use super::{
    Answer, Outcome, Shown, Terms,
    commit::Share,
    idempotency::{told_once, written_once},
    steps::{self, Authority},
};
use crate::{Error, call::Call};

/// Deletes a stored record and tells what it was.
///
/// # Errors
/// In the order of the story: the policies, no such record, another version, a rule, a relation that restricts, too many conflicts.
pub(crate) async fn delete(call: &Call, (collection, id): (&str, &str), terms: &Terms) -> Result<Answer, Error> {
    told_once(call, terms.once.as_ref(), async {
        let defined = call.collection(collection)?;
        call.plan(Action::Delete, &defined)?;
        written_once(call, Share::of_deletion(call, collection), terms.once.as_ref(), |call, transaction| async move {
            let collection = call.collection(collection)?;
            let authority = Authority::of_caller(&call, Action::Delete, &collection)?;
            let record = steps::delete(&call, &transaction, &collection, authority, (id, &terms.preconditions)).await?;
            Answer::one(&call, Outcome::Done, &Shown::after_write(&call, &collection, record))
        })
        .await
    })
    .await
}
