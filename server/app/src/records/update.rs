//! The story of a changed record.

use model::{Action, Draft, collection::USERS};

use super::{Share, Shown, committed, passwords, steps};
use crate::{Error, call::Call};

/// How a draft and the stored record become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// PATCH: a merge patch, what it does not say stays.
    Merge,
    /// PUT: what it does not say becomes the default or null.
    Replace,
}

/// Changes a stored record. `if_match` is the entity tag that it must still have.
///
/// # Errors
/// In the order of the story: the body, the policies, no such record, another version, a rule, validation, the policies again, a unique
/// value, too many conflicts.
pub async fn update(
    call: &Call,
    collection: &str,
    id: &str,
    body: &[u8],
    manner: Manner,
    if_match: Option<String>,
) -> Result<Shown, Error> {
    let draft = Draft::parse(body).map_err(Error::Body)?;
    let defined = call.collection(collection)?;
    call.plan(Action::Update, &defined)?;
    let draft = passwords::sealed(&defined, draft).await?;

    let (name, id) = (collection.to_owned(), id.to_owned());
    let record = committed(call, Share::WithOthers, move |call, transaction| {
        let (name, id, draft, if_match) = (name.clone(), id.clone(), draft.clone(), if_match.clone());
        async move {
            let collection = call.collection(&name)?;
            let plan = call.plan(Action::Update, &collection)?;
            let change = steps::Change { id: &id, draft, manner, if_match: if_match.as_deref() };
            steps::update(&call, &transaction, &collection, steps::Authority::Plan(plan), change).await
        }
    })
    .await?;
    if collection == USERS {
        call.app.keyring.forget_account(&record.id);
    }
    Ok(Shown::after_write(call, &defined, record))
}
