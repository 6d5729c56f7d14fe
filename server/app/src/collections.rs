//! The stories of collections: defined, altered and dropped at run time, each as one transaction of definition, table and version.

pub mod create;

pub mod alter;

pub mod rename;

pub mod fill;

pub mod drop;

use model::{Action, Collection, Violations};

use crate::{Error, call::Call, world::Catalog};

/// The object that policies about this name.
const OBJECT: &str = "_collections";

/// Every collection that there is.
///
/// # Errors
/// The policies.
pub fn list(call: &Call) -> Result<Vec<Collection>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    Ok(call.world.catalog.values().cloned().collect())
}

/// One collection.
///
/// # Errors
/// The policies, or no such collection.
pub fn get(call: &Call, name: &str) -> Result<Collection, Error> {
    call.authorize(Action::Read, OBJECT)?;
    call.collection(name)
}

/// Policies are written about collections. A change after which one of them no longer fits is refused: the policies in force would
/// otherwise be those of the past.
fn check_policies(call: &Call, collection: &Collection) -> Result<(), Error> {
    let fit = call.world.policies.check_collection(collection);
    fit.map_err(|error| unacceptable("policies", "collection.policies", format!("a policy would no longer fit: {error}")))
}

/// Relations must point to a collection that exists.
fn check_targets(collection: &Collection, catalog: &Catalog) -> Result<(), Error> {
    let mut violations = Violations::default();
    for (index, field) in collection.fields().enumerate() {
        let missing = field.collection.as_deref().filter(|target| *target != collection.name() && !catalog.contains_key(*target));
        if let Some(target) = missing {
            let pointer = model::Pointer::field("fields").join(index).join("collection");
            violations.add(pointer, "collection.unknown", format!("there is no collection `{target}`"));
        }
    }
    violations.or(()).map_err(|violations| Error::Unacceptable { kind: "collection", violations })
}

fn unacceptable(field: &str, code: &str, message: String) -> Error {
    let violation = model::Violation::new(model::Pointer::field(field), code, message);
    Error::Unacceptable { kind: "collection", violations: violation.into() }
}
