//! Relations: what a record newly points to must be there, and stay there until the commit.

use std::collections::BTreeSet;

use model::{Collection, NewRecord, Record, Violations, validate};
use store::Transaction;

use crate::{Error, call::Call};

/// The records that this transaction has looked at and holds: `collection` and `id`.
#[derive(Default)]
pub(super) struct Held(BTreeSet<(String, String)>);

/// Every relation that is new must point to a record that is there and stays there until the commit.
pub(super) async fn check_relations(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    (new, before): (&NewRecord, Option<&Record>),
    held: &mut Held,
) -> Result<(), Error> {
    let known: Vec<&str> = before.iter().flat_map(|before| validate::relations(collection, before)).map(|(_, _, id)| id).collect();
    let mut violations = Violations::default();
    for (pointer, target, id) in validate::relations(collection, new.record()) {
        if known.contains(&id) {
            continue;
        }
        // It is still there, but whatever hangs on it has been looked for, or will be gone with it.
        if call.attempt.under_way.is_going(target, id) {
            violations.add(pointer, "relation.missing", format!("the record `{id}` in `{target}` is being deleted"));
            continue;
        }
        if held.0.contains(&(target.to_owned(), id.to_owned())) {
            continue;
        }
        let found = match call.world.catalog.get(target) {
            Some(target) => store::records::get_locked(transaction, target, &call.caller.tenant, id).await?.is_some(),
            None => false,
        };
        if found {
            held.0.insert((target.to_owned(), id.to_owned()));
        } else {
            violations.add(pointer, "relation.missing", format!("there is no record `{id}` in `{target}`"));
        }
    }
    violations.or(()).map_err(Error::Invalid)
}
