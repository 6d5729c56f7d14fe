//! One value of a field, as it is stored and as conditions see it. Times are canonical text (see [`crate::time`]), so that they sort the
//! same way in memory, in an index and on the wire; relations are the plain id of the other record.

use std::{cell::Cell, cmp::Ordering, fmt};

use indexmap::{IndexMap, map::Entry};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};

/// A JSON object: keys in the order in which they came.
pub type Object = IndexMap<String, Value>;

/// A value of a field. JSON has no decimals: they are written as text (`"4.50"`) and read back by the field's type.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing: a missing value and an explicit null are the same.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Integer(i64),
    /// A binary floating point number; always finite.
    Number(f64),
    /// An exact decimal number.
    Decimal(Decimal),
    /// UTF-8 text; also email, url, datetime, date, select, relation.
    Text(String),
    /// A list; also `select` and `relation` with many values.
    List(Vec<Value>),
    /// An object; only inside `json` fields.
    Object(Object),
}

static NULL: Value = Value::Null;

impl Value {
    /// A reference to the null value, for look-ups that find nothing.
    #[must_use]
    pub fn null() -> &'static Value {
        &NULL
    }

    /// True for [`Value::Null`].
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The member of an object; null for everything else, lists included.
    #[must_use]
    pub fn member(&self, name: &str) -> &Value {
        match self {
            Value::Object(object) => object.get(name).unwrap_or(&NULL),
            _ => &NULL,
        }
    }

    /// The word for this kind of value in messages to users.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Integer(_) => "integer",
            Value::Number(_) | Value::Decimal(_) => "number",
            Value::Text(_) => "string",
            Value::List(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// True for booleans, numbers and texts: the values that can be compared for equality.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Value::Null | Value::List(_) | Value::Object(_))
    }

    /// Compares two numbers of any kind exactly, as the database does; none if either is not a number.
    #[must_use]
    pub fn compare_numbers(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
            (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => Some(a.cmp(b)),
            (Value::Integer(a), Value::Decimal(b)) => Some(Decimal::from(*a).cmp(b)),
            (Value::Decimal(a), Value::Integer(b)) => Some(a.cmp(&Decimal::from(*b))),
            (Value::Integer(a), Value::Number(b)) => Some(compare_integer_number(*a, *b)),
            (Value::Number(a), Value::Integer(b)) => Some(compare_integer_number(*b, *a).reverse()),
            (Value::Decimal(a), Value::Number(b)) => Some(compare_decimal_number(a, *b)),
            (Value::Number(a), Value::Decimal(b)) => Some(compare_decimal_number(b, *a).reverse()),
            _ => None,
        }
    }

    /// Reads JSON text. Duplicate keys, more than [`MEMBERS_MAX`] of them, numbers that are not finite and nesting beyond [`DEPTH_MAX`] are errors.
    ///
    /// # Errors
    /// What is wrong and where (line and column), as serde_json says it.
    pub fn from_json(text: &[u8]) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Reads JSON text that a client sent. As in [`Value::from_json`]; more than [`BODY_CONTAINERS_MAX`] lists and objects, or more than
    /// [`BODY_KEYS_MAX`] keys in all of them, are errors, too.
    ///
    /// # Errors
    /// As there.
    pub fn from_body(text: &[u8]) -> Result<Value, serde_json::Error> {
        Self::tallied(text, &Tally::new(BODY_CONTAINERS_MAX, BODY_KEYS_MAX))
    }

    /// As [`Value::from_body`], for a record or a list of records: more than [`crate::draft::RECORDS_MAX`] elements are an error, too, and the rest is not read.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn from_records(text: &[u8]) -> Result<Value, serde_json::Error> {
        Self::tallied(text, &Tally { elements_max: crate::draft::RECORDS_MAX, ..Tally::new(BODY_CONTAINERS_MAX, BODY_KEYS_MAX) })
    }

    fn tallied(text: &[u8], tally: &Tally) -> Result<Value, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = DeserializeSeed::deserialize(Seed { depth: 0, tally }, &mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }

    /// Writes JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // INVARIANT: a `Value` has text keys and finite numbers only, so writing it as JSON cannot fail.
        serde_json::to_string(self).expect("a value is always valid JSON")
    }
}

/// Room that an object gets before its members are known: most records need no second allocation.
const MEMBERS_USUAL: usize = 12;

/// How many get it: a thousand records with what stands around each. It is more than a kilobyte, and those of whoever sends more are small.
const ROOMY_MAX: usize = 2_000;

/// How deep lists and objects may nest in anything a client sends.
pub const DEPTH_MAX: usize = 32;

/// How many members an object may have in anything a client sends.
pub const MEMBERS_MAX: usize = 1_000;

/// How the error about it begins.
pub(crate) const TOO_MANY_MEMBERS: &str = "more than 1000 keys in an object";

/// How many lists and objects a body may have: a thousand records with sixty in each, or as many points of a map as fit into a body. They cost
/// much more than the few bytes that they are written with.
pub const BODY_CONTAINERS_MAX: usize = 60_000;

/// How many keys all objects of a body may have together: a thousand records with sixty fields each.
pub const BODY_KEYS_MAX: usize = 60_000;

/// How the error about too many records begins.
pub(crate) const TOO_MANY_RECORDS: &str = "more than 1000 records";

/// How the error about it begins.
pub(crate) const TOO_MANY_KEYS: &str = "more than 60000 keys";

fn compare_integer_number(integer: i64, number: f64) -> Ordering {
    if number >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if number < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    // INVARIANT: within the two bounds above, the whole part of `number` fits an i64.
    let whole = number.trunc() as i64;
    integer.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&number.fract()).unwrap_or(Ordering::Equal))
}

fn compare_decimal_number(decimal: &Decimal, number: f64) -> Ordering {
    match Decimal::from_f64_retain(number) {
        Some(other) => decimal.cmp(&other),
        None => decimal.to_f64().and_then(|own| own.partial_cmp(&number)).unwrap_or(Ordering::Less),
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Number(value) => serializer.serialize_f64(*value),
            Value::Decimal(value) => serializer.collect_str(value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::List(values) => serializer.collect_seq(values),
            Value::Object(object) => serializer.collect_map(object),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tally = Tally::new(usize::MAX, usize::MAX);
        DeserializeSeed::deserialize(Seed { depth: 0, tally: &tally }, deserializer)
    }
}

/// How much of a text has been read, and how much there may be.
struct Tally {
    containers: Cell<usize>,
    containers_max: usize,
    keys: Cell<usize>,
    keys_max: usize,
    /// Of the list that all of the text is.
    elements_max: usize,
}

impl Tally {
    fn new(containers_max: usize, keys_max: usize) -> Self {
        Self { containers: Cell::new(0), containers_max, keys: Cell::new(0), keys_max, elements_max: usize::MAX }
    }
}

/// Counts one more. False if there are too many now.
fn counted(count: &Cell<usize>, max: usize) -> bool {
    count.set(count.get() + 1);
    count.get() <= max
}

/// Reads a value while counting how deep it nests; serde_json's own limit (128) is too generous to recurse on later.
#[derive(Clone, Copy)]
struct Seed<'a> {
    depth: usize,
    tally: &'a Tally,
}

impl Seed<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
        }
        if !counted(&self.tally.containers, self.tally.containers_max) {
            return Err(E::custom(format_args!("more than {BODY_CONTAINERS_MAX} lists and objects")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Room for the members of the object that was begun last.
    fn room(self) -> usize {
        if self.tally.containers.get() <= ROOMY_MAX { MEMBERS_USUAL } else { 0 }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::Decimal(Decimal::from(value)), Value::Integer))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if value.is_finite() { Ok(Value::Number(value)) } else { Err(E::custom("number out of range")) }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            if self.depth == 0 && values.len() >= self.tally.elements_max {
                return Err(A::Error::custom(TOO_MANY_RECORDS));
            }
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Object::with_capacity(self.room());
        while let Some(key) = access.next_key::<String>()? {
            // At once: the rest may be long, and is not worth being looked at.
            if object.len() >= MEMBERS_MAX {
                return Err(A::Error::custom(TOO_MANY_MEMBERS));
            }
            if !counted(&self.tally.keys, self.tally.keys_max) {
                return Err(A::Error::custom(TOO_MANY_KEYS));
            }
            match object.entry(key) {
                Entry::Vacant(slot) => slot.insert(access.next_value_seed(inner)?),
                Entry::Occupied(slot) => return Err(A::Error::custom(format_args!("duplicate key `{}`", slot.key()))),
            };
        }
        Ok(Value::Object(object))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        match (Value::from_json(text.as_bytes()), expected) {
            (Ok(value), Ok(json)) => assert_eq!(value.to_json(), json),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error} lacks `{part}`"),
            (result, expected) => panic!("{text}: {result:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn json_is_read_and_written() {
        check(r#"{"b":1,"a":[true,null,"x"],"n":1.5}"#, Ok(r#"{"b":1,"a":[true,null,"x"],"n":1.5}"#));
        check("18446744073709551615", Ok("\"18446744073709551615\""));
        check(r#"{"a":1,"a":2}"#, Err("duplicate key `a`"));
        check("1e999", Err("out of range"));
        let many = |count: usize| format!("{{{}}}", (0..count).map(|key| format!("\"k{key}\":1")).collect::<Vec<_>>().join(","));
        check(&many(MEMBERS_MAX), Ok(&many(MEMBERS_MAX)));
        check(&many(MEMBERS_MAX + 1), Err(TOO_MANY_MEMBERS));
        check(&format!("[{}]", many(MEMBERS_MAX + 1)), Err(TOO_MANY_MEMBERS));
        check(&"[".repeat(40), Err("nested deeper than 32 levels"));
        check("[1,", Err("EOF"));
    }

    #[test]
    fn a_body_has_limits_for_all_of_it() {
        let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        let check = |text: &str, expected: Result<(), &str>| match (Value::from_body(text.as_bytes()), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.to_string().starts_with(part), "{error} does not begin with `{part}`"),
            (result, expected) => panic!("{:?}, expected {expected:?}", result.map(|_| ())),
        };
        // The list around them counts, too.
        for item in ["[]", "{}", r#"{"a":1}"#] {
            check(&list(item, BODY_CONTAINERS_MAX - 1), Ok(()));
            check(&list(item, BODY_CONTAINERS_MAX), Err("more than 60000 lists and objects"));
        }
        let members = (0..MEMBERS_MAX).map(|key| format!("\"k{key}\":1")).collect::<Vec<_>>().join(",");
        let object = format!("{{{members}}}");
        check(&list(&object, BODY_KEYS_MAX / MEMBERS_MAX), Ok(()));
        check(&list(&object, BODY_KEYS_MAX / MEMBERS_MAX + 1), Err(TOO_MANY_KEYS));
        assert!(Value::from_json(list("[]", BODY_CONTAINERS_MAX).as_bytes()).is_ok(), "what no client sent may have more");
        check("[1] 2", Err("trailing characters"));
    }

    #[test]
    fn numbers_compare_exactly() {
        let less = |a: Value, b: Value| assert_eq!(a.compare_numbers(&b), Some(Ordering::Less), "{a:?} < {b:?}");
        less(Value::Integer(i64::MAX), Value::Number(9_223_372_036_854_775_808.0));
        less(Value::Number(-9.3e18), Value::Integer(i64::MIN));
        less(Value::Integer(-2), Value::Number(-1.5));
        less(Value::Number(-1.5), Value::Integer(-1));
        less(Value::Decimal("4.49".parse().expect("decimal")), Value::Number(4.5));
        less(Value::Integer(4), Value::Decimal("4.50".parse().expect("decimal")));
        assert_eq!(Value::Text("1".into()).compare_numbers(&Value::Integer(1)), None);
    }
}
