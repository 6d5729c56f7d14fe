//! Rows and records. A row of a collection has the columns `_key` (repeats the id, so that indexes can hold it), `_tenant`, `_version`,
//! `created`, `updated` and one column for each field that is not null. The
//! database drops zeros at the end of decimals, so `_scales` keeps how many digits those had that lost some.

use model::{Collection, Field, FieldType, Record, Value, value::Object};
use rust_decimal::Decimal;
use surrealdb::types::{Number, Object as StoredObject, RecordId, SurrealValue, Value as Stored};

use crate::{
    Error,
    value::{from_stored, to_stored},
};

/// The database's own id of a record.
pub(crate) fn record_id(table: &str, key: &str) -> Stored {
    RecordId::new(table, key).into_value()
}

/// The content of a row; the id is given beside it.
pub(crate) fn from_record(record: &Record) -> StoredObject {
    let mut row = StoredObject::new();
    row.insert("_key", record.id.clone());
    row.insert("_tenant", record.tenant.clone());
    row.insert("_version", i64::try_from(record.version).unwrap_or(i64::MAX));
    row.insert("created", record.created.clone());
    row.insert("updated", record.updated.clone());
    let mut scales = StoredObject::new();
    for (name, value) in record.values.iter().filter(|(_, value)| !value.is_null()) {
        if let Some(digits) = digits(value) {
            scales.insert(name.clone(), digits);
        }
        row.insert(name.clone(), to_stored(value));
    }
    if !scales.is_empty() {
        row.insert("_scales", Stored::Object(scales));
    }
    row
}

/// How many digits a decimal has after the point, if the database would lose some of them.
pub(crate) fn digits(value: &Value) -> Option<i64> {
    match value {
        Value::Decimal(decimal) if decimal.scale() != decimal.normalize().scale() => Some(i64::from(decimal.scale())),
        _ => None,
    }
}

/// Reads a row as a record of its collection: declared fields only, in the declared order, null where the row has nothing.
///
/// # Errors
/// [`Error::Corrupt`] when a system column is missing.
pub(crate) fn to_record(collection: &Collection, row: Stored) -> Result<Record, Error> {
    let mut row = Row::new(row)?;
    let id = row.text("_key")?;
    let tenant = row.text("_tenant")?;
    let version = row.integer("_version")?;
    let (created, updated) = (row.text("created")?, row.text("updated")?);
    let mut scales = row.take("_scales").map(Row::new).transpose()?;
    let mut values = Object::with_capacity(collection.fields().len());
    for field in collection.fields() {
        let value = row.take(&field.name).and_then(from_stored).unwrap_or_default();
        let value = match field.kind {
            FieldType::Decimal => as_decimal(field, value, scales.as_mut().and_then(|scales| scales.integer(&field.name).ok())),
            _ => value,
        };
        values.insert(field.name.clone(), value);
    }
    Ok(Record { id, tenant, version: version.unsigned_abs(), created, updated, values })
}

/// A decimal with the digits it was written with. A whole number in a decimal column (written before the field changed its type) is one too.
fn as_decimal(field: &Field, value: Value, scale: Option<i64>) -> Value {
    let mut decimal = match value {
        Value::Integer(integer) => Decimal::from(integer),
        Value::Decimal(decimal) => decimal,
        other => return other,
    };
    if let Some(scale) = scale.and_then(|scale| u32::try_from(scale).ok()) {
        decimal.rescale(scale);
    }
    Value::Decimal(field.scaled(decimal))
}

/// An object of the database, taken apart by name.
pub(crate) struct Row {
    members: std::collections::BTreeMap<String, Stored>,
}

impl Row {
    pub(crate) fn new(value: Stored) -> Result<Self, Error> {
        match value {
            Stored::Object(object) => Ok(Self { members: object.into_inner() }),
            other => Err(Error::Corrupt(format!("expected a row, got {other:?}"))),
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Stored> {
        self.members.remove(name).filter(|value| !matches!(value, Stored::None | Stored::Null))
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, Error> {
        self.optional_text(name).ok_or_else(|| Error::Corrupt(format!("the column `{name}` is not text")))
    }

    pub(crate) fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Some(Stored::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<i64, Error> {
        match self.take(name) {
            Some(Stored::Number(Number::Int(integer))) => Ok(integer),
            _ => Err(Error::Corrupt(format!("the column `{name}` is not an integer"))),
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        matches!(self.take(name), Some(Stored::Bool(true)))
    }

    pub(crate) fn bytes(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        match self.take(name) {
            Some(Stored::Bytes(bytes)) => Ok(bytes.into_inner().to_vec()),
            _ => Err(Error::Corrupt(format!("the column `{name}` is not bytes"))),
        }
    }
}

/// The rows of a statement: nothing, one, or several.
pub(crate) fn rows(value: Stored) -> Vec<Stored> {
    match value {
        Stored::None | Stored::Null => Vec::new(),
        Stored::Array(array) => array.into_vec(),
        one => vec![one],
    }
}

/// The only row of a statement, if there is one.
pub(crate) fn first_row(value: Stored) -> Option<Stored> {
    rows(value).into_iter().next()
}
