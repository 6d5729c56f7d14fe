//! The story of a new record.

use model::{Action, Draft};

use super::{Share, Shown, committed, passwords, steps};
use crate::{Error, call::Call};

/// Makes a record out of a JSON body.
///
/// # Errors
/// In the order of the story: the body, the policies, a rule, validation, the policies again, a unique value, too many conflicts.
pub async fn create(call: &Call, collection: &str, body: &[u8]) -> Result<Shown, Error> {
    let draft = Draft::parse(body).map_err(Error::Body)?;
    let defined = call.collection(collection)?;
    call.plan(Action::Create, &defined)?;
    let draft = passwords::sealed(&defined, draft).await?;

    let name = collection.to_owned();
    let record = committed(call, Share::WithOthers, move |call, transaction| {
        let (name, draft) = (name.clone(), draft.clone());
        async move {
            let collection = call.collection(&name)?;
            let plan = call.plan(Action::Create, &collection)?;
            steps::create(&call, &transaction, &collection, steps::Authority::Plan(plan), draft).await
        }
    })
    .await?;
    Ok(Shown::after_write(call, &defined, record))
}
