//! Making and renewing sessions. A refresh token is good once; the session keeps only its hash.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use model::{Record, time::datetime_text};
use store::{
    Attempts, Run,
    sessions::{self, SessionRow},
};

use super::{Tokens, keyring::random_bytes, owner_view};
use crate::{Error, call::Call};

/// Begins a session for an account whose password was just checked. Checking takes its time, so the account is looked at once more: a
/// password that was changed meanwhile must not open a session.
pub(super) async fn begin(call: &Call, checked: Record) -> Result<Tokens, Error> {
    let users = super::users(&call.app)?;
    let id = ulid::Ulid::new().to_string();
    let mut attempts = Attempts::new(&call.app.store);
    loop {
        let turn = attempts.turn().await?;
        let transaction = attempts.begin(turn).await?;
        let account = store::records::get_locked(&transaction, &users, &checked.tenant, &checked.id).await;
        let tokens = match account {
            Ok(Some(account)) if account.values.get("password") == checked.values.get("password") => {
                renew(call, &transaction, &id, &call.now, account).await
            }
            Ok(_) => Err(Error::InvalidCredentials),
            Err(error) => Err(error.into()),
        };
        let outcome = match tokens {
            Ok(tokens) => transaction.commit().await.map(|()| tokens).map_err(Error::from),
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        };
        match outcome {
            Err(error) if error.is_conflict() && attempts.are_left() => {}
            outcome => return outcome,
        }
    }
}

/// Gives a session its next refresh token and signs an access token.
pub(super) async fn renew(call: &Call, run: &impl Run, id: &str, created: &str, account: Record) -> Result<Tokens, Error> {
    let secret = URL_SAFE_NO_PAD.encode(random_bytes::<32>());
    let days = i64::try_from(call.app.config.session_days).unwrap_or(30);
    let row = SessionRow {
        id: id.to_owned(),
        account: account.id.clone(),
        tenant: account.tenant.clone(),
        refresh_hash: hash(&secret),
        created: created.to_owned(),
        expires: datetime_text(call.moment + TimeDelta::days(days)),
    };
    sessions::put(run, &row).await?;
    let now_seconds = u64::try_from(call.moment.timestamp()).unwrap_or_default();
    let access_token = call.app.keyring.sign(&account, id, now_seconds)?;
    let users = super::users(&call.app)?;
    let owner = super::caller(&users, &account);
    let call = Call { caller: Arc::new(call.world.policies.with_roles(owner)), ..call.clone() };
    let account = owner_view(&call, users, account);
    Ok(Tokens { access_token, expires_in: call.app.config.access_token_seconds, refresh_token: format!("{id}.{secret}"), account, call })
}

/// The session and the secret that a refresh token consists of.
pub(super) fn split(token: &str) -> Option<(&str, &str)> {
    token.split_once('.').filter(|(id, secret)| id.len() == 26 && secret.len() == 43 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A secret of 256 random bits needs no slow hash.
pub(super) fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}
