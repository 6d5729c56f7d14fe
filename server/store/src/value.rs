//! Values of the model as SurrealDB keeps them, and back: texts, times and relations are strings, integers `int`, numbers `float`,
//! decimals `decimal`, `json` fields objects and arrays. A null is stored, so that a record keeps the shape of its collection.

use model::value::{Object, Value};
use surrealdb_types::{Array, Number, Object as StoredObject, Value as Stored};

/// A value as it is stored.
pub(crate) fn to_stored(value: &Value) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Bool(value) => Stored::Bool(*value),
        Value::Integer(value) => Stored::Number(Number::Int(*value)),
        Value::Number(value) => Stored::Number(Number::Float(without_negative_zero(*value))),
        Value::Decimal(value) => Stored::Number(Number::Decimal(value.normalize())),
        Value::Text(value) => Stored::String(value.clone()),
        Value::List(values) => Stored::Array(Array::from(values.iter().map(to_stored).collect::<Vec<_>>())),
        Value::Object(object) => Stored::Object(object_to_stored(object)),
    }
}

/// An object as it is stored. SurrealDB sorts its keys.
pub(crate) fn object_to_stored(object: &Object) -> StoredObject {
    let mut stored = StoredObject::new();
    for (name, value) in object {
        stored.insert(name.clone(), to_stored(value));
    }
    stored
}

/// A stored value; none for kinds that this server never writes (SurrealDB's own datetimes, links, ranges and the like).
pub(crate) fn from_stored(stored: Stored) -> Option<Value> {
    Some(match stored {
        Stored::None | Stored::Null => Value::Null,
        Stored::Bool(value) => Value::Bool(value),
        Stored::Number(Number::Int(value)) => Value::Integer(value),
        Stored::Number(Number::Float(value)) if value.is_finite() => Value::Number(without_negative_zero(value)),
        Stored::Number(Number::Decimal(value)) => Value::Decimal(value),
        Stored::String(value) => Value::Text(value),
        Stored::Array(values) => Value::List(values.into_iter().map(from_stored).collect::<Option<_>>()?),
        Stored::Object(object) => Value::Object(object_from_stored(object)?),
        _ => return None,
    })
}

/// A stored object; none as in [`from_stored`].
pub(crate) fn object_from_stored(stored: StoredObject) -> Option<Object> {
    stored.into_iter().map(|(name, value)| Some((name, from_stored(value)?))).collect()
}

/// The two zeros are equal, so only one of them is ever written.
fn without_negative_zero(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) {
        let value = Value::from_json(json.as_bytes()).expect("json");
        assert_eq!(from_stored(to_stored(&value)), Some(value), "{json}");
    }

    #[test]
    fn values_survive_a_round_trip() {
        check("null");
        check(r#"[true, -9223372036854775808, 1.5, "x", 18446744073709551615]"#);
        check(r#"{"a": {"b": [null, {}]}, "": ""}"#);
    }

    #[test]
    fn zero_has_no_sign() {
        let Stored::Number(Number::Float(zero)) = to_stored(&Value::Number(-0.0)) else { panic!("not a float") };
        assert!(zero.is_sign_positive());
    }

    #[test]
    fn foreign_kinds_are_noticed() {
        assert_eq!(from_stored(Stored::Number(Number::Float(f64::NAN))), None);
        assert_eq!(from_stored(Stored::Duration(std::time::Duration::from_secs(1).into())), None);
    }
}
