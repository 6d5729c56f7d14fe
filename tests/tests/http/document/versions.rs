//! The document as OpenAPI 3.1: the same API in other words.

use serde_json::{Value, json};

use super::{document, operations, things};

async fn newer(client: &tests::Client) -> Value {
    client.get("/openapi.json?version=3.1").await.json(200)
}

#[tokio::test]
async fn nothing_of_the_older_version_is_left() {
    let (_app, admin) = things().await;
    let (old, new) = (document(&admin).await, newer(&admin).await);
    assert_eq!((&old["openapi"], &new["openapi"]), (&json!("3.0.3"), &json!("3.1.0")));
    let names = |document: &Value| operations(document).into_iter().map(|operation| operation.name).collect::<Vec<_>>();
    assert_eq!(names(&old), names(&new));
    assert!(old.to_string().contains(r#""nullable":true"#));
    for gone in [r#""nullable":"#, r#""exclusiveMinimum":true"#, r#""exclusiveMaximum":true"#] {
        assert!(!new.to_string().contains(gone), "{gone}");
    }
    let price = &new["components"]["schemas"]["ThingsRecord"]["properties"]["price"];
    assert_eq!((&price["type"], &price["examples"], price.get("example")), (&json!(["string", "null"]), &json!(["4.50"]), None));
}

#[tokio::test]
async fn fields_may_be_called_like_keywords() {
    let (_app, admin) = things().await;
    let names = ["nullable", "type", "example", "format", "properties", "schema", "content", "items", "minimum"];
    let mut fields: Vec<Value> = names.iter().map(|name| json!({"name": name, "type": "text"})).collect();
    fields.push(json!({"name": "shape", "type": "json", "schema": {
        "type": "object", "required": ["nullable"],
        "properties": {"nullable": {"type": "boolean", "default": true}, "example": {"type": ["string", "null"]},
            "exclusiveMinimum": {"type": "number", "exclusiveMinimum": 0}},
    }}));
    admin.collection("words", json!(fields)).await;
    let new = newer(&admin).await;
    let properties = &new["components"]["schemas"]["WordsRecord"]["properties"];
    for name in names {
        assert_eq!(properties[name], json!({"type": ["string", "null"], "maxLength": 100_000}), "{name}");
    }
    let shape = &properties["shape"]["properties"];
    assert_eq!(shape["nullable"], json!({"type": "boolean", "default": true}));
    assert_eq!(shape["example"], json!({"type": ["string", "null"]}));
    assert_eq!(shape["exclusiveMinimum"], json!({"type": "number", "exclusiveMinimum": 0}));
    assert_eq!(properties["shape"]["type"], json!(["object", "null"]));
}
