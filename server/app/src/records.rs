//! The stories of records. Each write tells the same one: parse, authorize, begin, load, run rules, validate, check, write, commit. The
//! steps after "begin" are in [`steps`], because plugins and cascades take them too, inside a transaction that is already open; stories that
//! write several records are loops over them.

pub mod create;

pub mod read;

pub mod list;

pub mod expand;

pub mod aggregate;

pub mod export;

pub(crate) mod import;

pub mod update;

pub mod upsert;

pub mod delete;

pub mod bulk;

pub mod batch;

mod steps;

mod commit;

mod answer;

mod terms;

mod idempotency;

pub(crate) mod rules;

mod passwords;

mod csv;

use std::sync::Arc;

use model::{Collection, Record, Value};
use policies::Plan;

pub use answer::{Answer, Outcome};
pub(crate) use passwords::{Checked, verify};
pub(crate) use steps::next_id;
pub(crate) use terms::{Preconditions, Terms, names_weakly};

use crate::{Error, call::Call};

/// A record as the caller may see it.
pub struct Shown {
    pub(crate) collection: Collection,
    pub(crate) record: Record,
    /// The plan for reading; none if the caller may not read the collection at all.
    pub(crate) plan: Option<Arc<Plan>>,
}

impl Shown {
    /// What a writer sees of its own write: what it could read now.
    fn after_write(call: &Call, collection: &Collection, record: Record) -> Self {
        let plan = Some(call.world.policies.plan(&call.caller, model::Action::Read, collection));
        let plan = plan.filter(|plan| plan.allows(&call.context(&record, None)));
        Self { collection: collection.clone(), record, plan }
    }

    /// The value of a field that the caller may read; null if it is empty, none if there is no such field for this caller.
    fn visible(&self, call: &Call, field: &str) -> Option<Value> {
        let visible = |plan: &Arc<Plan>| call.shows(plan, &self.collection, &self.record)(field);
        let known = self.collection.field_type(field).is_some() && (field == "id" || self.plan.as_ref().is_some_and(visible));
        known.then(|| self.record.value(field).into_owned())
    }

    /// The JSON of the record with the fields that the caller may read and, if given, has chosen.
    pub(crate) fn json(&self, call: &Call, chosen: Option<&[String]>) -> Result<Vec<u8>, Error> {
        let visible = self.plan.as_ref().map(|plan| call.shows(plan, &self.collection, &self.record));
        let chosen = |field: &str| chosen.is_none_or(|chosen| chosen.iter().any(|name| name == field));
        let view = self.record.view(|field| chosen(field) && visible.as_ref().is_some_and(|visible| visible(field)));
        serde_json::to_vec(&view).map_err(|error| Error::Internal(error.to_string()))
    }
}
