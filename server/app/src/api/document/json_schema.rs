//! JSON Schema as OpenAPI 3.0 can say it. A schema with anything that it cannot say is left out as a whole: a document that says less is
//! right, one that says something else is not.

use model::value::{Object as Fields, Value as Given};
use serde_json::{Value, json};

use super::Object;

/// The types that OpenAPI 3.0 knows.
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// The schema in the words of OpenAPI 3.0; none if there is none, or no words for it.
pub(super) fn translate(schema: &Given) -> Option<Object> {
    match schema {
        Given::Object(keywords) => {
            let mut translated = Object::new();
            for (keyword, value) in keywords {
                add(&mut translated, keyword, value)?;
            }
            complete(&mut translated)?;
            Some(translated)
        }
        Given::Bool(true) => Some(Object::new()),
        _ => None,
    }
}

/// Takes over one keyword; none if it has no counterpart.
fn add(translated: &mut Object, keyword: &str, value: &Given) -> Option<()> {
    let value = match keyword {
        "$schema" | "$id" | "$comment" | "examples" => return Some(()),
        "title" | "description" | "format" | "pattern" => json!(value.as_text()?),
        "minimum" | "maximum" => {
            // An exclusive bound that stands beside an inclusive one would have to be compared with it.
            if translated.contains_key(keyword) {
                return None;
            }
            number(value)?
        }
        "multipleOf" | "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => number(value)?,
        "uniqueItems" | "deprecated" => match value {
            Given::Bool(_) => json!(value),
            _ => return None,
        },
        "default" => json!(value),
        "enum" => match value {
            Given::List(values) if !values.is_empty() => json!(value),
            _ => return None,
        },
        "required" => match value {
            Given::List(names) if names.is_empty() => return Some(()),
            Given::List(names) if names.iter().all(|name| name.as_text().is_some()) => json!(value),
            _ => return None,
        },
        "const" => {
            translated.insert("enum".to_owned(), json!([value]));
            return Some(());
        }
        "exclusiveMinimum" => return exclusive(translated, "minimum", keyword, value),
        "exclusiveMaximum" => return exclusive(translated, "maximum", keyword, value),
        "type" => return add_type(translated, value),
        "items" | "not" => translate(value)?.into(),
        "additionalProperties" => match value {
            Given::Bool(_) => json!(value),
            schema => translate(schema)?.into(),
        },
        "properties" => {
            let properties: Option<Object> =
                members(value)?.iter().map(|(name, schema)| Some((name.clone(), translate(schema)?.into()))).collect();
            properties?.into()
        }
        "allOf" | "anyOf" | "oneOf" => match value {
            Given::List(schemas) => schemas.iter().map(|schema| translate(schema).map(Value::from)).collect::<Option<Vec<_>>>()?.into(),
            _ => return None,
        },
        _ => return None,
    };
    translated.insert(keyword.to_owned(), value);
    Some(())
}

/// One type, or one type and `null`.
fn add_type(translated: &mut Object, value: &Given) -> Option<()> {
    let mut names = match value {
        Given::List(names) => names.iter().map(Given::as_text).collect::<Option<Vec<_>>>()?,
        one => vec![one.as_text()?],
    };
    let before = names.len();
    names.retain(|name| *name != "null");
    let [name] = names[..] else { return None };
    if !TYPES.contains(&name) {
        return None;
    }
    if before > 1 {
        translated.insert("nullable".to_owned(), true.into());
    }
    translated.insert("type".to_owned(), name.into());
    Some(())
}

/// From JSON Schema's bound to the bound and the flag of OpenAPI 3.0.
fn exclusive(translated: &mut Object, bound: &str, flag: &str, value: &Given) -> Option<()> {
    if translated.insert(bound.to_owned(), number(value)?).is_some() {
        return None;
    }
    translated.insert(flag.to_owned(), true.into());
    Some(())
}

/// What OpenAPI 3.0 wants beyond JSON Schema.
fn complete(translated: &mut Object) -> Option<()> {
    if translated.get("type").is_some_and(|name| name == "array") {
        translated.entry("items").or_insert_with(|| json!({}));
    }
    // Without a type, `nullable` says nothing; with one and without `nullable`, null in the list of values is never let through.
    if let (Some(Value::Array(values)), true) = (translated.get("enum"), translated.contains_key("type")) {
        let typed_null = values.contains(&Value::Null) && !translated.contains_key("nullable");
        return if typed_null { None } else { Some(()) };
    }
    Some(())
}

fn members(value: &Given) -> Option<&Fields> {
    match value {
        Given::Object(members) => Some(members),
        _ => None,
    }
}

fn number(value: &Given) -> Option<Value> {
    match value {
        Given::Integer(_) | Given::Number(_) => Some(json!(value)),
        _ => None,
    }
}
