//! Unique values, looked for before a plugin writes them. A statement that the index refuses takes the transaction with it, and a rule that is
//! ready for a value that is taken could not go on. Whoever is no plugin hears of it from the index itself.

use model::{Collection, NewRecord, Pointer, Record, Value, Violations};
use store::Transaction;

use crate::{Error, call::Call};

/// What a plugin writes must have no unique value that another record has.
pub(super) async fn check_unique(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    (new, before): (&NewRecord, Option<&Record>),
) -> Result<(), Error> {
    if call.depth == 0 {
        return Ok(());
    }
    let after = new.record();
    let mut violations = Violations::default();
    for index in collection.indexes().into_iter().filter(|index| index.unique) {
        let Some(wanted) = values(after, &index.fields) else { continue };
        if before.is_some_and(|before| values(before, &index.fields).as_ref() == Some(&wanted)) {
            continue;
        }
        let found = store::records::find_by(transaction, collection, &call.caller.tenant, &wanted).await?;
        if found.is_some_and(|found| found.id != after.id) {
            for (field, _) in &wanted {
                violations.add(Pointer::field(field), "field.unique", format!("another record has this `{field}`"));
            }
        }
    }
    violations.or(()).map_err(Error::NotUnique)
}

/// The values of a record in these fields; none if one is absent: such a record does not count.
fn values(record: &Record, fields: &[String]) -> Option<Vec<(String, Value)>> {
    let value = |field: &String| {
        let value = record.values.get(field).filter(|value| !value.is_null())?;
        Some((field.clone(), value.clone()))
    };
    fields.iter().map(value).collect()
}
