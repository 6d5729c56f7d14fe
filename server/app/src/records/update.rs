//! The story of a changed record, and of one that is put in its place - or where none is yet.

use model::{Action, Draft, Key, Value};

use super::{
    Answer, Outcome, Shown, Terms,
    commit::Share,
    idempotency::{told_once, written_once},
    passwords,
    steps::{self, Authority, Change, Upsert},
    upsert::may_upsert,
};
use crate::{Error, call::Call};

/// How a draft and the stored record become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// PATCH: a merge patch, what it does not say stays; its modifiers change what is stored.
    Merge,
    /// PUT: what it does not say becomes the default or null.
    Replace,
}

/// Changes a stored record.
///
/// # Errors
/// In the order of the story: the body, the policies, no such record, another version, a rule, validation, the policies again, a unique
/// value, too many conflicts.
pub(crate) async fn update(
    call: &Call,
    (collection, id): (&str, &str),
    body: &[u8],
    manner: Manner,
    terms: &Terms,
) -> Result<Answer, Error> {
    told_once(call, terms.once.as_ref(), async {
        let draft = Draft::parse(body).map_err(Error::Body)?;
        let defined = call.collection(collection)?;
        call.plan(Action::Update, &defined)?;
        let draft = &passwords::sealed(&defined, draft).await?;
        written_once(call, Share::WithOthers, terms.once.as_ref(), |call, transaction| async move {
            let collection = call.collection(collection)?;
            let authority = Authority::of_caller(&call, Action::Update, &collection)?;
            let change = Change { id, draft: draft.clone(), manner, preconditions: &terms.preconditions };
            let record = steps::update(&call, &transaction, &collection, authority, change).await?;
            Answer::one(&call, Outcome::Done, &Shown::after_write(&call, &collection, record))
        })
        .await
    })
    .await
}

/// Puts a record where there must be none yet, under the id that the client has chosen.
///
/// # Errors
/// As [`update`]; [`Error::VersionMismatch`] when there is one.
pub(crate) async fn put_new(call: &Call, (collection, id): (&str, &str), body: &[u8], terms: &Terms) -> Result<Answer, Error> {
    told_once(call, terms.once.as_ref(), async {
        let mut draft = Draft::parse(body).map_err(Error::Body)?;
        let defined = call.collection(collection)?;
        may_upsert(call, &defined)?;
        draft.values.insert("id".to_owned(), Value::from(id));
        let draft = &passwords::sealed(&defined, draft).await?;
        written_once(call, Share::WithOthers, terms.once.as_ref(), |call, transaction| async move {
            let collection = call.collection(collection)?;
            may_upsert(&call, &collection)?;
            let upsert = Upsert { key: &Key::Id, draft: draft.clone(), manner: Manner::Replace, preconditions: &terms.preconditions };
            let (record, outcome) = steps::upsert(&call, &transaction, &collection, upsert).await?;
            Answer::one(&call, outcome, &Shown::after_write(&call, &collection, record))
        })
        .await
    })
    .await
}
