//! The conversion to OpenAPI 3.1, schema by schema.

use serde_json::{Value, json};

use super::super::newer;

/// A document with one schema, converted, and that schema again.
fn check(schema: Value, expected: Value) {
    let given = schema.to_string();
    let mut document = json!({
        "paths": {"/a": {"get": {
            "parameters": [{"name": "q", "schema": schema}],
            "requestBody": {"content": {"application/json": {"schema": schema, "example": {"nullable": true, "type": "string"}}}},
            "responses": {"200": {"headers": {"X": {"schema": schema}}, "content": {"application/json": {"schema": schema}}}},
        }}},
        "components": {"schemas": {"S": schema}, "parameters": {"P": {"schema": schema}}, "responses": {"R": {"content": {"a/b": {"schema": schema}}}}},
    });
    newer::convert(&mut document);
    for pointer in [
        "/paths/~1a/get/parameters/0/schema",
        "/paths/~1a/get/requestBody/content/application~1json/schema",
        "/paths/~1a/get/responses/200/headers/X/schema",
        "/paths/~1a/get/responses/200/content/application~1json/schema",
        "/components/schemas/S",
        "/components/parameters/P/schema",
        "/components/responses/R/content/a~1b/schema",
    ] {
        assert_eq!(document.pointer(pointer), Some(&expected), "{given} at {pointer}");
    }
    let example = &document["paths"]["/a"]["get"]["requestBody"]["content"]["application/json"]["example"];
    assert_eq!(example, &json!({"nullable": true, "type": "string"}), "an example is no schema");
    assert_eq!(document["components"].as_object().map(serde_json::Map::len), Some(3), "nothing is added");
}

#[test]
fn keywords_are_converted() {
    check(json!({"type": "string", "nullable": true}), json!({"type": ["string", "null"]}));
    check(json!({"type": "string", "nullable": false}), json!({"type": "string"}));
    check(json!({"nullable": true}), json!({}));
    check(json!({"type": "string", "enum": ["a", null], "nullable": true}), json!({"type": ["string", "null"], "enum": ["a", null]}));
    check(json!({"type": "integer", "minimum": 1, "exclusiveMinimum": true}), json!({"type": "integer", "exclusiveMinimum": 1}));
    check(json!({"type": "integer", "minimum": 1, "exclusiveMinimum": false}), json!({"type": "integer", "minimum": 1}));
    check(json!({"maximum": 9, "exclusiveMaximum": true, "minimum": 1}), json!({"minimum": 1, "exclusiveMaximum": 9}));
    check(json!({"type": "string", "example": "x"}), json!({"type": "string", "examples": ["x"]}));
    check(json!({"type": "string", "format": "binary"}), json!({"type": "string", "contentMediaType": "application/octet-stream"}));
    check(json!({"type": "string", "format": "byte"}), json!({"type": "string", "contentEncoding": "base64"}));
    check(json!({"type": "string", "format": "date"}), json!({"type": "string", "format": "date"}));
}

#[test]
fn schemas_are_converted_wherever_they_stand() {
    let (old, new) = (json!({"type": "string", "nullable": true}), json!({"type": ["string", "null"]}));
    check(json!({"type": "array", "items": old, "nullable": true}), json!({"type": ["array", "null"], "items": new}));
    check(json!({"type": "object", "additionalProperties": old}), json!({"type": "object", "additionalProperties": new}));
    check(json!({"type": "object", "additionalProperties": false}), json!({"type": "object", "additionalProperties": false}));
    check(json!({"anyOf": [old, {"not": old}]}), json!({"anyOf": [new, {"not": new}]}));
    let reference = json!({"$ref": "#/components/schemas/S", "nullable": true});
    check(reference.clone(), reference.clone());
    let composed = json!({"type": "object", "nullable": true, "allOf": [reference]});
    check(composed, json!({"anyOf": [{"type": "object", "allOf": [reference]}, {"type": "null"}]}));
}

#[test]
fn names_and_values_are_no_keywords() {
    let boolean = json!({"type": "boolean"});
    let properties =
        json!({"nullable": boolean, "example": boolean, "exclusiveMinimum": boolean, "format": boolean, "properties": boolean});
    let schema =
        json!({"type": "object", "properties": properties, "default": {"nullable": true, "example": 1}, "enum": [{"format": "byte"}]});
    check(schema.clone(), schema);
}
