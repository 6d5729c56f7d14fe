//! Runs trials against a snapshot and tells what was different, and which policies nobody has tried.

use std::collections::HashSet;

use super::{
    Coverage, Expected, Report, Trial, TrialResult, Trials,
    attempt::{Attempt, attempt},
    fixtures::Fixtures,
};
use crate::{
    explain::{Decision, Order, Outcome, PolicyName},
    policy::PolicyId,
    snapshot::{Change, Collections, Snapshot},
};

/// Runs trials. The roles of their users are added to those that the snapshot gives, for each trial alone.
#[must_use]
pub fn run(snapshot: &Snapshot, collections: Collections<'_>, trials: &[Trials]) -> Report {
    let mut covered = HashSet::new();
    let mut results = Vec::new();
    for trials in trials {
        let fixtures = Fixtures { trials, collections };
        let file = || trials.file.clone();
        let faults = fixtures.faults().into_iter();
        results.extend(faults.map(|(name, reason)| TrialResult { file: file(), line: None, name, passed: false, message: Some(reason) }));
        for trial in &trials.trials {
            let message = match tried(snapshot, &fixtures, trial) {
                Ok(attempt) => {
                    covered.extend(taking_part(&attempt));
                    trial.expected.differences(&attempt)
                }
                Err(reason) => Some(reason),
            };
            let (line, name) = (trial.line, trial.name.clone());
            results.push(TrialResult { file: file(), line, name, passed: message.is_none(), message });
        }
    }
    Report { results, coverage: coverage(snapshot, &covered) }
}

fn tried(snapshot: &Snapshot, fixtures: &Fixtures<'_>, trial: &Trial) -> Result<Attempt, String> {
    let change = Change { assign: trial.links.clone(), ..Change::default() };
    let with_roles = snapshot.with(&change, snapshot.epoch(), fixtures.collections).map_err(|error| error.to_string())?;
    attempt(&with_roles, fixtures, trial)
}

/// The policies that decided or that matched and held.
fn taking_part(attempt: &Attempt) -> impl Iterator<Item = PolicyId> {
    let matched = attempt.explanations.iter().flat_map(|explanation| &explanation.policies);
    let held = matched.filter(|policy| policy.ignored.is_none() && policy.result == Some(Outcome::True)).map(|policy| policy.id);
    held.chain(attempt.policy.iter().map(|(id, _)| *id))
}

fn coverage(snapshot: &Snapshot, covered: &HashSet<PolicyId>) -> Coverage {
    let mut policies: Vec<_> = snapshot.policies().collect();
    policies.sort_by_cached_key(|policy| Order::of(policy));
    let mut seen = HashSet::with_capacity(policies.len());
    policies.retain(|policy| seen.insert(policy.id()));
    let uncovered: Vec<_> = policies.iter().filter(|policy| !covered.contains(&policy.id())).map(|policy| PolicyName::of(policy)).collect();
    Coverage { policies: policies.len(), covered: policies.len() - uncovered.len(), uncovered }
}

impl Expected {
    /// What is not as expected; none if everything is.
    fn differences(&self, attempt: &Attempt) -> Option<String> {
        let Self { decision, by, reason, fields, hidden } = self;
        let words = &attempt.words;
        if *decision != attempt.decision {
            return Some(format!("expected {}, but {words}", in_words(*decision)));
        }
        let mut found = Vec::new();
        if let Some(ground) = reason.filter(|ground| *ground != attempt.ground) {
            found.push(format!("expected the reason `{}`, but it is `{}`", ground.name(), attempt.ground.name()));
        }
        if let Some(by) = by.as_ref().filter(|by| !attempt.policy.as_ref().is_some_and(|policy| is_called(policy, by))) {
            found.push(format!("expected it to be decided by `{by}`"));
        }
        let open = |name: &String| attempt.fields.contains(name);
        found.extend(fields.iter().filter(|name| !open(name)).map(|name| format!("`{name}` is not open")));
        found.extend(hidden.iter().filter(|name| open(name)).map(|name| format!("`{name}` is open")));
        let shown = if fields.is_empty() && hidden.is_empty() { String::new() } else { format!(" (open: {})", attempt.fields.join(", ")) };
        (!found.is_empty()).then(|| format!("{}: {words}{shown}", found.join("; ")))
    }
}

fn in_words(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allowed",
        Decision::Deny => "denied",
        Decision::Depends => "dependent on the record",
    }
}

/// A policy is called by its id or by its place, with or without the folders before it.
fn is_called((id, source): &(PolicyId, String), name: &str) -> bool {
    let place = source.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('/'));
    place || id.to_string() == name
}
