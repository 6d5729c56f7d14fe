//! The story of records that are changed if they are there and created if they are not.

use model::{Action, Collection, Drafts, Key, Pointer, Violation, Violations};
use policies::Access;
use store::Transaction;

use super::{
    Answer, Outcome, Preconditions, Shown, Terms,
    commit::Share,
    idempotency::{told_once, written_once},
    passwords,
    steps::{self, Upsert},
    update::Manner,
};
use crate::{Error, Place, call::Call, decisions::Refused};

/// Writes the records that a JSON object or an array of them means. `on` is `id`, or the names of unique fields.
///
/// # Errors
/// In the order of the story: the body, the policies, the key, then those of creations and changes.
pub(crate) async fn upsert(call: &Call, collection: &str, on: &str, body: &[u8], terms: &Terms) -> Result<Answer, Error> {
    told_once(call, terms.once.as_ref(), async {
        let drafts = Drafts::parse(body).map_err(Error::Body)?;
        let defined = call.collection(collection)?;
        may_upsert(call, &defined)?;
        key(call, &defined, on, &Pointer::field("upsert"))?;
        let drafts = &passwords::all_sealed(&defined, drafts).await?;
        written_once(call, Share::WithOthers, terms.once.as_ref(), |call, transaction| async move {
            let collection = call.collection(collection)?;
            may_upsert(&call, &collection)?;
            let key = key(&call, &collection, on, &Pointer::field("upsert"))?;
            write(&call, &transaction, &collection, (&key, drafts), &terms.preconditions).await
        })
        .await
    })
    .await
}

async fn write(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    (key, drafts): (&Key, &Drafts),
    preconditions: &Preconditions,
) -> Result<Answer, Error> {
    let drafts = match drafts {
        Drafts::One(draft) => {
            let upsert = Upsert { key, draft: draft.clone(), manner: Manner::Merge, preconditions };
            let (record, outcome) = steps::upsert(call, transaction, collection, upsert).await?;
            return Answer::one(call, outcome, &Shown::after_write(call, collection, record));
        }
        Drafts::Many(drafts) => drafts,
    };
    let (mut shown, mut outcomes) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
    for (index, draft) in drafts.iter().enumerate() {
        let upsert = Upsert { key, draft: draft.clone(), manner: Manner::Merge, preconditions };
        let written = steps::upsert(call, transaction, collection, upsert).await;
        let (record, outcome) = written.map_err(|error| error.at(Place::element(index)))?;
        shown.push(Shown::after_write(call, collection, record));
        outcomes.push(outcome);
    }
    Answer::many(call, Outcome::of_all(outcomes), &shown)
}

/// Lets nobody through who may neither create nor change records of the collection.
pub(super) fn may_upsert(call: &Call, collection: &Collection) -> Result<(), Error> {
    match call.world.policies.plan(&call.caller, Action::Update, collection).access() {
        Access::Never => call.plan(Action::Create, collection).map(drop),
        Access::Always | Access::When(_) => Ok(()),
    }
}

/// What tells the records apart. A value that finds a record is read: only fields that the caller can read can be named.
pub(super) fn key(call: &Call, collection: &Collection, on: &str, pointer: &Pointer) -> Result<Key, Error> {
    let key = Key::parse(collection, on).map_err(|message| Error::Query(Violation::new(pointer.clone(), "query.value", message).into()))?;
    let plan = call.world.policies.plan(&call.caller, Action::Read, collection);
    let readable = plan.unconditional_fields();
    let mut violations = Violations::default();
    for name in key.fields() {
        let secret = collection.field(name).is_some_and(|field| field.is_secret());
        if secret || !readable.contains(name) {
            violations.add(pointer.clone(), "field.unreadable", format!("`{name}` cannot be read, so no record can be found by it"));
        }
    }
    let refused = || Refused { fields: key.fields().to_vec(), ..Refused::records(Action::Read, collection) };
    violations.or(()).map_err(|violations| call.decided(refused(), Error::FieldsDenied(violations)))?;
    Ok(key)
}
