//! Records: a stored, valid item, and one that may be stored.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::value::{Object, Value};

/// The system fields that every record shows: id, and the times of its first and last write.
pub const SYSTEM_FIELDS: [&str; 3] = ["id", "created", "updated"];

/// The member beside the fields of a record that was read with others beside it. A draft may have it, so that such a record can be sent back.
pub const EXPAND: &str = "expand";

/// One stored record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// 26 characters, time-ordered (a ULID), unique over all collections.
    pub id: String,
    /// The isolated customer space that it belongs to.
    pub tenant: String,
    /// Counts the writes of this record from 1; feeds the ETag.
    pub version: u64,
    /// Canonical datetime of the first write.
    pub created: String,
    /// Canonical datetime of the last write.
    pub updated: String,
    /// Every declared field, null where nothing is stored.
    pub values: Object,
}

impl Record {
    /// The value of a declared or system field; null if there is none.
    #[must_use]
    pub fn value(&self, field: &str) -> std::borrow::Cow<'_, Value> {
        use std::borrow::Cow;
        match field {
            "id" => Cow::Owned(Value::from(self.id.as_str())),
            "created" => Cow::Owned(Value::from(self.created.as_str())),
            "updated" => Cow::Owned(Value::from(self.updated.as_str())),
            _ => Cow::Borrowed(self.values.get(field).unwrap_or(Value::null())),
        }
    }

    /// The record as clients see it, with only the fields for which `visible` says yes. The id is always there.
    pub fn view<'a, F: Fn(&str) -> bool>(&'a self, visible: F) -> View<'a, F> {
        View { record: self, visible }
    }

    /// About how many bytes its values take.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.values.iter().map(|(name, value)| name.len() + weight(value)).sum()
    }

    /// The strong entity tag of this version (RFC 9110).
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}-{}\"", self.id, self.version)
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Number(_) | Value::Decimal(_) => 16,
        Value::Text(text) => text.len(),
        Value::List(values) => values.iter().map(weight).sum(),
        Value::Object(object) => object.iter().map(|(name, value)| name.len() + weight(value)).sum(),
    }
}

/// A record and the choice of its fields that may be shown; see [`Record::view`].
pub struct View<'a, F> {
    record: &'a Record,
    visible: F,
}

impl<F: Fn(&str) -> bool> Serialize for View<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.record.id)?;
        for (name, value) in self.record.values.iter().filter(|(name, _)| (self.visible)(name)) {
            map.serialize_entry(name, value)?;
        }
        for (name, value) in [("created", &self.record.created), ("updated", &self.record.updated)] {
            if (self.visible)(name) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// A record that obeys its collection and may be written.
///
/// INVARIANT: only [`crate::validate`] makes one, so what was not validated cannot be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    pub(crate) record: Record,
}

impl NewRecord {
    /// The record as it will be stored.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Gives up the proof and returns the plain record.
    #[must_use]
    pub fn into_record(self) -> Record {
        self.record
    }
}
