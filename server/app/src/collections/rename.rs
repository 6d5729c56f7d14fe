//! Fields that get another name when a collection changes. What is stored moves along, so nothing is lost.

use std::collections::BTreeMap;

use model::{Collection, Pointer, Violations, collection::Kind};

use crate::Error;

/// New names of fields, by the old ones.
pub type Renames = BTreeMap<String, String>;

/// The collection as it is, but for the names of fields, in its indexes and its search too.
///
/// # Errors
/// A field that is not there or belongs to the kind of the collection, or a name that is taken or cannot be.
pub(super) fn renamed(before: &Collection, renames: &Renames) -> Result<Collection, Error> {
    let mut violations = Violations::default();
    for (old, new) in renames {
        let pointer = Pointer::field("rename").join(old);
        let built_in = before.kind() == Kind::Auth && ["email", "password", "verified"].contains(&old.as_str());
        if before.field(old).is_none() || built_in {
            let message = format!("`{old}` is not a field of `{}` that can get another name", before.name());
            violations.add(pointer, "field.unknown", message);
        } else if before.field(new).is_some() || renames.values().filter(|name| *name == new).count() > 1 {
            violations.add(pointer, "name.taken", format!("there is a field `{new}` already; names are exchanged in two changes"));
        }
    }
    violations.or(()).map_err(unacceptable)?;
    let name = |name: &mut String| {
        if let Some(new) = renames.get(name) {
            name.clone_from(new);
        }
    };
    let mut definition = before.definition().clone();
    definition.fields.iter_mut().for_each(|field| name(&mut field.name));
    definition.indexes.iter_mut().flat_map(|index| &mut index.fields).chain(&mut definition.search).for_each(name);
    Collection::new(definition).map_err(unacceptable)
}

/// The new names must be those of the change, and the old ones free: a column that stays would give its values to the next field.
///
/// # Errors
/// What does not fit together.
pub(super) fn check(after: &Collection, renames: &Renames) -> Result<(), Error> {
    let mut violations = Violations::default();
    for (old, new) in renames {
        let pointer = Pointer::field("rename").join(old);
        if after.field(new).is_none() {
            violations.add(pointer, "field.unknown", format!("`{new}` is not among `fields`"));
        } else if after.field(old).is_some() {
            violations.add(pointer, "name.taken", format!("a field can be called `{old}` again in a later change"));
        }
    }
    violations.or(()).map_err(unacceptable)
}

fn unacceptable(violations: Violations) -> Error {
    Error::Unacceptable { kind: "collection", violations }
}
