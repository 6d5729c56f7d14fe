//! A field of a collection: its type and its constraints, as people write them and as they are stored.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::value::Value;

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// UTF-8 text; `min` and `max` count characters, `pattern` is a regular expression that must match somewhere.
    Text,
    /// An email address.
    Email,
    /// An absolute http or https URL.
    Url,
    /// A whole number of 64 bits.
    Integer,
    /// A floating point number.
    Number,
    /// An exact decimal number of at most 28 digits, written as JSON text.
    Decimal,
    /// `true` or `false`.
    Bool,
    /// A moment, RFC 3339; kept in UTC with microseconds.
    Datetime,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// One (or, with `many`, several) of the texts in `values`.
    Select,
    /// Any JSON, if given under a JSON Schema in `schema`.
    Json,
    /// The id of one (or, with `many`, several) records of another collection.
    Relation,
    /// A secret that is stored as an Argon2id hash and never shown; only in `auth` collections.
    Password,
}

impl FieldType {
    /// The word in definitions and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Text => "text",
            FieldType::Email => "email",
            FieldType::Url => "url",
            FieldType::Integer => "integer",
            FieldType::Number => "number",
            FieldType::Decimal => "decimal",
            FieldType::Bool => "bool",
            FieldType::Datetime => "datetime",
            FieldType::Date => "date",
            FieldType::Select => "select",
            FieldType::Json => "json",
            FieldType::Relation => "relation",
            FieldType::Password => "password",
        }
    }

    /// True for types whose values are kept as text.
    #[must_use]
    pub fn is_text(self) -> bool {
        use FieldType as T;
        match self {
            T::Text | T::Email | T::Url | T::Datetime | T::Date | T::Select | T::Relation | T::Password => true,
            T::Integer | T::Number | T::Decimal | T::Bool | T::Json => false,
        }
    }

    /// True for types whose values are numbers.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, FieldType::Integer | FieldType::Number | FieldType::Decimal)
    }
}

/// What happens to a record when the one that its relation names is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// The deletion is refused.
    #[default]
    Restrict,
    /// The record is deleted too.
    Cascade,
    /// The relation becomes null, or loses that one id.
    Unset,
}

/// A field as people define it. Which attributes a type allows is checked by [`crate::Collection::new`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// `^[a-z][a-z0-9_]{0,62}$`, unique in its collection.
    pub name: String,
    /// What the field may hold.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Null is refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// No two records of a tenant hold the same value; nulls do not count.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
    /// Nobody can read it through the API, whatever the policies say; rules can.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// It can be set when a record is created, never changed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub immutable: bool,
    /// Several values in a list (`select`, `relation`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub many: bool,
    /// The value of a new record that does not say; the text `caller.id` in a relation means the calling user.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub default: Value,
    /// The smallest value, or the least number of characters or list entries.
    #[serde(default, with = "bound", skip_serializing_if = "Option::is_none")]
    pub min: Option<Decimal>,
    /// The largest value, or the greatest number of characters or list entries.
    #[serde(default, with = "bound", skip_serializing_if = "Option::is_none")]
    pub max: Option<Decimal>,
    /// The digits after the point that a `decimal` always shows (`"4.50"`); values with more are refused. Without it they stay as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
    /// A regular expression that a `text` must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The choices of a `select`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The collection that a `relation` points into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// What the deletion of the related record means; `relation` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<OnDelete>,
    /// A JSON Schema for a `json` field.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub schema: Value,
    /// For people; shown in the OpenAPI document.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Bounds may be written as a number or as decimal text; they are written as a whole number where they are one.
mod bound {
    use rust_decimal::{Decimal, prelude::ToPrimitive};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::value::Value;

    pub fn serialize<S: Serializer>(bound: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
        let value = match bound {
            None => Value::Null,
            Some(bound) if bound.fract().is_zero() && bound.to_i64().is_some() => Value::Integer(bound.to_i64().unwrap_or_default()),
            Some(bound) => Value::Decimal(*bound),
        };
        value.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
        let parse = |text: &str| Decimal::from_str_exact(text).map(Some).map_err(|_| D::Error::custom("expected a decimal number"));
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(None),
            Value::Integer(integer) => Ok(Some(Decimal::from(integer))),
            Value::Decimal(decimal) => Ok(Some(decimal)),
            Value::Number(number) => parse(&number.to_string()),
            Value::Text(text) => parse(&text),
            other => Err(D::Error::custom(format_args!("expected a number, got {}", other.kind()))),
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Field {
    /// A field of a type with no constraint.
    #[must_use]
    pub fn new(name: &str, kind: FieldType) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            required: false,
            unique: false,
            hidden: false,
            immutable: false,
            many: false,
            default: Value::Null,
            min: None,
            max: None,
            scale: None,
            pattern: None,
            values: Vec::new(),
            collection: None,
            on_delete: None,
            schema: Value::Null,
            description: String::new(),
        }
    }

    /// A decimal as this field shows it.
    #[must_use]
    pub fn scaled(&self, decimal: Decimal) -> Decimal {
        let Some(scale) = self.scale else { return decimal };
        let mut scaled = decimal.normalize();
        scaled.rescale(scale.max(scaled.scale()));
        scaled
    }

    /// True if nobody may see the value: hidden fields and passwords.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.hidden || self.kind == FieldType::Password
    }
}
