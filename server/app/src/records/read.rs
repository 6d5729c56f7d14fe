//! The story of one record that is read.

use model::{Action, Record, Violations};

use super::{
    Shown, expand,
    list::{given, parse_fields},
};
use crate::{Error, call::Call, decisions::Refused};

/// What a client asks of a single record, as text.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub(crate) fields: Option<String>,
    pub(crate) expand: Option<String>,
}

/// A record as the caller may see it.
pub struct Seen {
    pub(crate) record: Record,
    pub(crate) json: Vec<u8>,
}

/// Reads a record. One that the plan does not allow is not there for this caller.
///
/// # Errors
/// The policies, no such record, or parameters that cannot be read.
pub async fn read(call: &Call, collection: &str, id: &str, wanted: &Wanted) -> Result<Seen, Error> {
    let collection = call.collection(collection)?;
    let plan = call.plan(Action::Read, &collection)?;
    let record = store::records::get(&call.app.store, &collection, &call.caller.tenant, id).await?;
    let record = match record {
        Some(record) if plan.allows(&call.context(&record, None)) => record,
        record => return Err(call.hidden(Action::Read, &collection, id, record)),
    };
    let mut violations = Violations::default();
    let fields = given(&wanted.fields).map(|text| parse_fields(&collection, text, &mut violations));
    violations.or(()).map_err(Error::Query)?;
    let branches = expand::asked(call, &collection, &wanted.expand)?;
    let mut violations = Violations::default();
    expand::check_readable(call, &plan, &collection, &branches, &mut violations);
    violations.or(()).map_err(|violations| {
        call.decided(Refused { id: Some(id.to_owned()), ..Refused::records(Action::Read, &collection) }, Error::FieldsDenied(violations))
    })?;

    let beside = expand::expand(call, &plan, &collection, std::slice::from_ref(&record), &branches).await?;
    let shown = Shown { collection, record, plan: Some(plan) };
    let mut json = shown.json(call, fields.as_deref())?;
    if let Some(beside) = beside.first() {
        expand::append(&mut json, beside);
    }
    Ok(Seen { record: shown.record, json })
}
