//! `/api/roles`: who has which role.

use poem_openapi::{Object, OpenApi, param::Path, param::Query, types::Any};

use super::payload::Reply;
use crate::{call::Call, roles};

pub(super) struct RolesApi;

/// That somebody has a role.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct RoleLink {
    /// A principal such as `user:ID`, or a role such as `role:author`.
    member: String,
    /// The role, as `role:NAME`.
    role: String,
    /// The tenant in which, or `*` for all.
    tenant: String,
    /// The file and line, or the database.
    source: Any<serde_json::Value>,
}

#[OpenApi(prefix_path = "/roles")]
impl RolesApi {
    /// See who has which role.
    #[oai(path = "/", method = "get", operation_id = "roles_list")]
    async fn list(&self, call: Call) -> poem::Result<Reply<Vec<RoleLink>>> {
        Ok(Reply::new(&roles::list(&call)?)?)
    }

    /// Give a role to a principal.
    #[oai(path = "/:role/members/:principal", method = "put", operation_id = "roles_assign")]
    async fn assign(
        &self,
        call: Call,
        /// The name of the role.
        role: Path<String>,
        /// `user:ID`, `service:ID` or `role:NAME`.
        principal: Path<String>,
        /// The tenant in which; `*`, all, unless given.
        tenant: Query<Option<String>>,
    ) -> poem::Result<Reply<RoleLink>> {
        Ok(Reply::new(&roles::assign(&call, &role.0, &principal.0, &everywhere(tenant.0)).await?)?)
    }

    /// Take a role from a principal.
    #[oai(path = "/:role/members/:principal", method = "delete", operation_id = "roles_remove")]
    async fn remove(
        &self,
        call: Call,
        /// The name of the role.
        role: Path<String>,
        /// `user:ID`, `service:ID` or `role:NAME`.
        principal: Path<String>,
        /// The tenant in which; `*`, all, unless given.
        tenant: Query<Option<String>>,
    ) -> poem::Result<Reply<RoleLink>> {
        Ok(Reply::new(&roles::remove(&call, &role.0, &principal.0, &everywhere(tenant.0)).await?)?)
    }
}

fn everywhere(tenant: Option<String>) -> String {
    tenant.filter(|tenant| !tenant.is_empty()).unwrap_or_else(|| "*".to_owned())
}
