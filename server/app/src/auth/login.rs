//! The story of somebody who logs in.

use model::{Collection, Record, Value, principal::DEFAULT_TENANT};

use super::{Tokens, session};
use crate::{
    Error,
    call::Call,
    records::{Checked, verify},
};

/// Checks identity and password and begins a session.
///
/// # Errors
/// [`Error::InvalidCredentials`], which does not say what was wrong and takes as long for an unknown identity as for a wrong password;
/// [`Error::RateLimited`] after too many attempts, whether there is such an account or not.
pub async fn login(call: &Call, identity: &str, password: &str) -> Result<Tokens, Error> {
    let guess = call.app.rates.guesses.attempt(identity, call.address)?;
    let users = super::users(&call.app)?;
    let account = find(call, &users, identity).await?;
    let stored = account.as_ref().and_then(|account| account.values.get("password")?.as_text().map(str::to_owned));
    match (verify(password.to_owned(), stored).await?, account) {
        (Checked::Right, Some(account)) => {
            guess.right();
            session::begin(call, account).await
        }
        _ => Err(Error::InvalidCredentials),
    }
}

/// Email addresses are kept in small letters.
async fn find(call: &Call, users: &Collection, identity: &str) -> Result<Option<Record>, Error> {
    if identity.len() > 254 {
        return Ok(None);
    }
    let email = Value::from(identity.trim().to_lowercase());
    Ok(store::records::find_unique(&call.app.store, users, DEFAULT_TENANT, "email", &email).await?)
}
