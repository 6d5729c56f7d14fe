//! The document as a whole: how large it gets, and what a part of it leaves out.

use super::*;

/// A collection of the size that people have, with a text of its own in each description.
fn ordinary(number: usize) -> String {
    let field =
        |name: &str, kind: &str, more: &str| format!(r#"{{"name": "{name}", "type": "{kind}", "description": "The {name}."{more}}}"#);
    let fields = [
        field("title", "text", r#", "required": true, "max": 200"#),
        field("summary", "text", r#", "max": 2000"#),
        field("status", "select", r#", "values": ["draft", "live", "gone"], "required": true, "default": "draft""#),
        field("views", "integer", r#", "min": 0"#),
        field("ratio", "number", ""),
        field("price", "decimal", r#", "scale": 2"#),
        field("published", "bool", r#", "default": false"#),
        field("at", "datetime", ""),
        field("contact", "email", ""),
        field("author", "relation", r#", "collection": "users""#),
        field("data", "json", ""),
    ];
    format!(r#"{{"name": "collection_{number}", "description": "Records of the sort {number}.", "fields": [{}]}}"#, fields.join(", "))
}

#[test]
fn a_hundred_collections_fit_into_four_megabytes() {
    let mut definitions: Vec<String> = (0..99).map(ordinary).collect();
    definitions.push(USERS_DEFINITION.to_owned());
    let definitions: Vec<&str> = definitions.iter().map(String::as_str).collect();
    let document = render_of(FIXED, &definitions, &Wanted::default()).expect("a document");
    let (json, gzipped) = (document.json().len(), document.gzipped().len());
    assert!(json < 4_000_000, "{json} bytes");
    assert!(gzipped < json / 10, "{gzipped} bytes compressed");
}

#[test]
fn a_part_is_a_pure_function_of_what_is_wanted() {
    let wanted = |names: &str, version| Wanted { collections: Wanted::collections(names), version };
    let render = |wanted: &Wanted| render_of(FIXED, &[THINGS, USERS_DEFINITION], wanted).expect("a document");
    let part = render(&wanted("things", Version::Old));
    assert_eq!(part.json(), render(&wanted(" things, ", Version::Old)).json());
    assert_ne!(part.etag(), render(&wanted("things", Version::New)).etag());
    assert_ne!(part.etag(), render(&wanted("users", Version::Old)).etag());
    let part: Value = serde_json::from_slice(&part.json()).expect("JSON");
    assert!(part["paths"].get("/api/records/users").is_none() && part["paths"].get("/api/version").is_none());
    // The way to sign in tells what an account is.
    assert!(part["components"]["schemas"]["UsersRecord"].is_object());
    assert!(part["components"]["schemas"].get("UsersUpdate").is_none());
}
