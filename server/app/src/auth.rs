//! Who somebody is: registration, login, tokens, sessions. Access tokens are short-lived and signed; sessions live in the database, so that
//! they can be ended. A token that is wrong in any way is an error, never an anonymous caller.

pub mod register;

pub mod login;

pub mod refresh;

mod keyring;

mod session;

pub(crate) use keyring::{Keyring, random_bytes};

use std::sync::Arc;

use model::{Caller, Collection, Principal, Record, collection::USERS, value::Object};

use crate::{App, Error, call::Call, records::Shown};

/// What a login answers.
pub struct Tokens {
    pub(crate) access_token: String,
    /// Seconds.
    pub(crate) expires_in: u64,
    pub(crate) refresh_token: String,
    /// The account as its owner may see it.
    pub(crate) account: Shown,
    pub(crate) call: Call,
}

/// Begins a request: finds out who sends it. `authorization` is the header of that name.
///
/// # Errors
/// [`Error::InvalidToken`] for a header that is there and not good.
pub async fn authenticate(app: &Arc<App>, authorization: Option<&str>, id: &str) -> Result<Call, Error> {
    let Some(header) = authorization else { return Ok(Call::new(app, Caller::anonymous(), id)) };
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(Error::InvalidToken),
    };
    let claims = app.keyring.verify(token)?;
    let account = app.keyring.session(app, &claims).await?;
    let caller = caller(&users(app)?, &account);
    Ok(Call { session: Some(claims.sid.into()), ..Call::new(app, caller, id) })
}

/// A request that takes long, as it would be if it came now: a session that is over ends it, and what has changed about the caller counts.
pub(crate) async fn renewed(call: &Call) -> Result<Call, Error> {
    let caller = match (&call.session, &call.caller.principal) {
        (Some(session), Principal::User(id)) => {
            let session = store::sessions::get(&call.app.store, session).await?.filter(|session| session.account == *id);
            let session = session.ok_or(Error::InvalidToken)?;
            let users = users(&call.app)?;
            let account = store::records::get(&call.app.store, &users, &session.tenant, id).await?.ok_or(Error::InvalidToken)?;
            caller(&users, &account)
        }
        _ => call.caller.as_ref().clone(),
    };
    Ok(Call { session: call.session.clone(), ..Call::new(&call.app, caller, &call.id) })
}

/// Ends the session of the caller, at once on this node and within a second on others.
///
/// # Errors
/// [`Error::Unauthenticated`] when nobody is logged in.
pub async fn logout(call: &Call) -> Result<(), Error> {
    let session = call.session.as_deref().ok_or(Error::Unauthenticated)?;
    store::sessions::remove(&call.app.store, session).await?;
    call.app.keyring.forget(session);
    Ok(())
}

/// The account of the caller; none for principals without one.
///
/// # Errors
/// [`Error::Unauthenticated`] when nobody is logged in.
pub async fn me(call: &Call) -> Result<Shown, Error> {
    match &call.caller.principal {
        Principal::User(id) => own_account(call, id).await,
        _ => Err(Error::Unauthenticated),
    }
}

/// Everybody may see what its own account has, except for secrets and what policies deny.
async fn own_account(call: &Call, id: &str) -> Result<Shown, Error> {
    let collection = call.collection(USERS)?;
    let record = store::records::get(&call.app.store, &collection, &call.caller.tenant, id).await?;
    let record = record.ok_or(Error::InvalidToken)?;
    Ok(owner_view(call, collection, record))
}

fn owner_view(call: &Call, collection: Collection, record: Record) -> Shown {
    let owner = caller(&collection, &record);
    let plan = call.world.policies.own_account_plan(&owner, &collection);
    Shown { collection, record, plan: Some(Arc::new(plan)) }
}

fn caller(users: &Collection, account: &Record) -> Caller {
    let open = users.fields().filter(|field| !field.is_secret());
    let attributes: Object = open.filter_map(|field| Some((field.name.clone(), account.values.get(&field.name)?.clone()))).collect();
    Caller::new(Principal::User(account.id.clone()), &account.tenant, attributes)
}

/// The caller that somebody with this address would be; none if there is no such account.
pub(crate) async fn account_of(call: &Call, email: &str, tenant: &str) -> Result<Option<Caller>, Error> {
    let users = users(&call.app)?;
    let email = model::Value::from(email.trim().to_lowercase());
    let account = store::records::find_unique(&call.app.store, &users, tenant, "email", &email).await?;
    Ok(account.map(|account| caller(&users, &account)))
}

/// The caller that the owner of an account is.
pub(crate) fn caller_of(users: &Collection, account: &Record) -> Caller {
    caller(users, account)
}

fn users(app: &App) -> Result<Collection, Error> {
    app.world().catalog.get(USERS).cloned().ok_or_else(|| Error::Internal("the collection `users` is gone".to_owned()))
}
