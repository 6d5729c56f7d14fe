//! The story of a change that is tried before it is made: what everybody concerned could do then, and which decisions would be others.

use std::collections::BTreeSet;

use model::Action;
use policies::{Finding, Flip, Snapshot, compare};
use serde::{Deserialize, Serialize};

use super::{
    ChangeDraft, OBJECT, Place,
    explain::{Answer, Asked, Question},
    findings, read,
};
use crate::{
    Error,
    call::Call,
    roles::{Named, check_tenant},
};

/// A change, and whom and what to look at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// The change.
    pub(crate) change: ChangeDraft,
    /// Principals and roles beside those that the change names.
    #[serde(default)]
    whom: Vec<String>,
    /// The tenant whose matrix is compared.
    #[serde(default)]
    tenant: Option<String>,
    /// Questions whose answers are compared.
    #[serde(default)]
    samples: Vec<Sample>,
}

/// A question with a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    question: Question,
}

/// What a change would do.
#[derive(Debug, Serialize)]
pub struct Outlook {
    /// The count of changes that this was compared with.
    epoch: u64,
    /// What is odd about the added policies.
    findings: Vec<Finding>,
    /// What principals and roles could do differently.
    matrix: Vec<Difference>,
    /// The decisions, in the order of the samples.
    samples: Vec<Compared>,
}

#[derive(Debug, Serialize)]
struct Difference {
    whom: String,
    changes: Vec<Flip>,
}

#[derive(Debug, Serialize)]
struct Compared {
    name: String,
    /// True if the decision is another.
    flips: bool,
    before: Answer,
    after: Answer,
}

/// How many names and samples one preview may have.
const WHOM_MAX: usize = 100;

/// Tries a change. Nothing is written.
///
/// # Errors
/// The policies, or what would be wrong with the change.
pub async fn preview(call: &Call, preview: Preview) -> Result<Outlook, Error> {
    // A condition that is only tried tells as much as one that is made.
    call.authorize(Action::Create, OBJECT)?;
    let Preview { change, whom, tenant, samples } = preview;
    if whom.len() > WHOM_MAX || samples.len() > WHOM_MAX {
        let message = format!("at most {WHOM_MAX} names and as many samples");
        return Err(Error::Body(model::Violation::new(model::Pointer::root(), "body.shape", message)));
    }
    let change = read(call, change, &Place::Listed).await?;
    let known = |name: &str| call.world.catalog.get(name).cloned();
    let before = &call.world.policies;
    let after = before.with(&change, call.world.version, &known)?;

    let subjects = change.add.iter().chain(&change.remove).map(|policy| policy.subject());
    let members = change.assign.iter().chain(&change.unassign).map(|link| link.member());
    let concerned: BTreeSet<&str> = subjects.chain(members).chain(whom.iter().map(String::as_str)).collect();
    let tenant = tenant.unwrap_or_else(|| call.caller.tenant.clone());
    check_tenant(&tenant, "tenant")?;
    let mut matrix = Vec::new();
    for whom in concerned.into_iter().take(2 * WHOM_MAX) {
        let changes = changes(call, [before, &after], whom, &tenant)?;
        if !changes.is_empty() {
            matrix.push(Difference { whom: whom.to_owned(), changes });
        }
    }
    let mut compared = Vec::with_capacity(samples.len());
    let world = call.world.with_policies(after, call.world.version);
    for Sample { name, question } in samples {
        let asked = Asked::read(call, &question).await?;
        let (before, after) = (asked.answer(call, &call.world), asked.answer(call, &world));
        compared.push(Compared { name, flips: before.differs(&after), before, after });
    }
    let findings = findings(call, &change.add);
    Ok(Outlook { epoch: call.world.version, findings, matrix, samples: compared })
}

fn changes(call: &Call, [before, after]: [&Snapshot; 2], whom: &str, tenant: &str) -> Result<Vec<Flip>, Error> {
    let collections: Vec<_> = call.world.catalog.values().cloned().collect();
    // Plugins have policies too, and no name that somebody could log in with.
    if whom.starts_with("plugin:") {
        return Ok(Vec::new());
    }
    let named = Named::parse(whom, "whom")?;
    let matrix = |snapshot: &Snapshot| snapshot.matrix(named.whom(), tenant, &collections);
    Ok(compare(&matrix(before), &matrix(after)))
}

impl Answer {
    fn differs(&self, other: &Answer) -> bool {
        let result = |answer: &Answer| answer.result.as_ref().map(|result| (result.decision, result.fields.clone()));
        self.explanation.decision != other.explanation.decision
            || self.explanation.fields != other.explanation.fields
            || result(self) != result(other)
    }
}
