//! Who acts. A principal is a name; a caller is a principal with everything that decisions may look at.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::value::{Object, Value};

/// The tenant of every record while multi-tenancy is off.
pub const DEFAULT_TENANT: &str = "main";

/// Who acts: nobody known, a user, a service with a key, or a plugin under its grants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// No token was sent.
    Anonymous,
    /// A record of the collection `users`, by id.
    User(String),
    /// An API key, by id.
    Service(String),
    /// A plugin that writes on its own account, by name.
    Plugin(String),
    /// The server itself: bundles and the command line of the operator, who owns the data directory anyway.
    System,
}

impl Principal {
    /// The id behind the prefix, if there is one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Principal::User(id) | Principal::Service(id) | Principal::Plugin(id) => Some(id),
            Principal::Anonymous | Principal::System => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Anonymous => formatter.write_str("anonymous"),
            Principal::User(id) => write!(formatter, "user:{id}"),
            Principal::Service(id) => write!(formatter, "service:{id}"),
            Principal::Plugin(name) => write!(formatter, "plugin:{name}"),
            Principal::System => formatter.write_str("system"),
        }
    }
}

/// A text that names no principal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a principal: write `user:ID`, `service:ID` or `plugin:NAME`")]
pub struct UnknownPrincipal(pub String);

impl FromStr for Principal {
    type Err = UnknownPrincipal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("user", id)) if is_id(id) => Ok(Principal::User(id.to_owned())),
            Some(("service", id)) if is_id(id) => Ok(Principal::Service(id.to_owned())),
            Some(("plugin", name)) if is_id(name) => Ok(Principal::Plugin(name.to_owned())),
            _ => Err(UnknownPrincipal(text.to_owned())),
        }
    }
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// What a caller wants to do with a record. Get, list, count and subscribe are all `Read`: they must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make a new record.
    Create,
    /// See a record, alone or in a list.
    Read,
    /// Change a stored record.
    Update,
    /// Remove a stored record.
    Delete,
}

impl Action {
    /// Every action, in the order in which a record lives through them.
    pub const ALL: [Action; 4] = [Action::Create, Action::Read, Action::Update, Action::Delete];

    /// The word in policies, hooks and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Read => "read",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// A principal with what conditions may ask about it: `caller.id`, `caller.tenant`, `caller.roles` and the fields of its own record.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub principal: Principal,
    /// The tenant it acts in.
    pub tenant: String,
    /// The object behind `caller.`; the policies crate adds `roles`.
    pub attributes: Object,
}

impl Caller {
    /// A caller with the attributes `id` and `tenant` beside those given (which cannot replace the two).
    #[must_use]
    pub fn new(principal: Principal, tenant: &str, mut attributes: Object) -> Self {
        let id = principal.id().map_or(Value::Null, Value::from);
        attributes.insert("id".to_owned(), id);
        attributes.insert("tenant".to_owned(), Value::from(tenant));
        Self { principal, tenant: tenant.to_owned(), attributes }
    }

    /// Nobody known, in the default tenant.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new(Principal::Anonymous, DEFAULT_TENANT, Object::new())
    }

    /// The server itself, in the default tenant.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Principal::System, DEFAULT_TENANT, Object::new())
    }
}
