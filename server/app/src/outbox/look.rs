//! The stories of deliveries: look at them, have one done once more, clear them away.

use model::{Action, Pointer, Violation};
use secrecy::SecretString;
use store::outbox::{self, Delivery, State};

use super::webhook;
use crate::{Error, call::Call};

/// The object that policies about deliveries name.
const OBJECT: &str = "_deliveries";

/// What somebody hears who has not said what should be purged.
const PURGED: &str = "say which deliveries are removed for good: `delivered` (those that are done) or `dead` (those that were given up); \
     what is pending or running is never purged";

/// What is asked for, as the query says it.
#[derive(Clone)]
pub(crate) struct Search {
    pub(crate) state: Option<String>,
    pub(crate) plugin: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) limit: usize,
}

/// Some deliveries, the newest first.
pub(crate) struct Page {
    pub(crate) deliveries: Vec<Delivery>,
    /// Where the next page begins; none after the last one.
    pub(crate) next: Option<String>,
}

/// Some deliveries.
///
/// # Errors
/// The policies, or an unknown state.
pub(crate) async fn list(call: &Call, search: Search) -> Result<Page, Error> {
    call.authorize(Action::Read, OBJECT)?;
    let limit = search.limit;
    let state = search.state.as_deref().map(|name| state(name, "state")).transpose()?;
    let search = outbox::Search { state, plugin: search.plugin, kind: search.kind, below: search.cursor, limit: limit + 1 };
    let mut deliveries = outbox::list(&call.app.store, &search).await?;
    let more = deliveries.len() > limit;
    deliveries.truncate(limit);
    let next = deliveries.last().filter(|_| more).map(|last| last.row.id.clone());
    Ok(Page { deliveries, next })
}

/// One delivery.
///
/// # Errors
/// The policies, or no such delivery.
pub(crate) async fn get(call: &Call, id: &str) -> Result<Delivery, Error> {
    call.authorize(Action::Read, OBJECT)?;
    outbox::get(&call.app.store, id).await?.ok_or_else(|| unknown(id))
}

/// Has a delivery that is done or given up done once more.
///
/// # Errors
/// The policies, no such delivery, or one that is under way.
pub(crate) async fn replay(call: &Call, id: &str) -> Result<Delivery, Error> {
    call.authorize(Action::Update, OBJECT)?;
    let transaction = call.app.store.begin().await?;
    call.note(&transaction).await?;
    let replayed = outbox::replay(&transaction, id, &call.now).await?;
    // As it is before a worker takes it.
    let delivery = outbox::get(&transaction, id).await?.ok_or_else(|| unknown(id))?;
    if !replayed {
        transaction.rollback().await;
        return Err(under_way(delivery));
    }
    transaction.commit().await?;
    tracing::info!(request = %call.id, delivery = id, by = %call.caller.principal, "a delivery is replayed");
    call.app.outbox.wake();
    Ok(delivery)
}

/// Removes a delivery that nobody works on. One that waits is never done then.
///
/// # Errors
/// The policies, no such delivery, or one that is under way.
pub(crate) async fn remove(call: &Call, id: &str) -> Result<Delivery, Error> {
    call.authorize(Action::Delete, OBJECT)?;
    let transaction = call.app.store.begin().await?;
    call.note(&transaction).await?;
    let delivery = outbox::get(&transaction, id).await?.ok_or_else(|| unknown(id))?;
    if !outbox::remove(&transaction, id).await? {
        transaction.rollback().await;
        return Err(under_way(delivery));
    }
    transaction.commit().await?;
    tracing::info!(request = %call.id, delivery = id, by = %call.caller.principal, "a delivery was removed");
    if let Some(key) = &delivery.row.key {
        outbox::let_next_begin(&call.app.store, key).await?;
        call.app.outbox.wake();
    }
    Ok(delivery)
}

/// Removes what is done (`delivered`) or given up (`dead`) since before a moment, and says how many that were.
///
/// # Errors
/// The policies, no state or another one, or no moment.
pub(crate) async fn purge(call: &Call, state_name: Option<&str>, before: Option<&str>) -> Result<usize, Error> {
    call.authorize(Action::Delete, OBJECT)?;
    let state = match state_name.and_then(State::named) {
        Some(state @ (State::Delivered | State::Dead)) => state,
        Some(State::Pending | State::Running) | None => return Err(query("state", PURGED)),
    };
    let before = match before {
        None => call.now.to_string(),
        Some(text) => model::time::canonical_datetime(text).ok_or_else(|| query("before", &format!("`{text}` is no datetime")))?,
    };
    // In several transactions: doing it again would remove what has ended since.
    call.note(&call.app.store).await?;
    let purged = outbox::purge(&call.app.store, state, &before).await?;
    tracing::info!(request = %call.id, state = state.name(), purged, by = %call.caller.principal, "deliveries were purged");
    Ok(purged)
}

/// With what the webhooks of a plugin are signed.
pub(crate) enum Secret {
    /// A secret that this server has derived.
    Derived(SecretString),
    /// What the operator has put into the settings of the plugin, who knows it.
    Set,
}

/// The secret with which receivers check the webhooks of a plugin.
///
/// # Errors
/// The policies, or no such plugin.
pub(crate) fn secret(call: &Call, plugin: &str) -> Result<Secret, Error> {
    call.authorize(Action::Update, crate::plugins::OBJECT)?;
    let known = call.world.plugins.get(plugin).ok_or_else(|| Error::NotFound { kind: "plugin", name: plugin.to_owned() })?;
    Ok(match webhook::set_secrets(known) {
        Some(_) => Secret::Set,
        None => Secret::Derived(webhook::derived_secret(&call.app, known.name())),
    })
}

fn state(name: &str, parameter: &str) -> Result<State, Error> {
    State::named(name).ok_or_else(|| query(parameter, &format!("`{name}` is none of pending, running, delivered, dead")))
}

fn query(parameter: &str, message: &str) -> Error {
    Error::Query(Violation::new(Pointer::field(parameter), "query.value", message).into())
}

fn unknown(id: &str) -> Error {
    Error::NotFound { kind: "delivery", name: id.to_owned() }
}

fn under_way(delivery: Delivery) -> Error {
    Error::UnderWay { id: delivery.row.id }
}
