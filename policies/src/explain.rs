//! Why somebody may or may not do something: the decision, the policy that took it, every other policy that was looked at, and what was
//! missing. An explanation takes no decision of its own: it asks the same plan as everybody else and gives the reasons for its answer.

mod considered;

mod nearest;

mod shown;

mod words;

use model::{Action, Caller, Collection, Principal, Record, condition::Context};
use serde::Serialize;

use considered::Considered;
pub(crate) use considered::Order;
pub use considered::{Candidate, Outcome};
pub use nearest::NearMiss;
pub(crate) use shown::listed;
pub use shown::{FieldLists, PolicyName};

use crate::{
    plan::{Access, Plan},
    policy::Effect,
    snapshot::Snapshot,
    standing::Standing,
};

/// A question about records.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// Who asks. Its roles are put in as [`Snapshot::with_roles`] does it.
    pub caller: &'a Caller,
    /// What it wants to do.
    pub action: Action,
    /// The collection of the record.
    pub collection: &'a Collection,
    /// The record as stored or as it would be; none asks about the collection as a whole.
    pub record: Option<&'a Record>,
    /// The stored record, for updates and deletions: the server puts the stored record here also when it decides about that record itself.
    pub before: Option<&'a Record>,
    /// The time of the request: a canonical datetime.
    pub now: &'a str,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The caller may.
    Allow,
    /// It may not.
    Deny,
    /// Some records pass and others do not. Only when no record was given.
    Depends,
}

/// On which ground; the words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A policy allows it.
    AllowedBy,
    /// A policy denies it.
    DeniedBy,
    /// There is no policy that could allow it.
    NoPolicy,
    /// There are policies that could allow it, but no condition of theirs is true.
    NoConditionHolds,
    /// It depends on the record.
    DependsOnRecord,
    /// The record passes, but some of the fields may not be used.
    FieldForbidden,
    /// The caller is the server itself, which may do everything.
    System,
    /// The policy engine failed, or plan and Casbin differ: see [`crate::Mode::Verify`].
    EngineFailed,
}

/// How many roles, and how many subjects, are told.
const ROLES_MAX: usize = 200;

/// A role that the caller holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldRole {
    /// `role:x`.
    pub role: String,
    /// How it is held: from the principal down to the role.
    pub via: Vec<Step>,
}

/// One step on the way to a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The principal or a role.
    pub subject: String,
    /// Where the link that leads here was written down: `policies/shop.csv:7` or `database`; none for the principal itself and for what
    /// everybody holds.
    pub source: Option<String>,
}

/// A decision and everything that led to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// What was decided.
    pub decision: Decision,
    /// On which ground.
    pub reason: Reason,
    /// The policy that decided: for [`Reason::AllowedBy`] and [`Reason::DeniedBy`]. Where several would have done, the plainest one.
    pub policy: Option<PolicyName>,
    /// See [`Snapshot::epoch`].
    pub epoch: u64,
    /// Who asked.
    pub principal: String,
    /// Where.
    pub tenant: String,
    /// `create`, `read`, `update` or `delete`.
    pub action: &'static str,
    /// The collection or the system object.
    pub object: String,
    /// What the caller acts as, sorted.
    pub subjects: Vec<String>,
    /// The roles among them, sorted, each with the way to it.
    pub roles: Vec<HeldRole>,
    /// Every policy that speaks about this, also those that a seal puts out of force; files first.
    pub policies: Vec<Candidate>,
    /// The fields that may be read (or written) in this record; without a record, in every record that passes.
    pub fields: FieldLists,
    /// When nothing allowed it: the policies that came closest, best first, at most five.
    pub nearest: Vec<NearMiss>,
}

impl Snapshot {
    /// Why the caller may or may not do this. The decision is that of [`Plan::allows`].
    #[must_use]
    pub fn explain(&self, inquiry: &Inquiry<'_>) -> Explanation {
        let Inquiry { action, collection, record, before, now, .. } = *inquiry;
        let caller = self.with_roles(inquiry.caller.clone());
        let plan = self.plan(&caller, action, collection);
        let context = record.map(|record| Context { record, before, caller: &caller, now });
        let decision = match (&context, plan.access()) {
            (Some(context), _) => decision(plan.allows(context)),
            (None, Access::Never) => Decision::Deny,
            (None, Access::Always) => Decision::Allow,
            (None, Access::When(_)) => Decision::Depends,
        };
        let fields = fields(&plan, collection, action, decision, context.as_ref());
        let about = About { snapshot: self, caller: &caller, action, object: collection.name() };
        let place = Place::Collection(collection, context);
        Explanation { fields, ..about.explain(decision, &place) }
    }

    /// Why the caller may or may not do this to a system object such as `_policies`. The decision is that of [`Snapshot::allows_object`].
    #[must_use]
    pub fn explain_object(&self, caller: &Caller, action: Action, object: &str) -> Explanation {
        let decision = decision(self.allows_object(caller, action, object));
        About { snapshot: self, caller, action, object }.explain(decision, &Place::System)
    }
}

fn decision(allowed: bool) -> Decision {
    if allowed { Decision::Allow } else { Decision::Deny }
}

fn fields(plan: &Plan, collection: &Collection, action: Action, decision: Decision, context: Option<&Context<'_>>) -> FieldLists {
    match (decision, context) {
        (Decision::Deny, _) => listed(collection, action, None),
        (_, Some(context)) => listed(collection, action, Some(&plan.fields(context))),
        (_, None) => listed(collection, action, Some(plan.unconditional_fields())),
    }
}

/// What conditions and fields of policies are held against.
pub(crate) enum Place<'a> {
    /// A collection and perhaps one of its records.
    Collection(&'a Collection, Option<Context<'a>>),
    /// A part of the management API, which has neither records nor fields.
    System,
}

/// What the question is about.
#[derive(Clone, Copy)]
struct About<'a> {
    snapshot: &'a Snapshot,
    caller: &'a Caller,
    action: Action,
    object: &'a str,
}

impl About<'_> {
    fn explain(&self, decision: Decision, place: &Place<'_>) -> Explanation {
        let Self { snapshot, caller, action, object } = *self;
        let standing = snapshot.standing(&caller.principal, &caller.tenant);
        let system = caller.principal == Principal::System;
        let considered = if system { Vec::new() } else { snapshot.considered(&standing, action, object, place) };
        let (reason, deciding) = if system { (Reason::System, None) } else { reason(decision, &considered, place) };
        let nearest = match reason {
            Reason::NoPolicy | Reason::NoConditionHolds => nearest::find(snapshot, &standing, (action, object), place),
            _ => Vec::new(),
        };
        Explanation {
            decision,
            reason,
            policy: deciding.map(|considered| PolicyName::of(&considered.policy)),
            epoch: snapshot.epoch(),
            principal: caller.principal.to_string(),
            tenant: caller.tenant.clone(),
            action: action.name(),
            object: object.to_owned(),
            subjects: standing.held().take(ROLES_MAX).map(|subject| subject.to_string()).collect(),
            roles: roles(&standing),
            policies: considered.iter().map(|considered| considered.shown(&standing)).collect(),
            fields: FieldLists::default(),
            nearest,
        }
    }
}

/// The ground of a decision, and the policy that it rests on.
fn reason<'a>(decision: Decision, considered: &'a [Considered], place: &Place<'_>) -> (Reason, Option<&'a Considered>) {
    let in_force = || considered.iter().filter(|one| one.ignored.is_none());
    let grants = in_force().filter(|one| one.grants(place)).min_by_key(|one| one.plainness());
    let refuses = in_force().filter(|one| one.refuses(place)).min_by_key(|one| one.plainness());
    let may_grant = in_force().any(|one| one.policy.effect() == Effect::Allow && one.counts(place));
    match decision {
        Decision::Depends => (Reason::DependsOnRecord, None),
        Decision::Allow if grants.is_some() => (Reason::AllowedBy, grants),
        Decision::Deny if refuses.is_some() => (Reason::DeniedBy, refuses),
        Decision::Deny if grants.is_none() && may_grant => (Reason::NoConditionHolds, None),
        Decision::Deny if grants.is_none() => (Reason::NoPolicy, None),
        Decision::Allow | Decision::Deny => (Reason::EngineFailed, None),
    }
}

fn roles(standing: &Standing) -> Vec<HeldRole> {
    let held = standing.held().filter(|subject| subject.starts_with("role:"));
    held.take(ROLES_MAX).map(|role| HeldRole { role: role.to_string(), via: way(standing, role) }).collect()
}

/// How a subject is held. What everybody holds comes right after the principal.
pub(crate) fn way(standing: &Standing, subject: &str) -> Vec<Step> {
    let steps = standing.way(subject).into_iter();
    let steps = steps.map(|(subject, link)| Step { subject: subject.to_string(), source: link.map(|link| link.source().to_string()) });
    let start = Step { subject: standing.principal.to_string(), source: None };
    std::iter::once(start.clone()).chain(steps.filter(|step| *step != start)).collect()
}
