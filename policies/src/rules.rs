//! The index over all policies, which finds the few that Casbin has to look at. It may find too many - Casbin tests every term again -
//! but never too few.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use model::{Action, Collection, Condition};

use crate::{
    error::{Column, Error},
    fields::FieldMask,
    policy::Policy,
};

/// The number of a rule in its [`Rules`].
pub(crate) type RuleNumber = usize;

/// A policy with its columns read.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) policy: Arc<Policy>,
    pub(crate) condition: Option<Condition>,
    pub(crate) fields: FieldMask,
}

/// All rules by object, then by subject.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    all: Vec<Rule>,
    index: HashMap<String, HashMap<String, Vec<RuleNumber>>>,
}

impl Rules {
    /// Reads the policies. Those that say the same count once, wherever they come from.
    ///
    /// # Errors
    /// The first column that is wrong, also when it does not fit the collection it speaks about.
    pub(crate) fn build(policies: &[Arc<Policy>], collections: &dyn Fn(&str) -> Option<Collection>) -> Result<Self, Error> {
        let mut rules = Self::default();
        let mut seen = HashSet::new();
        for policy in policies {
            let condition = policy.check()?;
            if let Some(collection) = collections(&policy.object) {
                check_against(&collection, policy, condition.as_ref())?;
            }
            if seen.insert(policy.columns()) {
                rules.add(Rule { policy: policy.clone(), condition, fields: FieldMask::parse(&policy.fields) });
            }
        }
        Ok(rules)
    }

    fn add(&mut self, rule: Rule) {
        let number = self.all.len();
        let by_subject = self.index.entry(rule.policy.object.clone()).or_default();
        by_subject.entry(rule.policy.subject.clone()).or_default().push(number);
        self.all.push(rule);
    }

    pub(crate) fn rule(&self, number: RuleNumber) -> &Rule {
        &self.all[number]
    }

    /// The rules that may speak about this, ascending.
    pub(crate) fn candidates(&self, subjects: &[String], tenant: &str, action: Action, object: &str) -> Vec<RuleNumber> {
        let mut found = Vec::new();
        for by_subject in [object, "*"].iter().filter_map(|object| self.index.get(*object)) {
            for numbers in subjects.iter().filter_map(|subject| by_subject.get(subject)) {
                found.extend(numbers.iter().filter(|&&number| may_match(&self.rule(number).policy, tenant, action)));
            }
        }
        found.sort_unstable();
        found
    }
}

fn may_match(policy: &Policy, tenant: &str, action: Action) -> bool {
    (policy.domain == "*" || policy.domain == tenant) && (policy.action == "*" || policy.action == action.name())
}

/// A policy about one collection must fit it, so that a typing error is found when it is made.
fn check_against(collection: &Collection, policy: &Policy, condition: Option<&Condition>) -> Result<(), Error> {
    let refuse = |column, reason| Err(Error::Column { place: policy.source.clone(), column, reason });
    let unknown = |name: &&str| collection.field_type(name).is_none();
    if policy.fields != "*"
        && let Some(name) = policy.fields.split(' ').find(unknown)
    {
        return refuse(Column::Fields, format!("unknown field `{name}` in collection `{}`", collection.name()));
    }
    match condition.map(|condition| condition.check(collection)) {
        Some(Err(error)) => refuse(Column::Condition, error.to_string()),
        Some(Ok(_)) | None => Ok(()),
    }
}
