//! What can be wrong with a set of policies. Every error says where: the source, and the column where there is one.

use crate::policy::Source;

/// Why policies were refused. The set that is in force stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// One column holds what it may not hold.
    #[error("{place}: column {} ({}): {reason}", .column.number(), .column.name())]
    Column {
        /// The line or the stored policy.
        place: Source,
        /// Which column.
        column: Column,
        /// What is wrong, in words.
        reason: String,
    },
    /// A line of a file is no policy, no role link and no seal at all.
    #[error("{place}: {reason}")]
    Line {
        /// The line.
        place: Source,
        /// What is wrong, in words.
        reason: String,
    },
    /// A role would, through other roles, hold itself.
    #[error("{place}: `{member}` cannot hold `{role}`, which already holds it: roles may not form a circle")]
    Cycle {
        /// The link that closes the circle; any of the circle's links can be the one that is named.
        place: Source,
        /// The member of that link.
        member: String,
        /// The role of that link.
        role: String,
    },
    /// Casbin does not accept our own model: a fault of this program.
    #[error("the policy engine does not start: {0}")]
    Engine(String),
}

/// A column of a policy (`p`), of a role link (`g`) or of a seal (`s`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// `p`: who.
    Subject,
    /// `p`: where; a tenant or `*`.
    Domain,
    /// `p`: what; a collection, a system object or `*`.
    Object,
    /// `p`: the action or `*`.
    Action,
    /// `p`: `*` or field names.
    Fields,
    /// `p`: the condition, or nothing.
    Condition,
    /// `p`: `allow` or `deny`.
    Effect,
    /// `g`: who holds the role.
    Member,
    /// `g`: the role that is held.
    Role,
    /// `g`: where it is held; a tenant or `*`.
    Tenant,
    /// `s`: what is sealed.
    Sealed,
}

impl Column {
    /// The name of the column: that of the member of [`crate::PolicyDraft`] or [`crate::RoleLink`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Column::Subject => "subject",
            Column::Domain => "domain",
            Column::Object => "object",
            Column::Action => "action",
            Column::Fields => "fields",
            Column::Condition => "condition",
            Column::Effect => "effect",
            Column::Member => "member",
            Column::Role => "role",
            Column::Tenant => "tenant",
            Column::Sealed => "object",
        }
    }

    /// The place of the column in a line of a file, counted from 1; the first holds `p`, `g` or `s`.
    #[must_use]
    pub fn number(self) -> usize {
        match self {
            Column::Subject | Column::Member | Column::Sealed => 2,
            Column::Domain | Column::Role => 3,
            Column::Object | Column::Tenant => 4,
            Column::Action => 5,
            Column::Fields => 6,
            Column::Condition => 7,
            Column::Effect => 8,
        }
    }
}
