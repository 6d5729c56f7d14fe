//! Role links: that a principal, or everybody who holds some role, holds another role. How they are walked is for `standing`.

use std::sync::Arc;

use serde::Serialize;

use crate::policy::{Source, check_subject, shown};

/// The role that everybody holds, known or not.
pub(crate) const ANYONE: &str = "role:anyone";

/// The role that everybody holds who has shown who it is.
pub(crate) const AUTHENTICATED: &str = "role:authenticated";

/// That somebody holds a role, in one tenant or everywhere; made by [`crate::Reader`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RoleLink {
    /// `user:ID`, `service:ID`, `plugin:NAME`, or `role:x` for everybody who holds that role.
    pub(crate) member: Arc<str>,
    /// The role that is held: `role:x`.
    pub(crate) role: Arc<str>,
    /// A tenant, or `*` for all.
    pub(crate) tenant: Arc<str>,
    /// Where it was written down.
    pub(crate) source: Source,
}

impl RoleLink {
    /// `user:ID`, `service:ID`, `plugin:NAME` or `role:x`.
    #[must_use]
    pub fn member(&self) -> &str {
        &self.member
    }

    /// `role:x`.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// A tenant, or `*` for all.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Where it was written down.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// True if the role is held in this tenant.
    #[must_use]
    pub fn holds_in(&self, tenant: &str) -> bool {
        &*self.tenant == "*" || &*self.tenant == tenant
    }
}

pub(crate) fn check_role(text: &str) -> Result<(), String> {
    if text == ANYONE || text == AUTHENTICATED {
        return Err(format!("`{text}` cannot be given: who holds it is not a matter of policy"));
    }
    if !text.starts_with("role:") {
        return Err(format!("`{}` is not `role:NAME`", shown(text)));
    }
    check_subject(text)
}
