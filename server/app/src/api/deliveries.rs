//! `/api/deliveries`: what was told and done after commits, or is waiting.

use model::key::is_id;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::Any,
};

use super::{
    payload::Reply,
    policies::{behind, given, number},
};
use crate::{call::Call, outbox};
use secrecy::ExposeSecret;

pub(super) struct DeliveriesApi;

/// Something to be told or done after a commit.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct Delivery {
    /// Receivers of webhooks get it as `webhook-id`, rules as `context.delivery`.
    id: String,
    /// `webhook`, `email`, `job`, `after-commit` or `scheduled`.
    kind: String,
    /// `pending`, `running`, `delivered` or `dead`.
    state: String,
    plugin: String,
    /// The version that asked for it.
    version: String,
    rule: String,
    /// What is to be sent, or what the rule is asked; only of a single delivery. Headers of webhooks are told without their values, which may
    /// be secrets.
    payload: Option<Any<serde_json::Value>>,
    /// Deliveries of one key keep their order.
    key: Option<String>,
    tenant: String,
    /// The request that it comes from.
    request: String,
    created: String,
    /// When it is tried next, or was tried last.
    due: String,
    attempts: u32,
    attempts_max: u32,
    /// What went wrong the last time.
    error: Option<String>,
    /// When it was done or given up.
    ended: Option<String>,
}

/// How many deliveries were removed.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct Purged {
    purged: u64,
}

/// What receivers of webhooks need.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct WebhookSecret {
    /// `derived` by this server, or the `setting` named `webhook_secret` of the plugin.
    source: String,
    /// `whsec_...`, for any library that knows Standard Webhooks; only of a derived one.
    secret: Option<String>,
}

#[OpenApi]
impl DeliveriesApi {
    /// See what is waiting, done, or given up, the newest first.
    #[oai(path = "/deliveries", method = "get", operation_id = "deliveries_list")]
    async fn list(
        &self,
        call: Call,
        /// Only `pending`, `running`, `delivered` or `dead` ones.
        state: Query<Option<String>>,
        /// Only those of this plugin.
        plugin: Query<Option<String>>,
        /// Only `webhook`, `email`, `job`, `after-commit` or `scheduled`.
        kind: Query<Option<String>>,
        /// How many: 50 unless given, 500 at most.
        limit: Query<Option<String>>,
        /// Where the page begins, from the `link` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Reply<Vec<Delivery>>> {
        let limit = number("limit", &limit.0, 50, 500)?;
        let cursor = behind("cursor", cursor.0, is_id)?;
        let search = outbox::Search { state: given(state.0), plugin: given(plugin.0), kind: given(kind.0), cursor, limit };
        let page = outbox::list(&call, search.clone()).await?;
        let shown: Vec<_> = page.deliveries.iter().map(|delivery| summary(&call, delivery)).collect();
        Ok(Reply::new(&shown)?.followed_by(page.next.map(|next| path_of(search, &next))))
    }

    /// Remove deliveries for good that are done (`delivered`) or given up (`dead`). What waits or runs is never removed so.
    #[oai(path = "/deliveries", method = "delete", operation_id = "deliveries_purge")]
    async fn purge(
        &self,
        call: Call,
        /// Which ones: `delivered` or `dead`. Must be given.
        state: Query<Option<String>>,
        /// Only those that ended before this moment; all unless given.
        before: Query<Option<String>>,
    ) -> poem::Result<Reply<Purged>> {
        let purged = outbox::purge(&call, given(state.0).as_deref(), given(before.0).as_deref()).await?;
        Ok(Reply::new(&serde_json::json!({ "purged": purged }))?)
    }

    /// See one delivery.
    #[oai(path = "/deliveries/:id", method = "get", operation_id = "deliveries_read")]
    async fn read(&self, call: Call, id: Path<String>) -> poem::Result<Reply<Delivery>> {
        Ok(Reply::new(&shown(&call, &outbox::get(&call, &id.0).await?))?)
    }

    /// Have a delivery that is done or given up done once more.
    #[oai(path = "/deliveries/:id/replay", method = "post", operation_id = "deliveries_replay")]
    async fn replay(&self, call: Call, id: Path<String>) -> poem::Result<Reply<Delivery>> {
        Ok(Reply::new(&shown(&call, &outbox::replay(&call, &id.0).await?))?)
    }

    /// Remove a delivery that nobody works on. One that waits is never done then.
    #[oai(path = "/deliveries/:id", method = "delete", operation_id = "deliveries_remove")]
    async fn remove(&self, call: Call, id: Path<String>) -> poem::Result<Reply<Delivery>> {
        Ok(Reply::new(&shown(&call, &outbox::remove(&call, &id.0).await?))?)
    }

    /// See the secret with which receivers check the webhooks of a plugin (Standard Webhooks).
    #[oai(path = "/plugins/:name/webhook-secret", method = "get", operation_id = "plugins_webhook_secret")]
    async fn secret(&self, call: Call, name: Path<String>) -> poem::Result<Reply<WebhookSecret>> {
        let shown = match outbox::secret(&call, &name.0)? {
            outbox::Secret::Derived(secret) => serde_json::json!({ "source": "derived", "secret": secret.expose_secret() }),
            outbox::Secret::Set => serde_json::json!({ "source": "setting" }),
        };
        Ok(Reply::new(&shown)?)
    }
}

/// Where the page is that begins behind this delivery.
fn path_of(search: outbox::Search, next: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("state", search.state), ("plugin", search.plugin), ("kind", search.kind)] {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    query.append_pair("limit", &search.limit.to_string()).append_pair("cursor", next);
    format!("/api/deliveries?{}", query.finish())
}

/// Headers whose values say nothing of use to others.
const HEADERS_SHOWN: [&str; 3] = ["accept", "content-type", "user-agent"];

fn shown(call: &Call, delivery: &store::outbox::Delivery) -> serde_json::Value {
    let mut shown = summary(call, delivery);
    let mut payload: serde_json::Value = serde_json::from_str(&delivery.row.payload).unwrap_or_default();
    let headers = payload.get_mut("headers").filter(|_| delivery.row.kind == "webhook").and_then(serde_json::Value::as_object_mut);
    for (_, value) in headers.into_iter().flatten().filter(|(name, _)| !HEADERS_SHOWN.contains(&name.as_str())) {
        *value = "***".into();
    }
    shown["payload"] = without_secrets(call, delivery, payload);
    shown
}

/// The caller that wrote is left out: its attributes may hold more than whoever looks at deliveries should see.
fn summary(call: &Call, delivery: &store::outbox::Delivery) -> serde_json::Value {
    let row = &delivery.row;
    let mut shown = serde_json::json!({
        "id": row.id,
        "kind": row.kind,
        "state": delivery.state.name(),
        "plugin": row.plugin,
        "version": row.version,
        "rule": row.rule,
        "tenant": row.tenant,
        "request": row.request,
        "created": row.created,
        "due": delivery.due,
        "attempts": delivery.attempts,
        "attempts_max": row.attempts_max,
    });
    for (name, value) in [("key", &row.key), ("error", &delivery.error), ("ended", &delivery.ended)] {
        if let Some(value) = value {
            shown[name] = without_secrets(call, delivery, value.as_str().into());
        }
    }
    shown
}

/// What a plugin has sent out is for the receiver. Whoever looks at deliveries sees no more of its secrets than in its log.
fn without_secrets(call: &Call, delivery: &store::outbox::Delivery, value: serde_json::Value) -> serde_json::Value {
    match call.world.plugins.secrets(&delivery.row.plugin) {
        Some(secrets) => secrets.without_in(value),
        None => value,
    }
}
