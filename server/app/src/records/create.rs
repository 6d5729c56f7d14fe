//! The story of new records: of one, or of several that are written together or not at all.

use model::{Action, Draft, Drafts, Record};

use super::{
    Answer, Outcome, Shown, Terms,
    commit::{Share, committed},
    idempotency::{told_once, written_once},
    passwords,
    steps::{self, Authority, Pace},
};
use crate::{Error, call::Call, once::Once};

/// Makes a record out of a JSON object, or several out of an array.
///
/// # Errors
/// In the order of the story: the body, the policies, terms that no new record can keep, a rule, validation, the policies again, a unique
/// value, too many conflicts.
pub(crate) async fn create(call: &Call, collection: &str, body: &[u8], terms: &Terms) -> Result<Answer, Error> {
    let once = terms.once.as_ref();
    told_once(call, once, async {
        let drafts = Drafts::parse(body).map_err(Error::Body)?;
        let defined = call.collection(collection)?;
        call.plan(Action::Create, &defined)?;
        terms.preconditions.check_absent()?;
        match passwords::all_sealed(&defined, drafts).await? {
            Drafts::One(draft) => create_one(call, collection, &draft, once).await,
            Drafts::Many(drafts) => create_many(call, collection, &drafts, once).await,
        }
    })
    .await
}

async fn create_one(call: &Call, name: &str, draft: &Draft, once: Option<&Once>) -> Result<Answer, Error> {
    written_once(call, Share::WithOthers, once, |call, transaction| async move {
        let collection = call.collection(name)?;
        let authority = Authority::of_caller(&call, Action::Create, &collection)?;
        let record = steps::create(&call, &transaction, &collection, authority, draft.clone()).await?;
        Answer::one(&call, Outcome::Created, &Shown::after_write(&call, &collection, record))
    })
    .await
}

async fn create_many(call: &Call, name: &str, drafts: &[Draft], once: Option<&Once>) -> Result<Answer, Error> {
    let written = |pace| {
        written_once(call, Share::WithOthers, once, move |call, transaction| async move {
            let collection = call.collection(name)?;
            let authority = Authority::of_caller(&call, Action::Create, &collection)?;
            let records = steps::create_all(&call, &transaction, &collection, &authority, drafts.to_vec(), pace).await?;
            let shown: Vec<Shown> = records.into_iter().map(|record| Shown::after_write(&call, &collection, record)).collect();
            Answer::many(&call, Outcome::Created, &shown)
        })
    };
    match written(Pace::Together).await {
        // Which of them has a value that is taken is only known when they are written one by one.
        Err(Error::NotUnique(_)) => written(Pace::OneByOne).await,
        outcome => outcome,
    }
}

/// Makes a record out of a JSON object for somebody who needs the record itself rather than an answer.
///
/// # Errors
/// As [`create`].
pub(crate) async fn record(call: &Call, collection: &str, body: &[u8]) -> Result<Record, Error> {
    let draft = Draft::parse(body).map_err(Error::Body)?;
    let defined = call.collection(collection)?;
    call.plan(Action::Create, &defined)?;
    let draft = &passwords::sealed(&defined, draft).await?;
    committed(call, Share::WithOthers, |call, transaction| async move {
        let collection = call.collection(collection)?;
        let authority = Authority::of_caller(&call, Action::Create, &collection)?;
        steps::create(&call, &transaction, &collection, authority, draft.clone()).await
    })
    .await
}
