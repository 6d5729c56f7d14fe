//! The story of somebody who makes an account: the creation of a record of `users`, under the same policies as any other record.

use model::collection::USERS;

use crate::{
    Error,
    call::Call,
    records::{Shown, create},
};

/// Makes an account out of a JSON body with `email`, `password` and further fields of the collection.
///
/// # Errors
/// Those of every creation of a record.
pub async fn register(call: &Call, body: &[u8]) -> Result<Shown, Error> {
    let account = create::record(call, USERS, body).await?;
    Ok(super::owner_view(call, call.collection(USERS)?, account))
}
