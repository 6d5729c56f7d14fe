//! References in a batch: `{"$ref": "order.id"}` stands for the field of an earlier result, as its client sees it. What the client may not
//! read it cannot copy either.

use model::{Collection, Draft, FieldType, Pointer, Value, Violations};

use super::{Operation, Results};
use crate::{Error, call::Call};

/// The id that an operation means; empty if it needs none.
pub(super) fn id(call: &Call, operation: &Operation, results: &Results) -> Result<String, Error> {
    let mut violations = Violations::default();
    let id = match replaced(call, operation.id.clone(), &Pointer::field("id"), results, &mut violations) {
        Value::Text(id) => id,
        Value::Null => String::new(),
        other => {
            violations.add(Pointer::field("id"), "field.type", format!("expected the id of a record, got {}", other.kind()));
            String::new()
        }
    };
    violations.or(id).map_err(Error::Invalid)
}

/// A draft with values in the place of its references.
pub(super) fn resolved(call: &Call, collection: &Collection, mut draft: Draft, results: &Results) -> Result<Draft, Error> {
    let mut violations = Violations::default();
    for (name, value) in &mut draft.values {
        // A password is hashed before anything else sees it: what comes later would be taken for a hash.
        if collection.field(name).is_none_or(|field| field.kind != FieldType::Password) {
            *value = replaced(call, std::mem::take(value), &Pointer::field(name), results, &mut violations);
        }
    }
    violations.or(draft).map_err(Error::Invalid)
}

fn replaced(call: &Call, value: Value, at: &Pointer, results: &Results, violations: &mut Violations) -> Value {
    match value {
        Value::List(values) => {
            let inner = |(index, value)| replaced(call, value, &at.join(index), results, violations);
            Value::List(values.into_iter().enumerate().map(inner).collect())
        }
        Value::Object(members) if is_reference(&members) => match found(call, members.get("$ref"), results) {
            Ok(value) => value,
            Err(message) => {
                violations.add(at.clone(), "reference.unknown", message);
                Value::Null
            }
        },
        Value::Object(members) => {
            let inner = |(name, value)| {
                let value = replaced(call, value, &at.join(&name), results, violations);
                (name, value)
            };
            Value::Object(members.into_iter().map(inner).collect())
        }
        plain => plain,
    }
}

fn is_reference(members: &model::value::Object) -> bool {
    members.len() == 1 && members.contains_key("$ref")
}

/// The value as its client sees it in the answer: a decimal is text there.
fn found(call: &Call, reference: Option<&Value>, results: &Results) -> Result<Value, String> {
    let text = reference.and_then(Value::as_text).unwrap_or_default();
    let (name, field) = text.split_once('.').ok_or_else(|| format!("`{text}` is not a name and a field, such as `order.id`"))?;
    let shown = results.get(name).ok_or_else(|| format!("no operation before this one is called `{name}`"))?;
    match shown.visible(call, field) {
        Some(Value::Decimal(decimal)) => Ok(Value::Text(decimal.to_string())),
        Some(value) => Ok(value),
        None => Err(format!("the result `{name}` has no field `{field}` that can be read")),
    }
}
