//! The story of one record that is read.

use model::Action;

use super::Shown;
use crate::{Error, call::Call};

/// Reads a record. One that the plan does not allow is not there for this caller.
///
/// # Errors
/// The policies, or no such record.
pub async fn read(call: &Call, collection: &str, id: &str) -> Result<Shown, Error> {
    let collection = call.collection(collection)?;
    let plan = call.plan(Action::Read, &collection)?;
    let record = store::records::get(&call.app.store, &collection, &call.caller.tenant, id).await?;
    match record {
        Some(record) if plan.allows(&call.context(&record, None)) => Ok(Shown { collection, record, plan: Some(plan) }),
        record => Err(call.hidden(Action::Read, &collection, id, record)),
    }
}
