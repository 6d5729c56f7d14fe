//! What happens when somebody tries: the steps of a request that policies decide, in the order in which the server takes them. Updates look
//! at the stored record and at the changed one; writes look at every field that was given.

use model::{Action, Collection, Record, validate::changed_fields};

use super::{
    Ground, Target, Trial,
    fixtures::{Fixtures, changed, created},
};
use crate::{
    explain::{Candidate, Decision, Explanation, Inquiry, Outcome, Reason},
    policy::{Effect, PolicyId},
    snapshot::Snapshot,
};

/// How an attempt went.
pub(super) struct Attempt {
    pub(super) decision: Decision,
    pub(super) ground: Ground,
    /// The policy that decided: its id and its place.
    pub(super) policy: Option<(PolicyId, String)>,
    /// What may be read or written.
    pub(super) fields: Vec<String>,
    /// In words: `it is denied by ...`.
    pub(super) words: String,
    /// Every explanation that was needed.
    pub(super) explanations: Vec<Explanation>,
}

impl Attempt {
    fn of(explanation: Explanation) -> Self {
        Self {
            decision: explanation.decision,
            ground: Ground::Reason(explanation.reason),
            policy: explanation.policy.as_ref().map(|policy| (policy.id, policy.source.clone())),
            fields: explanation.fields.allowed.clone(),
            words: format!("it is {explanation}"),
            explanations: vec![explanation],
        }
    }

    /// The same where a field that was given may not be written.
    fn without(self, field: &str) -> Self {
        let closes = |policy: &&Candidate| {
            let speaks = policy.fields.split(' ').any(|name| name == field);
            let denies = policy.effect == Effect::Deny && policy.result != Some(Outcome::False);
            policy.ignored.is_none() && speaks && denies
        };
        let closing = self.explanations.iter().find_map(|explanation| explanation.policies.iter().find(closes));
        let words = match closing {
            Some(policy) => format!("it is denied: `{field}` may not be written, because of {}", policy.source),
            None => format!("it is denied: `{field}` is not among the fields that may be written ({})", self.fields.join(", ")),
        };
        let policy = closing.map(|policy| (policy.id, policy.source.clone()));
        Self { decision: Decision::Deny, ground: Ground::Reason(Reason::FieldForbidden), policy, words, fields: Vec::new(), ..self }
    }
}

/// Tries it.
pub(super) fn attempt(snapshot: &Snapshot, fixtures: &Fixtures<'_>, trial: &Trial) -> Result<Attempt, String> {
    let caller = fixtures.caller(trial)?;
    let ask = |collection: &Collection, record: Option<&Record>, before: Option<&Record>| {
        snapshot.explain(&Inquiry { caller: &caller, action: trial.action, collection, record, before, now: &trial.now })
    };
    match &trial.target {
        Target::System(object) => Ok(Attempt::of(snapshot.explain_object(&caller, trial.action, object))),
        Target::Collection(name) => Ok(Attempt::of(ask(&fixtures.collection(name)?, None, None))),
        Target::New { collection, record: given } => {
            let collection = fixtures.collection(collection)?;
            let record = created(&collection, given, trial)?;
            let attempt = Attempt::of(ask(&collection, Some(&record), None));
            let written = changed_fields(None, &record).into_iter().filter(|field| given.contains_key(*field));
            Ok(within_fields(attempt, written))
        }
        Target::Stored { collection, record, change } => {
            let collection = fixtures.collection(collection)?;
            let stored = fixtures.stored(trial, &collection, record)?;
            let before = matches!(trial.action, Action::Update | Action::Delete).then_some(&stored);
            let attempt = Attempt::of(ask(&collection, Some(&stored), before));
            if change.is_empty() || attempt.decision == Decision::Deny {
                return Ok(attempt);
            }
            let after = changed(&collection, &stored, change, trial)?;
            let next = Attempt::of(ask(&collection, Some(&after), before));
            let written = changed_fields(Some(&stored), &after).into_iter().filter(|field| change.contains_key(*field));
            Ok(within_fields(both(attempt, next), written))
        }
    }
}

/// The stored record and the changed one must pass.
fn both(stored: Attempt, next: Attempt) -> Attempt {
    let fields = next.fields.into_iter().filter(|field| stored.fields.contains(field)).collect();
    let explanations = stored.explanations.into_iter().chain(next.explanations).collect();
    let words = match next.decision {
        Decision::Deny => format!("with the change {}", next.words),
        Decision::Allow | Decision::Depends => next.words,
    };
    Attempt { fields, explanations, words, ..next }
}

fn within_fields<'a>(attempt: Attempt, mut written: impl Iterator<Item = &'a str>) -> Attempt {
    if attempt.decision == Decision::Deny {
        return attempt;
    }
    match written.find(|field| !attempt.fields.iter().any(|open| open == field)) {
        Some(field) => attempt.without(field),
        None => attempt,
    }
}
