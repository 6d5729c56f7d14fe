//! The story of several writes to any collections, in order, in one transaction: each is the story of a single write, and may use what the
//! ones before it have made. All of them happen, or none.

mod operation;

mod reference;

use std::collections::HashMap;

use model::{Action, Collection, Draft, Pointer};
use store::Transaction;

use super::{
    Answer, Outcome, Shown, Terms,
    commit::Share,
    idempotency::{told_once, written_once},
    passwords,
    steps::{self, Authority, Change, Upsert},
    update::Manner,
    upsert::{key, may_upsert},
};
use crate::{Error, Place, call::Call};
pub use operation::OPERATIONS_MAX;
use operation::{Kind, Operation};

/// Runs the operations of a JSON body.
///
/// # Errors
/// In the order of the story: the body, the policies of each operation, terms (each operation has its own), then those of the operations, each with the place of its own.
pub(crate) async fn batch(call: &Call, body: &[u8], terms: &Terms) -> Result<Answer, Error> {
    let once = terms.once.as_ref();
    told_once(call, once, async {
        let operations = operation::parse(body).map_err(Error::Body)?;
        let defined = authorized(call, &operations)?;
        terms.preconditions.check_several()?;
        let operations = &sealed(&defined, operations).await?;
        let alone =
            |operation: &Operation| operation.kind == Kind::Delete && Share::of_deletion(call, &operation.collection) == Share::Alone;
        let share = if operations.iter().any(alone) { Share::Alone } else { Share::WithOthers };
        written_once(call, share, once, |call, transaction| async move { run(&call, &transaction, operations).await }).await
    })
    .await
}

/// The collections of the operations, none of which the policies forbid altogether.
fn authorized(call: &Call, operations: &[Operation]) -> Result<Vec<Collection>, Error> {
    let authorize = |operation: &Operation| {
        let collection = call.collection(&operation.collection)?;
        match operation.kind {
            Kind::Create => call.plan(Action::Create, &collection).map(drop),
            Kind::Update | Kind::Replace => call.plan(Action::Update, &collection).map(drop),
            Kind::Delete => call.plan(Action::Delete, &collection).map(drop),
            Kind::Upsert => may_upsert(call, &collection),
        }?;
        Ok(collection)
    };
    let located = |(index, operation)| authorize(operation).map_err(|error: Error| error.at(whole(index)));
    operations.iter().enumerate().map(located).collect()
}

async fn sealed(defined: &[Collection], operations: Vec<Operation>) -> Result<Vec<Operation>, Error> {
    passwords::check_count(defined.iter().zip(operations.iter().map(|operation| &operation.draft)))?;
    let mut all = Vec::with_capacity(operations.len());
    for (collection, operation) in defined.iter().zip(operations) {
        let draft = passwords::sealed(collection, operation.draft).await?;
        all.push(Operation { draft, ..operation });
    }
    Ok(all)
}

/// The operation itself, for what is wrong with it rather than with its draft.
fn whole(index: usize) -> Place {
    let item = Pointer::field("operations").join(index);
    Place::Item { draft: item.clone(), item }
}

fn with_draft(index: usize) -> Place {
    let item = Pointer::field("operations").join(index);
    Place::Item { draft: item.join("record"), item }
}

/// What the operations so far have made, by the names that they have.
type Results = HashMap<String, Shown>;

async fn run(call: &Call, transaction: &Transaction, operations: &[Operation]) -> Result<Answer, Error> {
    let mut results = Results::new();
    let mut body = b"{\"results\":[".to_vec();
    for (index, operation) in operations.iter().enumerate() {
        let done = one(call, transaction, operation, &results).await;
        let (outcome, shown) = done.map_err(|failed| match failed {
            Failed::Operation(error) => error.at(whole(index)),
            Failed::Draft(error) => error.at(with_draft(index)),
        })?;
        if index > 0 {
            body.push(b',');
        }
        let etag = model::Value::from(shown.record.etag()).to_json();
        body.extend(format!("{{\"status\":{},\"etag\":{etag},\"record\":", outcome.status()).into_bytes());
        body.extend(shown.json(call, None)?);
        body.push(b'}');
        if let Some(name) = &operation.name {
            results.insert(name.clone(), shown);
        }
    }
    body.extend(b"]}");
    Ok(Answer::new(Outcome::Done, body))
}

/// What an error of an operation is about.
enum Failed {
    Operation(Error),
    Draft(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Draft(error)
    }
}

async fn one(call: &Call, transaction: &Transaction, operation: &Operation, results: &Results) -> Result<(Outcome, Shown), Failed> {
    let collection = call.collection(&operation.collection)?;
    let id = reference::id(call, operation, results).map_err(Failed::Operation)?;
    let draft = reference::resolved(call, &collection, operation.draft.clone(), results)?;
    let (record, outcome) = match operation.kind {
        Kind::Create => {
            let authority = Authority::of_caller(call, Action::Create, &collection)?;
            (steps::create(call, transaction, &collection, authority, draft).await?, Outcome::Created)
        }
        Kind::Update => (change(call, transaction, &collection, operation, (&id, draft, Manner::Merge)).await?, Outcome::Done),
        Kind::Replace => (change(call, transaction, &collection, operation, (&id, draft, Manner::Replace)).await?, Outcome::Done),
        Kind::Delete => {
            let authority = Authority::of_caller(call, Action::Delete, &collection)?;
            (steps::delete(call, transaction, &collection, authority, (&id, &operation.preconditions)).await?, Outcome::Done)
        }
        Kind::Upsert => {
            may_upsert(call, &collection)?;
            let on = key(call, &collection, &operation.on, &Pointer::field("on")).map_err(in_body)?;
            let upsert = Upsert { key: &on, draft, manner: Manner::Merge, preconditions: &operation.preconditions };
            steps::upsert(call, transaction, &collection, upsert).await?
        }
    };
    Ok((outcome, Shown::after_write(call, &collection, record)))
}

/// What is wrong with a key is wrong with the body here, and no parameter of the query.
fn in_body(error: Error) -> Failed {
    Failed::Operation(if let Error::Query(violations) = error { Error::Invalid(violations) } else { error })
}

async fn change(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    operation: &Operation,
    (id, draft, manner): (&str, Draft, Manner),
) -> Result<model::Record, Error> {
    let authority = Authority::of_caller(call, Action::Update, collection)?;
    let change = Change { id, draft, manner, preconditions: &operation.preconditions };
    steps::update(call, transaction, collection, authority, change).await
}
