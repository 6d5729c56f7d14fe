//! An explanation in one sentence, for logs, terminals and the messages of failed trials.

use std::fmt;

use super::{Decision, Explanation, Outcome, Reason};

/// How many of several reasons a sentence names.
const NAMED_MAX: usize = 2;

impl fmt::Display for Explanation {
    /// For example ``denied: no policy allows it (nearest: policies/shop.csv:3: it is for `update`, not `delete`)``.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.decision {
            Decision::Allow => "allowed",
            Decision::Deny => "denied",
            Decision::Depends => "dependent on the record",
        })?;
        match (self.reason, &self.policy) {
            (Reason::AllowedBy | Reason::DeniedBy, Some(policy)) => {
                write!(formatter, " by {} ({})", policy.source, policy.text)?;
                self.doubts(policy.id, formatter)
            }
            (Reason::NoPolicy, _) => formatter.write_str(": no policy allows it").and_then(|()| self.nearest(formatter)),
            (Reason::NoConditionHolds, _) => formatter.write_str(": no condition holds").and_then(|()| self.nearest(formatter)),
            (Reason::FieldForbidden, _) => formatter.write_str(": some of the fields may not be used"),
            (Reason::System, _) => formatter.write_str(": the server itself may do everything"),
            (Reason::EngineFailed, _) => formatter.write_str(": the policy engine failed"),
            (Reason::AllowedBy | Reason::DeniedBy | Reason::DependsOnRecord, _) => Ok(()),
        }
    }
}

impl Explanation {
    fn nearest(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let near = self.nearest.iter().take(NAMED_MAX).map(|near| format!("{}: {}", near.policy.source, near.misses.join(" and ")));
        match near.collect::<Vec<_>>() {
            near if near.is_empty() => Ok(()),
            near => write!(formatter, " (nearest: {})", near.join("; ")),
        }
    }

    fn doubts(&self, id: crate::PolicyId, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deciding = self.policies.iter().find(|policy| policy.id == id && policy.result == Some(Outcome::Unknown));
        let Some(deciding) = deciding else { return Ok(()) };
        let doubts = deciding.doubts.iter().map(|doubt| format!("`{}` is {}", doubt.path, doubt.found));
        let doubts: Vec<_> = doubts.chain(deciding.note.clone()).collect();
        write!(formatter, ", because {}", doubts.join(", "))
    }
}
