//! The steps of a write inside an open transaction: load, run rules, validate, check the result, write, log. Requests, plugins and cascades
//! all come through here.

mod authority;

mod create;

mod update;

mod upsert;

mod delete;

mod restore;

mod masks;

mod relations;

mod unique;

mod log;

use std::sync::{LazyLock, Mutex, PoisonError};

use model::{Collection, Pointer, Violations};
use store::Transaction;

pub(super) use super::update::Manner;
pub(super) use authority::{Authority, Granted};
pub(super) use create::{NewId, Pace, create, create_all, create_as};
pub(super) use delete::delete;
pub(super) use restore::restore;
pub(super) use update::{Change, update};
pub(super) use upsert::{Upsert, upsert};

use crate::{Error, call::Call};
use log::{Logged, log, log_all};

/// A rule that decides by a search must not miss what is written here: nothing in the database would notice.
async fn take_turns(call: &Call, transaction: &Transaction, collection: &Collection) -> Result<(), Error> {
    if call.world.plugins.searches(collection.name()) {
        store::guards::take(transaction, collection.name(), &call.caller.tenant).await?;
    }
    Ok(())
}

fn not_unique(collection: &Collection, error: store::Error) -> Error {
    let mut violations = Violations::default();
    match &error {
        store::Error::Unique { index } => {
            for field in store::schema::index_fields(collection, index) {
                violations.add(Pointer::field(field), "field.unique", format!("another record has this `{field}`"));
            }
        }
        store::Error::Exists => violations.add(Pointer::field("id"), "field.unique", "another record has this `id`"),
        _ => return Error::Store(error),
    }
    Error::NotUnique(violations)
}

/// A new id: a ULID that is greater than every earlier one of this process, also within the same millisecond.
pub(crate) fn next_id() -> String {
    static GENERATOR: LazyLock<Mutex<ulid::Generator>> = LazyLock::new(Mutex::default);
    let mut generator = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    // The generator fails only after 2^80 ids in one millisecond.
    generator.generate().unwrap_or_else(|_| ulid::Ulid::new()).to_string()
}
