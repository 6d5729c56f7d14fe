//! Endpoints of plugins in the OpenAPI document.

use serde_json::{Value, json};

use super::desk;

#[tokio::test]
async fn endpoints_stand_in_the_document_while_they_are_there() {
    let (_app, admin) = desk().await;
    let document = admin.get("/openapi.json").await.json(200);
    let path = |path: &str| document["paths"][format!("/api/ext/desk{path}")].clone();

    let make = &path("/notes")["post"];
    assert_eq!((&make["operationId"], &make["tags"]), (&json!("ext.desk.make"), &json!(["ext: desk"])), "{make}");
    assert_eq!((&make["summary"], &make["security"]), (&json!("Makes a note."), &json!([{"bearerAuth": []}])), "{make}");
    assert_eq!(make["requestBody"]["required"], true, "{make}");
    let request = &make["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(request, &json!({"type": "object", "properties": {"title": {"type": "string", "nullable": true}}, "required": ["title"]}));
    assert_eq!(make["responses"]["200"]["content"]["application/json"]["schema"]["type"], "object", "{make}");
    for status in ["400", "401", "403", "409", "413", "422", "500", "default"] {
        assert!(make["responses"][status].is_object(), "no {status}: {make}");
    }

    let hello = &path("/hello/{name}")["get"];
    assert_eq!(hello["parameters"], json!([{"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}]));
    assert_eq!((&hello["security"], &hello["requestBody"]), (&json!([{}, {"bearerAuth": []}]), &Value::Null), "{hello}");
    assert!(hello["responses"]["2XX"].is_object() && hello["responses"]["404"].is_object(), "{hello}");
    // A schema that OpenAPI 3.0 has no words for is left out.
    assert!(path("/me")["get"]["responses"]["2XX"].is_object(), "{}", path("/me"));

    // Two rules that call a parameter otherwise have one path.
    let both = document["paths"].as_object().expect("paths").keys().filter(|path| path.starts_with("/api/ext/desk/both/"));
    assert_eq!(both.count(), 1);
    let tag = document["tags"].as_array().expect("tags").iter().find(|tag| tag["name"] == "ext: desk");
    assert!(tag.is_some_and(|tag| tag["description"].as_str().is_some_and(|text| text.contains("desk"))), "{}", document["tags"]);

    admin.delete("/api/plugins/desk").await.expect(200);
    let after = admin.get("/openapi.json").await.expect(200);
    assert!(!after.text.contains("/api/ext/") && !after.text.contains("ext: desk"), "something of `desk` is left");
}

#[tokio::test]
async fn the_document_is_sound_with_endpoints() {
    let (_app, admin) = desk().await;
    let document = admin.get("/openapi.json").await.json(200);
    let (mut ids, mut found) = (std::collections::HashSet::new(), 0);
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("`{method} {path}` has no id"));
            assert!(ids.insert(id.to_owned()), "two operations are called `{id}`");
            found += usize::from(path.starts_with("/api/ext/"));
            let declared = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path");
            let referred = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["$ref"].is_string());
            let braces = path.matches('{').count();
            assert!(declared.count() == braces || referred.count() > 0, "`{method} {path}` does not declare its parameters");
            let answers = operation["responses"].as_object().expect("responses");
            assert!(answers.keys().any(|status| status.starts_with('2')), "`{method} {path}` never succeeds");
        }
    }
    assert_eq!(found, 9);
}
