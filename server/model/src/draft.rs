//! What a client sent: an object of the right shape and size, not yet checked against any collection.

use crate::{
    value::{Object, Value},
    violation::{Pointer, Violation},
};

/// How many fields a draft may have.
pub const KEYS_MAX: usize = 1_000;

/// What a client sent for one record. The schema is not yet looked at, so that nothing about it leaks before authorization.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// The fields as they came.
    pub values: Object,
}

impl Draft {
    /// Reads the JSON body of a single write.
    ///
    /// # Errors
    /// A violation with the code `body.malformed`, `body.shape` or `body.too_many_keys`.
    pub fn parse(body: &[u8]) -> Result<Draft, Violation> {
        let value = Value::from_json(body).map_err(|error| Violation::new(Pointer::root(), "body.malformed", error.to_string()))?;
        Self::from_value(value)
    }

    /// Takes a value that must be an object.
    ///
    /// # Errors
    /// A violation with the code `body.shape` or `body.too_many_keys`.
    pub fn from_value(value: Value) -> Result<Draft, Violation> {
        match value {
            Value::Object(values) if values.len() > KEYS_MAX => {
                Err(Violation::new(Pointer::root(), "body.too_many_keys", format!("more than {KEYS_MAX} keys")))
            }
            Value::Object(values) => Ok(Draft { values }),
            other => Err(Violation::new(Pointer::root(), "body.shape", format!("expected a JSON object, got {}", other.kind()))),
        }
    }

    /// Applies a merge patch (RFC 7396). A field set to null stays as null (that empties it); inside `json` objects null removes.
    pub fn merge(&mut self, patch: Object) {
        for (name, value) in patch {
            let slot = self.values.entry(name).or_default();
            if value.is_null() { *slot = Value::Null } else { merge(slot, value) }
        }
    }
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(members) = patch else {
        *target = patch;
        return;
    };
    if !matches!(target, Value::Object(_)) {
        *target = Value::Object(Object::new());
    }
    let Value::Object(object) = target else { return };
    for (name, value) in members {
        if value.is_null() {
            object.shift_remove(&name);
        } else {
            merge(object.entry(name).or_default(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_are_drafts() {
        let code = |body: &str| Draft::parse(body.as_bytes()).map_err(|violation| violation.code);
        assert!(code(r#"{"a":1}"#).is_ok());
        assert_eq!(code("[]").unwrap_err(), "body.shape");
        assert_eq!(code("{").unwrap_err(), "body.malformed");
        assert_eq!(code(r#"{"a":1,"a":1}"#).unwrap_err(), "body.malformed");
    }

    #[test]
    fn a_merge_patch_replaces_and_nulls() {
        let mut draft = Draft::parse(br#"{"a":1,"o":{"x":1,"y":2,"z":3}}"#).expect("draft");
        draft.merge(Draft::parse(br#"{"a":null,"o":{"y":3,"z":null},"b":true}"#).expect("patch").values);
        assert_eq!(Value::Object(draft.values).to_json(), r#"{"a":null,"o":{"x":1,"y":3},"b":true}"#);
    }
}
