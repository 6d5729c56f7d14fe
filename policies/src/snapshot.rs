//! Everything that is in force, as one immutable value. A request takes it once and uses it to its end, so it never sees half of a
//! change; a change makes a new one that shares nearly everything with the one before, and a set that cannot be built replaces nothing.

use std::{
    collections::{BTreeMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use model::{Action, Caller, Collection, Principal};
use quick_cache::{Equivalent, sync::Cache};

use crate::{
    engine::{self, Question},
    error::{Column, Error},
    layer::{Layer, hash},
    plan::{Mode, Plan},
    policy::{Effect, Policy, Source},
    reader::PolicySet,
    role::RoleLink,
    standing::{Standing, closure},
};

/// How many standings and plans a snapshot keeps; those that were not used for long go first. There are about as many plans as collections
/// times actions times combinations of roles.
const STANDINGS_MAX: usize = 100_000;
const PLANS_MAX: usize = 150_000;

/// Policies and role links of one moment, with the plans that were made from them.
#[derive(Debug)]
pub struct Snapshot {
    files: Arc<Layer>,
    database: Layer,
    epoch: u64,
    mode: Mode,
    standings: Cache<Who, Arc<Standing>>,
    plans: Cache<PlanKey, Kept>,
    everything: Arc<Plan>,
    nothing: Arc<Plan>,
}

/// A change of what the database says; what is not there is not removed, what is there is not added twice.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Policies that are to be in force.
    pub add: Vec<Policy>,
    /// Policies that are not; only those of the database go.
    pub remove: Vec<Policy>,
    /// Role links that are to be in force.
    pub assign: Vec<RoleLink>,
    /// Role links that are not; only those of the database go.
    pub unassign: Vec<RoleLink>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Who {
    principal: Principal,
    tenant: String,
}

#[derive(Hash)]
struct WhoRef<'a> {
    principal: &'a Principal,
    tenant: &'a str,
}

impl Equivalent<Who> for WhoRef<'_> {
    fn equivalent(&self, key: &Who) -> bool {
        *self.principal == key.principal && self.tenant == key.tenant
    }
}

/// Callers for whom the same subjects count share a plan.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PlanKey {
    group: u128,
    action: Action,
    collection: String,
}

#[derive(Hash)]
struct PlanRef<'a> {
    group: u128,
    action: Action,
    collection: &'a str,
}

impl Equivalent<PlanKey> for PlanRef<'_> {
    fn equivalent(&self, key: &PlanKey) -> bool {
        self.group == key.group && self.action == key.action && self.collection == key.collection
    }
}

/// A plan and the collection that its conditions were checked against, which may change during the life of a snapshot.
#[derive(Clone, Debug)]
struct Kept {
    collection: Collection,
    plan: Arc<Plan>,
}

/// The collections of one moment, by name.
pub type Collections<'a> = &'a dyn Fn(&str) -> Option<Collection>;

impl Snapshot {
    /// Puts in force what was read from files and from the database: their union counts, and a denial from anywhere wins. A policy about a
    /// collection that `collections` knows must fit it; one about `*` or about a collection that does not exist yet is held against the
    /// collection when a plan is made, and a condition that does not fit then allows nothing and denies.
    ///
    /// # Errors
    /// The first policy that does not fit, or roles that form a circle.
    pub fn build(set: PolicySet, epoch: u64, mode: Mode, collections: Collections<'_>) -> Result<Self, Error> {
        engine::check()?;
        let mut fitting = Fitting::new(collections);
        set.policies.iter().try_for_each(|policy| fitting.check(policy))?;
        let (files, database) = split(set);
        let snapshot = Self::of(Arc::new(Layer::new(files)), Layer::new(database), epoch, mode);
        snapshot.check_circles(snapshot.links())?;
        Ok(snapshot)
    }

    fn of(files: Arc<Layer>, database: Layer, epoch: u64, mode: Mode) -> Self {
        let (everything, nothing) = (Arc::new(Plan::always()), Arc::new(Plan::never()));
        let (standings, plans) = (Cache::new(STANDINGS_MAX), Cache::new(PLANS_MAX));
        Self { files, database, epoch, mode, standings, plans, everything, nothing }
    }

    /// The same with a change of what the database says. Takes about as long for a million policies as for ten.
    ///
    /// # Errors
    /// A new policy that does not fit its collection, or a new link that closes a circle.
    pub fn with(&self, change: &Change, epoch: u64, collections: Collections<'_>) -> Result<Self, Error> {
        let mut fitting = Fitting::new(collections);
        change.add.iter().try_for_each(|policy| fitting.check(policy))?;
        let snapshot = self.replayed(&[change], epoch);
        let links: Vec<_> = change.assign.iter().cloned().map(Arc::new).collect();
        // A link for all tenants can close a circle with links of any one of them, and is found from those.
        match links.iter().any(|link| &*link.tenant == "*" && link.member.starts_with("role:")) {
            true => snapshot.check_circles(snapshot.links())?,
            false => snapshot.check_circles(links.iter())?,
        }
        Ok(snapshot)
    }

    /// The same with other files.
    ///
    /// # Errors
    /// A policy that does not fit its collection, or roles that form a circle.
    pub fn with_files(&self, files: PolicySet, collections: Collections<'_>) -> Result<Self, Error> {
        let mut fitting = Fitting::new(collections);
        files.policies.iter().try_for_each(|policy| fitting.check(policy))?;
        let snapshot = Self::of(Arc::new(Layer::new(files)), self.database.clone(), self.epoch, self.mode);
        snapshot.check_circles(snapshot.links())?;
        Ok(snapshot)
    }

    /// The same with the files of another snapshot, which may have been made from an older one.
    ///
    /// # Errors
    /// As [`Snapshot::with_files`]; none if nothing has changed since.
    pub fn with_files_of(&self, other: &Snapshot, collections: Collections<'_>) -> Result<Self, Error> {
        let snapshot = Self::of(Arc::clone(&other.files), self.database.clone(), self.epoch, self.mode);
        if self.epoch != other.epoch {
            let mut fitting = Fitting::new(collections);
            snapshot.files.policies().try_for_each(|policy| fitting.check(policy))?;
            snapshot.check_circles(snapshot.links())?;
        }
        Ok(snapshot)
    }

    /// The same with everything that the database says read anew. What is committed is not checked: a condition that does not fit decides
    /// nothing and denies, and a circle ends where it began.
    #[must_use]
    pub fn with_stored(&self, stored: PolicySet, epoch: u64) -> Self {
        Self::of(Arc::clone(&self.files), Layer::new(stored), epoch, self.mode)
    }

    /// The same after changes that are committed, in their order, which are not checked again: see [`Snapshot::with_stored`].
    #[must_use]
    pub fn replayed(&self, changes: &[&Change], epoch: u64) -> Self {
        let mut database = self.database.clone();
        changes.iter().for_each(|change| apply(&mut database, change));
        Self::of(Arc::clone(&self.files), database, epoch, self.mode)
    }

    /// The same at another count of changes; for changes of something else than policies.
    #[must_use]
    pub fn at(&self, epoch: u64) -> Self {
        Self::of(Arc::clone(&self.files), self.database.clone(), epoch, self.mode)
    }

    /// Whether every policy about this collection fits it.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check_collection(&self, collection: &Collection) -> Result<(), Error> {
        let known = |name: &str| (name == collection.name()).then(|| collection.clone());
        let mut fitting = Fitting::new(&known);
        self.policies().filter(|policy| policy.object() == collection.name()).try_for_each(|policy| fitting.check(policy))
    }

    fn check_circles<'a>(&self, links: impl Iterator<Item = &'a Arc<RoleLink>>) -> Result<(), Error> {
        for link in links.filter(|link| link.member.starts_with("role:")) {
            if closure(&[&link.role], &link.tenant, &self.layers()).contains_key(&link.member) {
                let (member, role) = (link.member.to_string(), link.role.to_string());
                return Err(Error::Cycle { place: link.source.clone(), member, role });
            }
        }
        Ok(())
    }

    pub(crate) fn layers(&self) -> [&Layer; 2] {
        [&self.files, &self.database]
    }

    /// The caller with its roles as `caller.roles`, for conditions. Policies themselves never look at that attribute.
    #[must_use]
    pub fn with_roles(&self, mut caller: Caller) -> Caller {
        let roles = self.standing(&caller.principal, &caller.tenant).roles.clone();
        caller.attributes.insert("roles".to_owned(), roles);
        caller
    }

    /// The names of the roles (without `role:`) that a principal holds in a tenant, through other roles too, and with `anyone` and
    /// `authenticated`; sorted.
    #[must_use]
    pub fn roles(&self, principal: &Principal, tenant: &str) -> Vec<String> {
        let standing = self.standing(principal, tenant);
        standing.held().filter_map(|subject| subject.strip_prefix("role:")).map(str::to_owned).collect()
    }

    /// A name for everybody who has the same plans as the caller, whatever their conditions say about each of them.
    #[must_use]
    pub fn group(&self, caller: &Caller) -> u128 {
        self.standing(&caller.principal, &caller.tenant).group
    }

    /// What the caller may do to records of the collection. [`Principal::System`] may do everything: it is the operator, through
    /// bundles and the command line, who owns the data directory anyway.
    #[must_use]
    pub fn plan(&self, caller: &Caller, action: Action, collection: &Collection) -> Arc<Plan> {
        if caller.principal == Principal::System {
            return Arc::clone(&self.everything);
        }
        self.plan_of(&self.standing(&caller.principal, &caller.tenant), action, collection)
    }

    pub(crate) fn plan_of(&self, standing: &Standing, action: Action, collection: &Collection) -> Arc<Plan> {
        let key = PlanRef { group: standing.group, action, collection: collection.name() };
        match self.plans.get(&key) {
            Some(kept) if is_same(&kept.collection, collection) => kept.plan,
            _ => self.make_plan(standing, action, collection),
        }
    }

    /// What somebody may read of its own account: everything that no policy denies it. Fields that the collection keeps secret are for the
    /// caller of this to remove.
    #[must_use]
    pub fn own_account_plan(&self, caller: &Caller, collection: &Collection) -> Plan {
        self.undenied(caller, Action::Read, collection)
    }

    /// What a plugin may do to records of a collection that the operator has granted it: everything that no policy denies it.
    #[must_use]
    pub fn granted_plan(&self, plugin: &Caller, action: Action, collection: &Collection) -> Arc<Plan> {
        let standing = self.standing(&plugin.principal, &plugin.tenant);
        let candidates = self.candidates(&standing, action, collection.name());
        match candidates.iter().any(|policy| policy.effect == Effect::Deny) {
            true => Arc::new(self.undenied(plugin, action, collection)),
            false => Arc::clone(&self.everything),
        }
    }

    fn undenied(&self, caller: &Caller, action: Action, collection: &Collection) -> Plan {
        let standing = self.standing(&caller.principal, &caller.tenant);
        let mut candidates = self.candidates(&standing, action, collection.name());
        let question = question(&standing, action, collection.name());
        let Some(mut matched) = engine::matching(question, &candidates) else { return Plan::never() };
        matched.push(candidates.len());
        candidates.push(Arc::new(Policy::unwritten(action, collection.name())));
        Plan::new(candidates, &matched, collection, (action, &standing), Mode::Plan)
    }

    fn make_plan(&self, standing: &Standing, action: Action, collection: &Collection) -> Arc<Plan> {
        let candidates = self.candidates(standing, action, collection.name());
        let question = question(standing, action, collection.name());
        // A failure is not kept: the next request asks again.
        let Some(matched) = engine::matching(question, &candidates) else { return Arc::clone(&self.nothing) };
        let plan = match matched.is_empty() {
            true => Arc::clone(&self.nothing),
            false => Arc::new(Plan::new(candidates, &matched, collection, (action, standing), self.mode)),
        };
        let key = PlanKey { group: standing.group, action, collection: collection.name().to_owned() };
        self.plans.insert(key, Kept { collection: collection.clone(), plan: Arc::clone(&plan) });
        plan
    }

    /// Whether the caller may act on a part of the management API (one of [`crate::SYSTEM_OBJECTS`]). Such a part has no records
    /// and no fields: a rule that allows some fields, or under a condition, does not allow it; one that denies under a condition
    /// denies it. (Both can only come from a rule about `*`.)
    #[must_use]
    pub fn allows_object(&self, caller: &Caller, action: Action, object: &str) -> bool {
        if caller.principal == Principal::System {
            return true;
        }
        self.allows_object_of(&self.standing(&caller.principal, &caller.tenant), action, object)
    }

    pub(crate) fn allows_object_of(&self, standing: &Standing, action: Action, object: &str) -> bool {
        let mut candidates = self.candidates(standing, action, object);
        candidates.retain(|policy| policy.effect == Effect::Deny || policy.fields.mask().is_all());
        engine::allows(question(standing, action, object), &candidates)
    }

    /// The policies that may speak about this: those of the files, then those of the database. It may find too many - Casbin tests every
    /// column again - but never too few.
    pub(crate) fn candidates(&self, standing: &Standing, action: Action, object: &str) -> Vec<Arc<Policy>> {
        let sealed = self.is_sealed(object);
        let objects = [hash(object), hash("*")];
        let mut found: Vec<Arc<Policy>> = Vec::new();
        for (layer, ignored) in [(&*self.files, false), (&self.database, sealed)] {
            for subject in standing.subjects.iter() {
                let subject = hash(subject);
                for object in objects {
                    let about = layer.about(subject, object).filter(|policy| policy.may_match(&standing.tenant, action));
                    found.extend(about.filter(|policy| !(ignored && policy.effect == Effect::Allow)).cloned());
                }
            }
        }
        // Casbin keeps a set: what file and database both say counts once.
        let mut seen = HashSet::with_capacity(found.len());
        found.retain(|policy| seen.insert(policy.id));
        found
    }

    /// What a principal acts as.
    pub(crate) fn standing(&self, principal: &Principal, tenant: &str) -> Arc<Standing> {
        if let Some(standing) = self.standings.get(&WhoRef { principal, tenant }) {
            return standing;
        }
        let standing = Arc::new(Standing::of(principal, tenant, &self.layers()));
        self.standings.insert(Who { principal: principal.clone(), tenant: tenant.to_owned() }, Arc::clone(&standing));
        standing
    }

    /// True if the files alone decide what is allowed about the object.
    #[must_use]
    pub fn is_sealed(&self, object: &str) -> bool {
        self.files.seals().contains_key(object)
    }

    /// The seals and the lines that put them.
    #[must_use]
    pub fn seals(&self) -> &BTreeMap<Arc<str>, Source> {
        self.files.seals()
    }

    /// True if the policy is in force in name only: the files have sealed its object, and the database has allowed something.
    #[must_use]
    pub fn is_ignored(&self, policy: &Policy) -> bool {
        policy.source.is_database() && policy.effect == Effect::Allow && self.is_sealed(&policy.object)
    }

    /// Every policy: those of the files first.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.files.policies().chain(self.database.policies())
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len() + self.database.len()
    }

    /// True if there is no policy, and so everything is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every role link: those of the files first.
    pub fn links(&self) -> impl Iterator<Item = &Arc<RoleLink>> {
        self.files.links().chain(self.database.links())
    }

    /// The role links of a principal or role itself, not those that come through others.
    pub fn links_of<'a>(&'a self, member: &'a str) -> impl Iterator<Item = &'a Arc<RoleLink>> {
        self.files.links_of(member).chain(self.database.links_of(member))
    }

    /// True if the database has this policy.
    #[must_use]
    pub fn has(&self, policy: &Policy) -> bool {
        self.database.has(policy)
    }

    /// True if the database has this role link.
    #[must_use]
    pub fn has_link(&self, link: &RoleLink) -> bool {
        self.database.has_link(link)
    }

    /// Counts the changes of everything that decides.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How decisions are taken.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

/// Whether a policy fits its collection, if there is one.
///
/// # Errors
/// The column that does not fit.
pub fn check_fit(policy: &Policy, collections: Collections<'_>) -> Result<(), Error> {
    Fitting::new(collections).check(policy)
}

fn apply(database: &mut Layer, change: &Change) {
    for policy in &change.remove {
        database.remove(policy);
    }
    for link in &change.unassign {
        database.unassign(link);
    }
    for policy in &change.add {
        database.add(Arc::new(policy.clone()));
    }
    for link in &change.assign {
        database.assign(Arc::new(link.clone()));
    }
}

fn split(set: PolicySet) -> (PolicySet, PolicySet) {
    let (stored, written) = set.policies.into_iter().partition(|policy| policy.source.is_database());
    let (given, linked) = set.links.into_iter().partition(|link| link.source.is_database());
    let files = PolicySet { policies: written, links: linked, seals: set.seals };
    (files, PolicySet { policies: stored, links: given, seals: Vec::new() })
}

pub(crate) fn question<'a>(standing: &'a Standing, action: Action, object: &'a str) -> Question<'a> {
    let Standing { principal, tenant, subjects, .. } = standing;
    Question { principal, subjects, tenant, object, action: action.name() }
}

/// True if the two are the same version of a collection. The first test is the quick one; both kept collections stay alive
/// meanwhile, so equal addresses mean the same definition.
fn is_same(one: &Collection, other: &Collection) -> bool {
    std::ptr::eq(one.definition(), other.definition()) || one.definition() == other.definition()
}

/// A policy about one collection must fit it, so that a typing error is found when it is made.
struct Fitting<'a> {
    collections: Collections<'a>,
    /// Conditions and field lists that fit, by address and object: many policies have them in common, and none goes before this does.
    fine: HashSet<(usize, Arc<str>)>,
}

impl<'a> Fitting<'a> {
    fn new(collections: Collections<'a>) -> Self {
        Self { collections, fine: HashSet::new() }
    }

    fn check(&mut self, policy: &Policy) -> Result<(), Error> {
        let refuse = |column, reason| Err(Error::Column { place: policy.source.clone(), column, reason });
        if policy.condition.is_none() && policy.fields() == "*" {
            return Ok(());
        }
        let Some(collection) = (self.collections)(&policy.object) else { return Ok(()) };
        if self.is_new(Arc::as_ptr(&policy.fields) as usize, policy)
            && policy.fields() != "*"
            && let Some(name) = policy.fields().split(' ').find(|name| collection.field_type(name).is_none())
        {
            return refuse(Column::Fields, format!("unknown field `{name}` in collection `{}`", collection.name()));
        }
        match &policy.condition {
            Some(condition) if self.is_new(Arc::as_ptr(condition) as usize, policy) => match condition.check(&collection) {
                Ok(_) => Ok(()),
                Err(error) => refuse(Column::Condition, error.to_string()),
            },
            Some(_) | None => Ok(()),
        }
    }

    fn is_new(&mut self, address: usize, policy: &Policy) -> bool {
        self.fine.insert((address, Arc::clone(&policy.object)))
    }
}
