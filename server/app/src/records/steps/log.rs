//! What the change log is told of a write.

use model::{Collection, FieldType, Record, Value};
use store::{Transaction, changes};

use super::{Authority, next_id};
use crate::{Error, call::Call};

/// How many bytes the records may have that one transaction writes, before and after.
const WRITTEN_MAX_BYTES: usize = 64 << 20;

/// One write.
pub(super) struct Logged<'a> {
    /// `create`, `update` or `delete`.
    pub(super) action: &'static str,
    pub(super) before: Option<&'a Record>,
    pub(super) after: Option<&'a Record>,
    /// The plugins that ran.
    pub(super) plugins: Vec<String>,
}

pub(super) async fn log(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    logged: Logged<'_>,
) -> Result<(), Error> {
    weigh(call, &logged)?;
    let (before, after) = (open(collection, logged.before), open(collection, logged.after));
    let change = change(call, collection, authority, (before.as_ref(), after.as_ref()), &logged);
    Ok(changes::append(transaction, &change).await?)
}

/// The same of a record that was restored: on the ground of no policy about records.
pub(super) async fn log_restored(call: &Call, transaction: &Transaction, collection: &Collection, logged: Logged<'_>) -> Result<(), Error> {
    weigh(call, &logged)?;
    let (before, after) = (open(collection, logged.before), open(collection, logged.after));
    let ground = (call.caller.principal.to_string(), Vec::new());
    let change = of_ground(call, collection, ground, (before.as_ref(), after.as_ref()), &logged);
    Ok(changes::append(transaction, &change).await?)
}

/// The same of several writes to one collection, in one statement.
pub(super) async fn log_all(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    all: &[Logged<'_>],
) -> Result<(), Error> {
    let open: Vec<_> = all.iter().map(|logged| (open(collection, logged.before), open(collection, logged.after))).collect();
    let mut changes = Vec::with_capacity(all.len());
    all.iter().try_for_each(|logged| weigh(call, logged))?;
    for (logged, (before, after)) in all.iter().zip(&open) {
        changes.push(change(call, collection, authority, (before.as_ref(), after.as_ref()), logged));
    }
    Ok(changes::append_all(transaction, &changes).await?)
}

/// A transaction stands in memory until it commits: what it writes, with the versions before, has a limit.
fn weigh(call: &Call, logged: &Logged<'_>) -> Result<(), Error> {
    let bytes = logged.before.into_iter().chain(logged.after).map(Record::weight).sum();
    if call.attempt.grow(bytes) > WRITTEN_MAX_BYTES { Err(Error::TooLarge { max_mib: WRITTEN_MAX_BYTES >> 20 }) } else { Ok(()) }
}

fn change<'a>(
    call: &Call,
    collection: &'a Collection,
    authority: &Authority,
    (before, after): (Option<&'a Record>, Option<&'a Record>),
    logged: &Logged<'_>,
) -> changes::Change<'a> {
    let ground = match authority {
        Authority::Plan(plan) => (call.caller.principal.to_string(), plan.rules().iter().map(|policy| policy.id().to_string()).collect()),
        Authority::Grant(granted) => (granted.caller.principal.to_string(), Vec::new()),
    };
    of_ground(call, collection, ground, (before, after), logged)
}

fn of_ground<'a>(
    call: &Call,
    collection: &'a Collection,
    (principal, policies): (String, Vec<String>),
    (before, after): (Option<&'a Record>, Option<&'a Record>),
    logged: &Logged<'_>,
) -> changes::Change<'a> {
    changes::Change {
        id: next_id(),
        action: logged.action,
        collection: collection.name(),
        before,
        after,
        principal,
        plugins: logged.plugins.clone(),
        policies,
        request: call.id.to_string(),
        at: call.now.to_string(),
    }
}

/// The change log is kept for long; hashes of passwords are not.
fn open(collection: &Collection, record: Option<&Record>) -> Option<Record> {
    let mut record = record?.clone();
    for field in collection.fields().filter(|field| field.kind == FieldType::Password) {
        record.values.insert(field.name.clone(), Value::Null);
    }
    Some(record)
}
