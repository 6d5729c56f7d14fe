//! Everything that is in force, as one immutable value. A request takes it once and uses it to its end, so it never sees half of a
//! change; a change builds a new one, and a set that cannot be built replaces nothing.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use arc_swap::ArcSwap;
use model::{Action, Caller, Collection, Principal, Value};

use crate::{
    engine::{self, Question},
    error::Error,
    plan::Plan,
    policy::{Effect, Policy},
    role::{RoleLink, Roles},
    rules::{RuleNumber, Rules},
};

/// How many plans a snapshot keeps. There are about as many as there are collections times actions times combinations of roles.
const PLANS_MAX: usize = 10_000;

/// Policies and role links of one moment, with the plans that were made from them.
#[derive(Debug)]
pub struct Snapshot {
    policies: Vec<Arc<Policy>>,
    links: Vec<RoleLink>,
    epoch: u64,
    rules: Rules,
    roles: Roles,
    plans: RwLock<HashMap<PlanKey, Kept>>,
    everything: Arc<Plan>,
    nothing: Arc<Plan>,
}

/// Callers for whom the same rules come into question share a plan.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PlanKey {
    collection: String,
    action: Action,
    rules: Vec<RuleNumber>,
}

/// A plan and the collection that its conditions were checked against, which may change during the life of a snapshot.
#[derive(Debug)]
struct Kept {
    collection: Collection,
    plan: Arc<Plan>,
}

impl Snapshot {
    /// Reads policies and role links, which may come from files and the database: their union counts, and a denial from anywhere wins.
    /// A policy about a collection that `collections` knows must fit it; one about `*` or about a collection that does not exist yet
    /// is held against the collection when a plan is made, and a condition that does not fit then allows nothing and denies.
    ///
    /// # Errors
    /// The first policy or link that is wrong, or roles that form a circle.
    pub fn build(
        policies: Vec<Policy>,
        links: Vec<RoleLink>,
        epoch: u64,
        collections: &dyn Fn(&str) -> Option<Collection>,
    ) -> Result<Self, Error> {
        engine::check()?;
        let policies: Vec<_> = policies.into_iter().map(Arc::new).collect();
        let rules = Rules::build(&policies, collections)?;
        let roles = Roles::build(&links)?;
        let (everything, nothing) = (Arc::new(Plan::always()), Arc::new(Plan::never()));
        Ok(Self { policies, links, epoch, rules, roles, plans: RwLock::default(), everything, nothing })
    }

    /// The names of the roles (without `role:`) that a principal holds in a tenant, through other roles too, and with `anyone` and
    /// `authenticated`; sorted.
    #[must_use]
    pub fn roles(&self, principal: &Principal, tenant: &str) -> Vec<String> {
        let subjects = self.roles.subjects(principal, tenant);
        subjects.iter().filter_map(|subject| subject.strip_prefix("role:")).map(str::to_owned).collect()
    }

    /// The caller with its roles as `caller.roles`, for conditions. Policies themselves never look at that attribute.
    #[must_use]
    pub fn with_roles(&self, mut caller: Caller) -> Caller {
        let roles = self.roles(&caller.principal, &caller.tenant).into_iter().map(Value::from).collect();
        caller.attributes.insert("roles".to_owned(), Value::List(roles));
        caller
    }

    /// What the caller may do to records of the collection. [`Principal::System`] may do everything: it is the operator, through
    /// bundles and the command line, who owns the data directory anyway.
    #[must_use]
    pub fn plan(&self, caller: &Caller, action: Action, collection: &Collection) -> Arc<Plan> {
        if caller.principal == Principal::System {
            return self.everything.clone();
        }
        let subjects = self.roles.subjects(&caller.principal, &caller.tenant);
        let rules = self.rules.candidates(&subjects, &caller.tenant, action, collection.name());
        if rules.is_empty() {
            return self.nothing.clone();
        }
        let key = PlanKey { collection: collection.name().to_owned(), action, rules };
        self.kept(&key, collection).unwrap_or_else(|| self.make_plan(caller, &subjects, key, collection))
    }

    /// Whether the caller may act on a part of the management API (one of [`crate::SYSTEM_OBJECTS`]). Such a part has no records
    /// and no fields: a rule that allows some fields, or under a condition, does not allow it; one that denies under a condition
    /// denies it. (Both can only come from a rule about `*`.)
    #[must_use]
    pub fn allows_object(&self, caller: &Caller, action: Action, object: &str) -> bool {
        if caller.principal == Principal::System {
            return true;
        }
        let subjects = self.roles.subjects(&caller.principal, &caller.tenant);
        let numbers = self.rules.candidates(&subjects, &caller.tenant, action, object);
        let rules = numbers.iter().map(|&number| self.rules.rule(number));
        let whole = rules.filter(|rule| rule.policy.effect == Effect::Deny || rule.fields.is_all());
        let candidates: Vec<&Policy> = whole.map(|rule| &*rule.policy).collect();
        let principal = caller.principal.to_string();
        engine::allows(question(&principal, caller, &subjects, action, object), &candidates)
    }

    /// The policies, in the order in which they were given.
    #[must_use]
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// The role links, in the order in which they were given.
    #[must_use]
    pub fn links(&self) -> &[RoleLink] {
        &self.links
    }

    /// Counts the changes of the policies.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    fn kept(&self, key: &PlanKey, collection: &Collection) -> Option<Arc<Plan>> {
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        let kept = plans.get(key)?;
        is_same(&kept.collection, collection).then(|| kept.plan.clone())
    }

    fn make_plan(&self, caller: &Caller, subjects: &[String], key: PlanKey, collection: &Collection) -> Arc<Plan> {
        let rules: Vec<_> = key.rules.iter().map(|&number| self.rules.rule(number)).collect();
        let candidates: Vec<&Policy> = rules.iter().map(|rule| &*rule.policy).collect();
        let principal = caller.principal.to_string();
        let question = question(&principal, caller, subjects, key.action, collection.name());
        // A failure is not kept: the next request asks again.
        let Some(matched) = engine::matching(question, &candidates) else { return self.nothing.clone() };
        let matched: Vec<_> = matched.into_iter().map(|position| rules[position]).collect();
        let plan = Arc::new(Plan::new(&matched, collection));
        self.keep(key, Kept { collection: collection.clone(), plan: plan.clone() });
        plan
    }

    fn keep(&self, key: PlanKey, kept: Kept) {
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= PLANS_MAX {
            // Making a plan costs microseconds, so starting over is cheaper than keeping an order of use on every read.
            plans.clear();
        }
        plans.insert(key, kept);
    }
}

fn question<'a>(principal: &'a str, caller: &'a Caller, subjects: &'a [String], action: Action, object: &'a str) -> Question<'a> {
    Question { principal, subjects, tenant: &caller.tenant, object, action: action.name() }
}

/// True if the two are the same version of a collection. The first test is the quick one; both kept collections stay alive
/// meanwhile, so equal addresses mean the same definition.
fn is_same(one: &Collection, other: &Collection) -> bool {
    std::ptr::eq(one.definition(), other.definition()) || one.definition() == other.definition()
}

/// The snapshot in force.
#[derive(Debug)]
pub struct Policies {
    current: ArcSwap<Snapshot>,
}

impl Policies {
    /// Begins with a snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot) }
    }

    /// The snapshot in force. Take it once per request.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts a snapshot in force, unless a newer one already is: of two reloads at once the later read counts.
    pub fn store(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        self.current.rcu(|current| if current.epoch > snapshot.epoch { current.clone() } else { snapshot.clone() });
    }
}
