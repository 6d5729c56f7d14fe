//! The examples of the document are no decoration: what they say can be sent as it stands.

use serde_json::{Value, json};

use super::{document, things};

/// A collection with every type of field and every constraint that an example could break.
fn fields() -> Value {
    json!([
        {"name": "title", "type": "text", "required": true, "min": 30, "max": 40},
        {"name": "short", "type": "text", "required": true, "max": 2},
        {"name": "sku", "type": "text", "required": true, "pattern": "^[A-Z]{2}-[0-9]{3}$"},
        {"name": "odd", "type": "text", "pattern": "^(one|two) of these$"},
        {"name": "mail", "type": "email", "unique": true},
        {"name": "site", "type": "url", "required": true},
        {"name": "count", "type": "integer", "required": true, "min": 5, "max": 9},
        {"name": "below", "type": "integer", "max": -3},
        {"name": "ratio", "type": "number", "required": true, "min": 2.5},
        {"name": "price", "type": "decimal", "required": true, "scale": 1, "max": 3},
        {"name": "on", "type": "bool", "required": true, "default": false},
        {"name": "at", "type": "datetime", "required": true},
        {"name": "day", "type": "date", "required": true},
        {"name": "kind", "type": "select", "values": ["a", "b"], "required": true},
        {"name": "tags", "type": "select", "values": ["x", "y", "z"], "many": true, "min": 2, "required": true},
        {"name": "data", "type": "json", "required": true, "schema": {
            "type": "array", "minItems": 1, "items": {"type": "object", "required": ["sku", "quantity"], "additionalProperties": false,
                "properties": {"sku": {"type": "string", "minLength": 9}, "quantity": {"type": "integer", "minimum": 3}}}}},
        {"name": "owner", "type": "relation", "collection": "users", "default": "caller.id"},
        {"name": "code", "type": "text", "required": true, "immutable": true},
        {"name": "secret", "type": "text", "hidden": true}
    ])
}

fn example<'a>(document: &'a Value, path: &str, method: &str) -> &'a Value {
    &document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"]
}

#[tokio::test]
async fn what_the_document_shows_can_be_sent() {
    let (_app, admin) = things().await;
    admin.collection("samples", fields()).await;
    let document = document(&admin).await;
    let (all, one) = ("/api/records/samples", "/api/records/samples/{id}");
    let draft = example(&document, all, "post");
    let made = admin.post(all, draft.clone()).await.json(201);
    for (field, value) in draft.as_object().expect("an example") {
        assert_eq!(&made[field], value, "{field}");
    }
    assert!(draft.get("odd").is_none() && draft.get("secret").is_none(), "{draft}");
    let path = format!("{all}/{}", made["id"].as_str().expect("an id"));
    let change = example(&document, one, "patch");
    assert_eq!(change.as_object().map(serde_json::Map::len), Some(1));
    admin.patch(&path, change.clone()).await.expect(200);
    admin.put(&path, example(&document, one, "put").clone()).await.expect(200);

    let shown = &document["components"]["schemas"]["SamplesRecord"]["example"];
    let names = |value: &Value| value.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let (mut shown_names, mut made_names) = (names(shown), names(&made));
    shown_names.sort();
    made_names.sort();
    assert_eq!(shown_names, made_names);
}

#[tokio::test]
async fn there_is_no_example_rather_than_a_wrong_one() {
    let (_app, admin) = things().await;
    admin.collection("riddles", json!([{"name": "answer", "type": "text", "required": true, "pattern": "^forty-two$"}])).await;
    let document = document(&admin).await;
    assert_eq!(example(&document, "/api/records/riddles", "post"), &Value::Null);
    assert_eq!(document["components"]["schemas"]["RiddlesRecord"].get("example"), None);
}
