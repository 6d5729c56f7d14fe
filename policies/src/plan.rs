//! The answer to "may these callers do this to records of that collection", worked out once for everybody who holds the same roles:
//! a condition on the record and the fields that each rule opens. Single checks, lists, masks and explanations read the same plan,
//! so they agree by construction.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use model::{
    Action, Collection, Condition, Guard, Truth,
    condition::{Context, Scope},
    record::SYSTEM_FIELDS,
};

use crate::{
    engine::{self, Question},
    fields::FieldMask,
    policy::{Effect, Policy},
    standing::Standing,
};

/// How decisions about records are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By the plan.
    #[default]
    Plan,
    /// By Casbin, for every record and field anew: slow, and the same. (Lists are still found by the plan.)
    Casbin,
    /// By both. Where they differ it is denied, logged and counted: see [`differences`].
    Verify,
}

static DIFFERENCES: AtomicU64 = AtomicU64::new(0);

/// How many decisions of [`Mode::Verify`] have differed since the process began; anything but 0 is a fault of this program.
#[must_use]
pub fn differences() -> u64 {
    DIFFERENCES.load(Ordering::Relaxed)
}

/// Which records a plan lets through.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// None.
    Never,
    /// Every one.
    Always,
    /// Those for which the guard holds.
    When(Guard),
}

/// What a group of callers may do. It stays true as long as its snapshot: keep it for one request.
#[derive(Debug)]
pub struct Plan {
    access: Access,
    /// The allowing rules that can be decided: each opens its fields.
    grants: Vec<Term>,
    /// The denying rules that close some fields only.
    closures: Vec<Term>,
    unconditional: FieldMask,
    /// The fields depend on the record.
    varies: bool,
    policies: Vec<Arc<Policy>>,
    /// None in [`Mode::Plan`].
    check: Option<Check>,
}

/// What Casbin needs to decide the same.
#[derive(Debug)]
struct Check {
    verify: bool,
    candidates: Vec<Arc<Policy>>,
    /// The condition of each candidate.
    conditions: Vec<When>,
    subjects: Arc<[Arc<str>]>,
    tenant: Box<str>,
    object: String,
    action: Action,
    fields: Vec<String>,
}

/// One rule, ready to be decided for a record.
#[derive(Debug)]
struct Term {
    when: When,
    fields: FieldMask,
}

#[derive(Clone, Debug)]
enum When {
    Always,
    Holds(Arc<Condition>),
    /// The condition does not fit the collection.
    Undecidable,
}

impl Plan {
    /// A plan that lets nothing through.
    pub(crate) fn never() -> Self {
        Self::combine(Vec::new(), Vec::new(), Vec::new())
    }

    /// A plan that lets everything through.
    pub(crate) fn always() -> Self {
        let everything = Term { when: When::Always, fields: FieldMask::all() };
        Self::combine(vec![everything], Vec::new(), Vec::new())
    }

    /// Puts together the candidates that Casbin has matched (by position), whatever their conditions and fields.
    pub(crate) fn new(
        candidates: Vec<Arc<Policy>>,
        matched: &[usize],
        collection: &Collection,
        (action, standing): (Action, &Standing),
        mode: Mode,
    ) -> Self {
        let (mut grants, mut denials) = (Vec::new(), Vec::new());
        let policies: Vec<_> = matched.iter().map(|&position| Arc::clone(&candidates[position])).collect();
        for policy in &policies {
            let term = Term { when: When::of(policy, collection), fields: policy.fields.mask().clone() };
            match policy.effect {
                Effect::Allow => grants.push(term),
                Effect::Deny => denials.push(term),
            }
        }
        let verify = match mode {
            Mode::Plan => None,
            Mode::Casbin => Some(false),
            Mode::Verify => Some(true),
        };
        let check = verify.map(|verify| Check::new(verify, candidates, collection, action, standing));
        Self { check, ..Self::combine(grants, denials, policies) }
    }

    fn combine(mut grants: Vec<Term>, denials: Vec<Term>, policies: Vec<Arc<Policy>>) -> Self {
        grants.retain(|grant| !matches!(grant.when, When::Undecidable));
        let (refusals, closures): (Vec<_>, Vec<_>) = denials.into_iter().partition(|denial| denial.fields.is_all());
        let access = access(&all(&grants), &all(&refusals));
        if access == Access::Never {
            // Nothing passes, so no field is open either.
            grants.clear();
        }
        let sure = sure_fields(&grants);
        let unconditional = closures.iter().fold(sure.clone(), |mask, closure| mask.without(&closure.fields));
        let possible = grants.iter().fold(FieldMask::none(), |mask, grant| mask.union(&grant.fields));
        let varies = possible != sure || closures.iter().any(|closure| matches!(closure.when, When::Holds(_)));
        Self { access, grants, closures, unconditional, varies, policies, check: None }
    }

    /// Which records pass; what a list puts into its query.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Whether this record passes.
    #[must_use]
    pub fn allows(&self, context: &Context<'_>) -> bool {
        let ours = self.lets_pass(context);
        match &self.check {
            None => ours,
            Some(check) => check.decides("*", ours, context),
        }
    }

    fn lets_pass(&self, context: &Context<'_>) -> bool {
        match &self.access {
            Access::Never => false,
            Access::Always => true,
            Access::When(guard) => guard.holds(context),
        }
    }

    /// The fields of this record that may be read, or written; none if the record does not pass. Fields that the collection keeps
    /// secret are for the caller of this to remove.
    #[must_use]
    pub fn fields(&self, context: &Context<'_>) -> Cow<'_, FieldMask> {
        let ours = self.mask(context);
        match &self.check {
            None => ours,
            Some(check) => {
                let open = check.fields.iter().filter(|field| check.decides(field, ours.contains(field), context));
                Cow::Owned(FieldMask::Only(open.cloned().collect()))
            }
        }
    }

    fn mask(&self, context: &Context<'_>) -> Cow<'_, FieldMask> {
        if !self.lets_pass(context) {
            return Cow::Owned(FieldMask::none());
        }
        if !self.varies {
            return Cow::Borrowed(&self.unconditional);
        }
        let open = self.grants.iter().filter(|grant| grant.when.truth(context) == Truth::True);
        let opened = open.fold(FieldMask::none(), |mask, grant| mask.union(&grant.fields));
        let closed = self.closures.iter().filter(|closure| closure.when.truth(context) != Truth::False);
        Cow::Owned(closed.fold(opened, |mask, closure| mask.without(&closure.fields)))
    }

    /// The fields that every passing record shows: what lists may filter and sort by without telling more than they show.
    #[must_use]
    pub fn unconditional_fields(&self) -> &FieldMask {
        &self.unconditional
    }

    /// True if there may be a record that passes and shows the field.
    #[must_use]
    pub fn may_show(&self, field: &str) -> bool {
        self.access_to(field) != Access::Never
    }

    /// Of the records that pass, those in which the field is open.
    pub(crate) fn access_to(&self, field: &str) -> Access {
        let grants: Vec<_> = self.grants.iter().filter(|grant| grant.fields.contains(field)).collect();
        let closures: Vec<_> = self.closures.iter().filter(|closure| closure.fields.contains(field)).collect();
        access(&grants, &closures)
    }

    /// The policies that speak about this, those included whose condition does not fit the collection; in the order of the snapshot.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Policy>] {
        &self.policies
    }
}

impl Check {
    fn new(verify: bool, candidates: Vec<Arc<Policy>>, collection: &Collection, action: Action, standing: &Standing) -> Self {
        let conditions = candidates.iter().map(|policy| When::of(policy, collection)).collect();
        let system = SYSTEM_FIELDS.iter().map(|&name| name.to_owned());
        Self {
            verify,
            candidates,
            conditions,
            subjects: Arc::clone(&standing.subjects),
            tenant: standing.tenant.clone(),
            object: collection.name().to_owned(),
            action,
            fields: collection.fields().map(|field| field.name.clone()).chain(system).collect(),
        }
    }

    /// What Casbin decides about a field (`*`: about the record), unless it should have decided the same as the plan and has not.
    fn decides(&self, field: &str, ours: bool, context: &Context<'_>) -> bool {
        let principal = context.caller.principal.to_string();
        let Self { subjects, tenant, object, .. } = self;
        let question = Question { principal: &principal, subjects, tenant, object, action: self.action.name() };
        let truths = self.conditions.iter().map(|when| when.truth(context)).collect();
        let theirs = engine::decides(question, field, &self.candidates, truths);
        if self.verify && ours != theirs {
            DIFFERENCES.fetch_add(1, Ordering::Relaxed);
            let action = self.action.name();
            tracing::error!(principal, object, action, field, ours, theirs, "the plan and casbin differ, access denied");
            return false;
        }
        theirs
    }
}

impl When {
    fn of(policy: &Policy, collection: &Collection) -> Self {
        let Some(condition) = &policy.condition else { return When::Always };
        match condition.check(collection) {
            Ok(checked) => When::Holds(Arc::new(checked)),
            Err(error) => {
                tracing::debug!(policy.id = %policy.id, collection = collection.name(), %error, "a condition does not fit the collection");
                When::Undecidable
            }
        }
    }

    fn truth(&self, context: &Context<'_>) -> Truth {
        match self {
            When::Always => Truth::True,
            When::Holds(condition) => condition.evaluate(context),
            When::Undecidable => Truth::Unknown,
        }
    }

    fn condition(&self) -> Option<Arc<Condition>> {
        match self {
            When::Holds(condition) => Some(condition.clone()),
            When::Always | When::Undecidable => None,
        }
    }
}

fn all(terms: &[Term]) -> Vec<&Term> {
    terms.iter().collect()
}

fn access(grants: &[&Term], refusals: &[&Term]) -> Access {
    let refused = refusals.iter().any(|refusal| matches!(refusal.when, When::Always | When::Undecidable));
    if refused || grants.is_empty() {
        return Access::Never;
    }
    let open = grants.iter().any(|grant| matches!(grant.when, When::Always));
    if open && refusals.is_empty() {
        return Access::Always;
    }
    let any_of = if open { vec![Arc::new(always_true())] } else { conditions(grants) };
    Access::When(Guard { any_of, none_of: conditions(refusals) })
}

fn conditions(terms: &[&Term]) -> Vec<Arc<Condition>> {
    let mut found = Vec::new();
    for condition in terms.iter().filter_map(|term| term.when.condition()) {
        if !found.contains(&condition) {
            found.push(condition);
        }
    }
    found
}

fn always_true() -> Condition {
    // INVARIANT: `true` is a condition (the tests of this crate evaluate it).
    Condition::parse("true", Scope::Policy).expect("`true` is a condition")
}

/// The fields that at least one grant opens whichever of them holds: those of the unconditional ones, and what all have in common.
fn sure_fields(grants: &[Term]) -> FieldMask {
    let Some((first, others)) = grants.split_first() else { return FieldMask::none() };
    let common = others.iter().fold(first.fields.clone(), |mask, grant| mask.intersection(&grant.fields));
    let unconditional = grants.iter().filter(|grant| matches!(grant.when, When::Always));
    unconditional.fold(common, |mask, grant| mask.union(&grant.fields))
}
