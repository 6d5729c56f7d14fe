//! Writes of records that happen once: the whole answer is kept in the transaction of the write.

use store::{Run, Transaction, idempotency::KeptRow};

use super::{
    answer::{Answer, Outcome},
    commit::{Share, committed},
};
use crate::{
    Error,
    call::Call,
    once::{Once, packed, unpacked},
};

/// Tells a story that ends with [`written_once`], or gives the answer that it had: also when the caller could not write that any more.
pub(super) async fn told_once(
    call: &Call,
    once: Option<&Once>,
    story: impl Future<Output = Result<Answer, Error>>,
) -> Result<Answer, Error> {
    let Some(once) = once else { return story.await };
    let _flight = call.app.in_flight.begin(once)?;
    match kept(once, call, &call.app.store).await? {
        Some(answer) => Ok(answer),
        None => story.await,
    }
}

/// Runs the steps of a write as [`committed`] does, and keeps the answer with what they have written.
pub(super) async fn written_once<S, F>(call: &Call, share: Share, once: Option<&Once>, steps: S) -> Result<Answer, Error>
where
    S: Fn(Call, Transaction) -> F,
    F: Future<Output = Result<Answer, Error>>,
{
    let Some(once) = once else { return committed(call, share, steps).await };
    let steps = &steps;
    committed(call, share, |call, transaction| async move {
        // On another node the same request may have come first: then this transaction has just failed, and finds its answer now.
        if let Some(answer) = kept(once, &call, &transaction).await? {
            return Ok(answer);
        }
        let answer = steps(call.clone(), transaction.clone()).await?;
        keep(once, &call, &transaction, &answer).await?;
        Ok(answer)
    })
    .await
}

/// The answer that is kept for this request.
async fn kept(once: &Once, call: &Call, run: &impl Run) -> Result<Option<Answer>, Error> {
    let Some(row) = once.kept(call, run).await? else { return Ok(None) };
    let outcome = match row.outcome.as_str() {
        "created" => Outcome::Created,
        _ => Outcome::Done,
    };
    let body = unpacked(&row)?;
    Ok(Some(Answer { etag: row.etag, location: row.location, is_replayed: true, ..Answer::new(outcome, body) }))
}

async fn keep(once: &Once, call: &Call, transaction: &Transaction, answer: &Answer) -> Result<(), Error> {
    let row = KeptRow {
        outcome: answer.outcome.word().to_owned(),
        etag: answer.etag.clone(),
        location: answer.location.clone(),
        body: packed(&answer.body)?,
        ..once.row(call)
    };
    Ok(store::idempotency::put(transaction, row).await?)
}
