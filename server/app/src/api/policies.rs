//! `/api/policies`: policies at run time.

use poem_openapi::{Enum, Object, OpenApi, param::Path, param::Query, types::Any};

use super::payload::{Documented, Reply};
use crate::{call::Call, policies};

pub(super) struct PoliciesApi;

/// Whether a policy gives or takes.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the body in the document")]
enum Effect {
    Allow,
    Deny,
}

/// That somebody may, or may not, do something with records of a collection.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct PolicyDraft {
    /// `role:x`, `user:ID`, `service:ID`, `role:anyone` or `role:authenticated`.
    subject: String,
    /// A tenant, or `*` for all.
    domain: Option<String>,
    /// A collection, a system object such as `_collections`, or `*` for all.
    object: String,
    /// `create`, `read`, `update`, `delete`, or `*` for all.
    action: String,
    /// Field names with spaces between them, or `*` for all.
    fields: Option<String>,
    /// A condition such as `record.owner == caller.id`; empty means always.
    condition: Option<String>,
    /// `allow` unless given; a denial wins over every allowance.
    effect: Option<Effect>,
}

/// A policy in force.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct Policy {
    /// The same policy has the same id everywhere.
    id: String,
    subject: String,
    domain: String,
    object: String,
    action: String,
    fields: String,
    condition: String,
    effect: Effect,
    /// The file and line, or the database.
    source: Any<serde_json::Value>,
}

#[OpenApi(prefix_path = "/policies")]
impl PoliciesApi {
    /// See every policy in force, from files and from the database.
    #[oai(path = "/", method = "get", operation_id = "policies_list")]
    async fn list(&self, call: Call) -> poem::Result<Reply<Vec<Policy>>> {
        Ok(Reply::new(&policies::list(&call)?)?)
    }

    /// Add a policy. It is in force when this answers.
    #[oai(path = "/", method = "post", operation_id = "policies_create")]
    async fn create(&self, call: Call, body: Documented<PolicyDraft>) -> poem::Result<Reply<Policy, 201>> {
        Ok(Reply::new(&policies::create(&call, body.parse()?).await?)?)
    }

    /// Remove a policy of the database, named in the query.
    #[oai(path = "/", method = "delete", operation_id = "policies_delete")]
    async fn delete(
        &self,
        call: Call,
        /// The id of the policy.
        id: Query<Option<String>>,
    ) -> poem::Result<Reply<Policy>> {
        Ok(Reply::new(&policies::delete(&call, id.0.as_deref().unwrap_or_default()).await?)?)
    }

    /// Remove a policy of the database.
    #[oai(path = "/:id", method = "delete", operation_id = "policies_delete_one")]
    async fn delete_one(&self, call: Call, id: Path<String>) -> poem::Result<Reply<Policy>> {
        Ok(Reply::new(&policies::delete(&call, &id.0).await?)?)
    }
}
