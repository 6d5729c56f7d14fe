//! Values for stored records that have none: how a field becomes required while there are records.

use std::collections::BTreeMap;

use model::{Collection, FieldType, Pointer, Record, Value, Violations, validate};

use crate::Error;

/// What is written where a field is null, by the names of the fields.
pub type Fill = BTreeMap<String, Value>;

/// The values in the form of their fields.
///
/// # Errors
/// A field that is not there, is no plain value of its own (secrets, relations), or cannot hold this.
pub(super) fn checked(after: &Collection, fill: Fill) -> Result<Fill, Error> {
    let mut violations = Violations::default();
    let mut values = Fill::new();
    for (name, value) in fill {
        let pointer = Pointer::field("fill").join(&name);
        let fillable = after.field(&name).is_some_and(|field| !matches!(field.kind, FieldType::Password | FieldType::Relation));
        if !fillable {
            violations.add(pointer, "field.unknown", format!("`{name}` is not a field of `{}` that can be filled", after.name()));
            continue;
        }
        match validate::retyped(after, &name, value).filter(|value| !value.is_null()) {
            Some(value) => drop(values.insert(name, value)),
            None => violations.add(pointer, "field.value", format!("`{name}` cannot hold this value")),
        }
    }
    violations.or(values).map_err(|violations| Error::Unacceptable { kind: "collection", violations })
}

/// A record as it will be.
pub(super) fn filled(record: &Record, fill: &Fill) -> Record {
    let mut filled = record.clone();
    for (name, value) in fill {
        let slot = filled.values.entry(name.clone()).or_insert(Value::Null);
        if slot.is_null() {
            slot.clone_from(value);
        }
    }
    filled
}
