//! The story of a new record.

use model::{Action, Draft};

use super::{Shown, committed, passwords, steps};
use crate::{Error, call::Call};

/// Makes a record out of a JSON body.
///
/// # Errors
/// In the order of the story: the body, the policies, a rule, validation, the policies again, a unique value, too many conflicts.
pub async fn create(call: &Call, collection: &str, body: &[u8]) -> Result<Shown, Error> {
    let draft = Draft::parse(body).map_err(Error::Body)?;
    let collection = call.collection(collection)?;
    let plan = call.plan(Action::Create, &collection)?;
    let draft = passwords::sealed(&collection, draft).await?;

    let writer = (collection.clone(), plan, draft);
    let record = committed(call, move |call, transaction| {
        let (collection, plan, draft) = writer.clone();
        async move { steps::create(&call, &transaction, &collection, steps::Authority::Plan(plan), draft).await }
    })
    .await?;
    Ok(Shown::after_write(call, &collection, record))
}
