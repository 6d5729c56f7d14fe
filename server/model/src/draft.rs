//! What a client sent: an object of the right shape and size, not yet checked against any collection.

use crate::{
    value::{MEMBERS_MAX, Object, TOO_MANY_KEYS, TOO_MANY_MEMBERS, TOO_MANY_RECORDS, Value},
    violation::{Pointer, Violation},
};

/// How many fields a draft may have.
pub const KEYS_MAX: usize = MEMBERS_MAX;

/// How many records one request may write.
pub const RECORDS_MAX: usize = 1_000;

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
        Self::from_value(Value::from_records(body).map_err(|error| unreadable(&error))?)
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

/// What a client sent for one record, or for several that are written together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub enum Drafts {
    /// An object.
    One(Draft),
    /// An array of objects, 1 to [`RECORDS_MAX`].
    Many(Vec<Draft>),
}

impl Drafts {
    /// Reads a JSON body that is an object or an array of objects.
    ///
    /// # Errors
    /// As in [`Draft::parse`], with the position in front of the pointer; `body.too_many_records`.
    pub fn parse(body: &[u8]) -> Result<Drafts, Violation> {
        match Value::from_records(body).map_err(|error| unreadable(&error))? {
            Value::List(values) => Self::many(values, &Pointer::root()).map(Drafts::Many),
            other => Draft::from_value(other).map(Drafts::One),
        }
    }

    /// Takes the elements of an array that stands at this place of the body.
    ///
    /// # Errors
    /// See [`Drafts::parse`].
    fn many(values: Vec<Value>, at: &Pointer) -> Result<Vec<Draft>, Violation> {
        if values.is_empty() {
            return Err(Violation::new(at.clone(), "body.shape", "expected at least one record"));
        }
        if values.len() > RECORDS_MAX {
            return Err(Violation::new(at.clone(), "body.too_many_records", format!("more than {RECORDS_MAX} records")));
        }
        let draft = |(index, value)| {
            Draft::from_value(value).map_err(|violation| Violation { pointer: at.join(index).followed_by(&violation.pointer), ..violation })
        };
        values.into_iter().enumerate().map(draft).collect()
    }
}

/// Why a body cannot be read.
#[must_use]
pub fn unreadable(error: &serde_json::Error) -> Violation {
    let message = error.to_string();
    let limits =
        [(TOO_MANY_MEMBERS, "body.too_many_keys"), (TOO_MANY_KEYS, "body.too_many_keys"), (TOO_MANY_RECORDS, "body.too_many_records")];
    let code = limits.iter().find(|(start, _)| message.starts_with(start)).map_or("body.malformed", |(_, code)| code);
    Violation::new(Pointer::root(), code, message)
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
    fn several_drafts_stand_in_an_array() {
        let check = |body: &str, expected: Result<usize, &str>| match (Drafts::parse(body.as_bytes()), expected) {
            (Ok(Drafts::One(_)), Ok(0)) => {}
            (Ok(Drafts::Many(drafts)), Ok(count)) => assert_eq!(drafts.len(), count, "{body}"),
            (Err(violation), Err(error)) => assert_eq!(format!("{} {}", violation.pointer.as_str(), violation.code), error, "{body}"),
            (result, _) => panic!("{body}: {result:?}"),
        };
        check(r#"{"a":1}"#, Ok(0));
        check(r#"[{"a":1},{}]"#, Ok(2));
        check("[]", Err(" body.shape"));
        check("7", Err(" body.shape"));
        check(r#"[{},[{}]]"#, Err("/1 body.shape"));
        check(&format!("[{}{{}}]", "{},".repeat(999)), Ok(1_000));
        check(&format!("[{}{{}}]", "{},".repeat(1_000)), Err(" body.too_many_records"));
        check(&format!("[{}", "1,".repeat(1_001)), Err(" body.too_many_records"));
        let record = |keys: usize| format!("{{{}}}", (0..keys).map(|key| format!("\"f{key}\":[{{}}]")).collect::<Vec<_>>().join(","));
        check(&format!("[{}]", vec![record(29); 1_000].join(",")), Ok(1_000));
        check(&format!("[{}]", vec![record(30); 1_000].join(",")), Err(" body.malformed"));
        let record = |keys: usize| record(keys).replace("[{}]", "0");
        check(&format!("[{}]", vec![record(60); 1_000].join(",")), Ok(1_000));
        check(&format!("[{}]", vec![record(61); 1_000].join(",")), Err(" body.too_many_keys"));
    }

    #[test]
    fn a_merge_patch_replaces_and_nulls() {
        let mut draft = Draft::parse(br#"{"a":1,"o":{"x":1,"y":2,"z":3}}"#).expect("draft");
        draft.merge(Draft::parse(br#"{"a":null,"o":{"y":3,"z":null},"b":true}"#).expect("patch").values);
        assert_eq!(Value::Object(draft.values).to_json(), r#"{"a":null,"o":{"x":1,"y":3},"b":true}"#);
    }
}
