//! The story of a session that goes on: a refresh token is spent for the next one.

use store::{Attempts, sessions};

use super::{Tokens, session};
use crate::{Error, call::Call};

/// Spends a refresh token. One that was spent before means that it was stolen, from its owner or by it: the session ends.
///
/// # Errors
/// [`Error::InvalidToken`].
pub async fn refresh(call: &Call, token: &str) -> Result<Tokens, Error> {
    let (id, secret) = session::split(token).ok_or(Error::InvalidToken)?;
    let mut attempts = Attempts::new(&call.app.store);
    loop {
        // The look and the change are one transaction: of two that spend the same token at once, only one may succeed.
        let turn = attempts.turn().await?;
        let transaction = attempts.begin(turn).await?;
        let spent = spend(call, &transaction, id, secret).await;
        let outcome = match spent {
            Ok(outcome) => transaction.commit().await.map(|()| outcome).map_err(Error::from),
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        };
        match outcome {
            Err(error) if error.is_conflict() && attempts.are_left() => {}
            Err(error) => return Err(error),
            Ok(None) => {
                call.app.keyring.forget(id);
                return Err(Error::InvalidToken);
            }
            Ok(Some(tokens)) => return Ok(tokens),
        }
    }
}

/// None if the session is over, which must be committed too.
async fn spend(call: &Call, transaction: &store::Transaction, id: &str, secret: &str) -> Result<Option<Tokens>, Error> {
    let Some(found) = sessions::get(transaction, id).await? else { return Ok(None) };
    if found.refresh_hash != session::hash(secret) || *found.expires < *call.now {
        sessions::remove(transaction, id).await?;
        return Ok(None);
    }
    let users = super::users(&call.app)?;
    let Some(account) = store::records::get(transaction, &users, &found.tenant, &found.account).await? else { return Ok(None) };
    session::renew(call, transaction, id, &found.created, account).await.map(Some)
}
