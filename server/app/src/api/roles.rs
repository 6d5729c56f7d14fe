//! `/api/roles`: who has which role.

use poem_openapi::{Object, OpenApi, param::Path, param::Query, types::Any};

use super::{
    payload::Reply,
    policies::{given, number},
};
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

/// What somebody may do to a collection, or to a part of the management API.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct Permission {
    object: String,
    action: String,
    /// `never`, `always` or `when`.
    access: String,
    /// For `when`: the condition on the record.
    condition: Option<String>,
    /// The fields that are open whatever the record.
    fields: Vec<String>,
    /// The fields that are open under a condition.
    conditional_fields: Vec<Any<serde_json::Value>>,
    /// The ids of the policies behind it.
    policies: Vec<String>,
}

#[OpenApi(prefix_path = "/roles")]
impl RolesApi {
    /// See who has which role.
    #[oai(path = "/", method = "get", operation_id = "roles_list")]
    async fn list(
        &self,
        call: Call,
        /// Only those of this principal or role, not those that come through others.
        member: Query<Option<String>>,
        /// Only those who have this role.
        role: Query<Option<String>>,
        /// Only those in this tenant; `*` for those in all.
        tenant: Query<Option<String>>,
        /// How many: 1000 unless given, 10000 at most.
        limit: Query<Option<String>>,
    ) -> poem::Result<Reply<Vec<RoleLink>>> {
        let limit = number("limit", &limit.0, 1_000, 10_000)?;
        let search = roles::Search { member: given(member.0), role: given(role.0), tenant: given(tenant.0), limit };
        Ok(Reply::new(&roles::list(&call, &search)?)?)
    }

    /// See what a principal, or everybody who has a role, may do: each collection and action, with conditions and fields.
    #[oai(path = "/matrix", method = "get", operation_id = "roles_matrix")]
    async fn matrix(
        &self,
        call: Call,
        /// `user:ID`, `service:ID`, `anonymous` or `role:NAME`; you unless given.
        whom: Query<Option<String>>,
        /// The tenant in which; yours unless given.
        tenant: Query<Option<String>>,
    ) -> poem::Result<Reply<Vec<Permission>>> {
        let whom = given(whom.0).unwrap_or_else(|| call.caller.principal.to_string());
        let tenant = given(tenant.0).unwrap_or_else(|| call.caller.tenant.clone());
        Ok(Reply::new(&roles::matrix(&call, &whom, &tenant)?)?)
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
        let (link, epoch) = roles::assign(&call, &role.0, &principal.0, &everywhere(tenant.0)).await?;
        Ok(Reply::new(&link)?.at(epoch))
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
        let (link, epoch) = roles::remove(&call, &role.0, &principal.0, &everywhere(tenant.0)).await?;
        Ok(Reply::new(&link)?.at(epoch))
    }
}

fn everywhere(tenant: Option<String>) -> String {
    tenant.filter(|tenant| !tenant.is_empty()).unwrap_or_else(|| "*".to_owned())
}
