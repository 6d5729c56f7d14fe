//! On which ground a write stands: what the policies allow to the caller, or what the operator granted to a plugin.

use std::sync::Arc;

use model::{Action, Caller, Collection, Record, condition::Context};
use policies::Plan;

use crate::{Error, call::Call};

/// On which ground a write stands.
#[derive(Clone)]
pub(in crate::records) enum Authority {
    /// The policies allow it to the caller, as far as this plan goes.
    Plan(Arc<Plan>),
    /// The operator granted it to a plugin.
    Grant(Arc<Granted>),
}

/// What the operator granted to a plugin, as far as no policy denies it.
pub(in crate::records) struct Granted {
    /// The plugin as a caller.
    pub(in crate::records) caller: Caller,
    pub(in crate::records) plan: Arc<Plan>,
}

impl Authority {
    /// What the policies allow to the caller.
    pub(in crate::records) fn of_caller(call: &Call, action: Action, collection: &Collection) -> Result<Self, Error> {
        call.plan(action, collection).map(Authority::Plan)
    }

    pub(super) fn plan(&self) -> &Plan {
        match self {
            Authority::Plan(plan) => plan,
            Authority::Grant(granted) => &granted.plan,
        }
    }

    pub(super) fn context<'a>(&'a self, call: &'a Call, record: &'a Record, before: Option<&'a Record>) -> Context<'a> {
        match self {
            Authority::Plan(_) => call.context(record, before),
            Authority::Grant(granted) => Context { caller: &granted.caller, ..call.context(record, before) },
        }
    }

    pub(super) fn allows(&self, call: &Call, record: &Record, before: Option<&Record>) -> bool {
        self.plan().allows(&self.context(call, record, before))
    }

    /// The ground on which records that depend on this one are changed with it.
    pub(super) fn of_dependents(&self, call: &Call, action: Action, collection: &Collection) -> Result<Authority, Error> {
        match self {
            Authority::Plan(_) => call.plan(action, collection).map(Authority::Plan),
            Authority::Grant(granted) => {
                let plan = call.world.policies.granted_plan(&granted.caller, action, collection);
                Ok(Authority::Grant(Arc::new(Granted { caller: granted.caller.clone(), plan })))
            }
        }
    }
}
