//! From OpenAPI 3.0.3 to 3.1.0. The two differ in schemas only, as far as this document uses them. It walks the places where schemas stand,
//! so that a property called `nullable`, or an example with a member `type`, is not taken for a keyword.

use serde_json::{Value, json};

use super::Object;

/// Rewrites the schemas of a document; its version is for the caller to put right.
pub(super) fn convert(document: &mut Value) {
    each_in(document, "paths", |item| {
        each_of(item, "parameters", convert_holder);
        item.as_object_mut().into_iter().flat_map(|item| item.values_mut()).for_each(convert_operation);
    });
    let Some(components) = document.get_mut("components") else { return };
    each_in(components, "schemas", convert_schema);
    each_in(components, "parameters", convert_holder);
    each_in(components, "headers", convert_holder);
    each_in(components, "responses", convert_message);
    each_in(components, "requestBodies", convert_message);
}

fn convert_operation(operation: &mut Value) {
    each_of(operation, "parameters", convert_holder);
    if let Some(body) = operation.get_mut("requestBody") {
        convert_message(body);
    }
    each_in(operation, "responses", convert_message);
}

/// A request body or a response.
fn convert_message(message: &mut Value) {
    each_in(message, "content", convert_holder);
    each_in(message, "headers", convert_holder);
}

/// A parameter, a header or the body of one media type.
fn convert_holder(holder: &mut Value) {
    if let Some(schema) = holder.get_mut("schema") {
        convert_schema(schema);
    }
}

fn convert_schema(schema: &mut Value) {
    // What stands beside a reference says nothing in 3.0, and would begin to in 3.1.
    let Some(keywords) = schema.as_object_mut().filter(|keywords| !keywords.contains_key("$ref")) else { return };
    for (keyword, value) in keywords.iter_mut() {
        match keyword.as_str() {
            "properties" => value.as_object_mut().into_iter().flat_map(|members| members.values_mut()).for_each(convert_schema),
            "allOf" | "anyOf" | "oneOf" => value.as_array_mut().into_iter().flatten().for_each(convert_schema),
            "items" | "additionalProperties" | "not" => convert_schema(value),
            _ => {}
        }
    }
    convert_bound(keywords, "minimum", "exclusiveMinimum");
    convert_bound(keywords, "maximum", "exclusiveMaximum");
    if let Some(example) = keywords.remove("example") {
        keywords.insert("examples".to_owned(), json!([example]));
    }
    convert_format(keywords);
    if keywords.remove("nullable") == Some(Value::Bool(true)) {
        allow_null(schema);
    }
}

/// The flag of 3.0 beside a bound becomes a bound of its own.
fn convert_bound(keywords: &mut Object, bound: &str, flag: &str) {
    if keywords.remove(flag) == Some(Value::Bool(true))
        && let Some(value) = keywords.remove(bound)
    {
        keywords.insert(flag.to_owned(), value);
    }
}

/// Bytes in a body are no text.
fn convert_format(keywords: &mut Object) {
    let (keyword, value) = match keywords.get("format").and_then(Value::as_str) {
        Some("binary") => ("contentMediaType", "application/octet-stream"),
        Some("byte") => ("contentEncoding", "base64"),
        _ => return,
    };
    keywords.remove("format");
    keywords.insert(keyword.to_owned(), value.into());
}

/// In 3.0 `nullable` says nothing without a type. Beside `allOf` the parts have types of their own, which null would have to pass.
fn allow_null(schema: &mut Value) {
    let composed = ["allOf", "anyOf", "oneOf"].iter().any(|keyword| schema.get(keyword).is_some());
    let Some(name) = schema.get("type").and_then(Value::as_str).map(str::to_owned) else { return };
    if composed {
        *schema = json!({"anyOf": [schema.take(), {"type": "null"}]});
    } else {
        schema["type"] = json!([name, "null"]);
    }
}

/// Every member of the object of that name.
fn each_in(holder: &mut Value, name: &str, convert: impl FnMut(&mut Value)) {
    holder.get_mut(name).and_then(Value::as_object_mut).into_iter().flat_map(|members| members.values_mut()).for_each(convert);
}

/// Every entry of the list of that name.
fn each_of(holder: &mut Value, name: &str, convert: impl FnMut(&mut Value)) {
    holder.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().for_each(convert);
}
