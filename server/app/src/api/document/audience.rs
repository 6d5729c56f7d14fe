//! For whom a document is, and so what of a collection it shows: which operations can succeed at all, and which fields the masks may ever open.
//! Conditions on records stay out of it, because they differ from one record to the next.

use model::{Action, Caller, Collection, Principal, record::SYSTEM_FIELDS};
use policies::{Access, FieldMask, Plan, Snapshot};

/// For whom a document is.
#[derive(Clone, Copy)]
pub(crate) enum Audience<'a> {
    /// Whoever wants to know what there is.
    Everybody,
    /// Somebody who wants to know what it may do.
    Caller { policies: &'a Snapshot, caller: &'a Caller },
}

/// What somebody sees of a collection.
pub(super) struct Sight {
    /// With the fields that lists may filter, sort and group by.
    pub(super) askable: Collection,
    /// With the fields that answers may have.
    pub(super) readable: Collection,
    /// With the fields that a new record may name.
    pub(super) creatable: Collection,
    /// With the fields that a change may name.
    pub(super) updatable: Collection,
    /// The system fields that answers may have.
    pub(super) system_fields: Vec<&'static str>,
    /// The system fields that lists can be asked about.
    asked_system_fields: Vec<&'static str>,
    /// What can be done to some record at least.
    pub(super) actions: Vec<Action>,
}

impl Audience<'_> {
    /// True if operations for signed-in users are shown.
    pub(super) fn is_known(self) -> bool {
        match self {
            Audience::Everybody => true,
            Audience::Caller { caller, .. } => caller.principal != Principal::Anonymous,
        }
    }

    /// True if the management of this object is shown.
    pub(super) fn may(self, action: Action, object: &str) -> bool {
        match self {
            Audience::Everybody => true,
            Audience::Caller { policies, caller } => policies.allows_object(caller, action, object),
        }
    }

    pub(super) fn sight(self, collection: &Collection) -> Sight {
        match self {
            Audience::Everybody => Sight::everything(collection),
            Audience::Caller { policies, caller } => {
                let plan = |action| policies.plan(caller, action, collection);
                Sight::under(collection, Action::ALL.map(|action| (action, plan(action))))
            }
        }
    }

    /// The collection with the fields that its owner sees of an account.
    pub(super) fn own_account(self, users: &Collection) -> Collection {
        match self {
            Audience::Everybody => users.clone(),
            Audience::Caller { policies, caller } => {
                let plan = policies.own_account_plan(caller, users);
                users.only(|field| plan.may_show(&field.name))
            }
        }
    }
}

impl Sight {
    fn everything(collection: &Collection) -> Self {
        let all = || collection.clone();
        let system_fields = SYSTEM_FIELDS.to_vec();
        let (asked_system_fields, actions) = (system_fields.clone(), Action::ALL.to_vec());
        Self { askable: all(), readable: all(), creatable: all(), updatable: all(), system_fields, asked_system_fields, actions }
    }

    fn under(collection: &Collection, plans: [(Action, std::sync::Arc<Plan>); 4]) -> Self {
        let [(_, create), (_, read), (_, update), _] = &plans;
        let may_name = |plan: &Plan| collection.only(|field| plan.may_show(&field.name));
        let certain: &FieldMask = read.unconditional_fields();
        let shown = |name: &&str| *name == "id" || read.may_show(name);
        Self {
            askable: collection.only(|field| certain.contains(&field.name)),
            readable: may_name(read),
            creatable: may_name(create),
            updatable: may_name(update),
            system_fields: SYSTEM_FIELDS.into_iter().filter(shown).collect(),
            asked_system_fields: SYSTEM_FIELDS.into_iter().filter(|name| *name == "id" || certain.contains(name)).collect(),
            actions: plans.iter().filter(|(_, plan)| *plan.access() != Access::Never).map(|(action, _)| *action).collect(),
        }
    }

    pub(super) fn may(&self, action: Action) -> bool {
        self.actions.contains(&action)
    }

    /// True if lists can be asked about the field.
    pub(super) fn asks(&self, field: &str) -> bool {
        self.asked_system_fields.contains(&field) || self.askable.field(field).is_some()
    }
}
