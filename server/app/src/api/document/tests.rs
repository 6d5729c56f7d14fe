mod newer;

mod whole;

use std::{collections::HashSet, io::Read};

use model::collection::Definition;

use super::*;

/// As poem-openapi writes it, with the faults that it has.
const FIXED: &str = r##"{
    "openapi": "3.0.0", "info": {"title": "Ironrule", "version": "0.1.0"}, "servers": [],
    "tags": [],
    "paths": {
        "/api/auth/register": {"post": {
            "requestBody": {"content": {"application/json; charset=utf-8": {"schema": {"type": "object"}}}, "required": true},
            "responses": {"201": {"description": "", "content": {"application/json; charset=utf-8": {"schema": {}}}}, "409": {"description": ""}}}},
        "/api/auth/login": {"post": {
            "operationId": "auth_login",
            "requestBody": {"content": {"application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/Login"}}}, "required": true},
            "responses": {"200": {"description": "", "content": {"application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/Session"}}}}}}},
        "/api/policies/{id}": {"delete": {
            "operationId": "policies_delete", "security": [{"Token": []}],
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}, "description": ""}],
            "responses": {"204": {"description": ""}, "404": {"description": "no policy"}}}},
        "/api/version": {"get": {"responses": {"200": {"description": "the version"}}}}
    },
    "components": {
        "schemas": {
            "Login": {"type": "object", "required": ["format"], "properties": {
                "format": {"type": "string"}, "content": {"type": "integer", "format": "uint16"},
                "inner": {"allOf": [{"$ref": "#/components/schemas/Inner"}, {"nullable": true}], "nullable": true}}},
            "Import": {"type": "object"},
            "Inner": {"type": "object", "properties": {"n": {"type": "integer", "format": "uint64"}}},
            "Session": {"type": "object", "required": ["record"], "properties": {"record": {}}}
        },
        "securitySchemes": {"Token": {"type": "http", "scheme": "bearer"}}
    }
}"##;

const THINGS: &str = r#"{"name": "things", "description": "</script><script>alert(1)</script>", "fields": [
    {"name": "title", "type": "text", "required": true, "min": 2, "max": 5, "pattern": "^[a-z]+$", "description": "The title."},
    {"name": "note", "type": "text", "pattern": "(?i)^a"},
    {"name": "mail", "type": "email", "unique": true},
    {"name": "site", "type": "url"},
    {"name": "count", "type": "integer", "required": true, "min": 0.5, "max": "9.00", "default": 1},
    {"name": "ratio", "type": "number", "max": 1.5},
    {"name": "price", "type": "decimal", "min": 0, "default": 4},
    {"name": "on", "type": "bool", "default": true},
    {"name": "at", "type": "datetime"},
    {"name": "day", "type": "date"},
    {"name": "kind", "type": "select", "values": ["a", "b"]},
    {"name": "tags", "type": "select", "values": ["x", "y"], "many": true, "required": true, "max": 2},
    {"name": "data", "type": "json", "schema": {"type": "object", "properties": {"n": {"const": 1}}, "required": ["n"]}},
    {"name": "odd", "type": "json", "schema": {"type": "object", "patternProperties": {"^a": {}}}},
    {"name": "free", "type": "json"},
    {"name": "owner", "type": "relation", "collection": "users", "required": true, "default": "caller.id"},
    {"name": "peers", "type": "relation", "collection": "users", "many": true},
    {"name": "code", "type": "text", "required": true, "immutable": true},
    {"name": "secret", "type": "text", "hidden": true}
]}"#;

const USERS_DEFINITION: &str = r#"{"name": "users", "kind": "auth", "fields": [{"name": "name", "type": "text"}]}"#;

fn catalog(definitions: &[&str]) -> BTreeMap<String, Collection> {
    let collection = |text: &&str| Collection::new(serde_json::from_str::<Definition>(text).expect("a definition")).expect("a collection");
    definitions.iter().map(collection).map(|collection| (collection.name().to_owned(), collection)).collect()
}

fn render_of(fixed: &str, definitions: &[&str], wanted: &Wanted) -> Result<Document, serde_json::Error> {
    let catalog = catalog(definitions);
    let ground = Ground { fixed, catalog: &catalog, endpoints: &[], server_url: "https://api.example.com" };
    Document::render(&ground, wanted, Audience::Everybody)
}

fn render(fixed: &str) -> Result<Document, serde_json::Error> {
    render_of(fixed, &[THINGS, USERS_DEFINITION, r#"{"name": "policies"}"#], &Wanted::default())
}

fn document() -> Value {
    serde_json::from_slice(&render(FIXED).expect("a document").json()).expect("JSON")
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of_path = |(path, item)| Value::as_object(item).into_iter().flatten().map(move |(method, one)| (format!("{method} {path}"), one));
    paths.iter().flat_map(of_path).collect()
}

fn each(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            visit(key, value);
            each(value, visit);
        }),
        Value::Array(values) => values.iter().for_each(|value| each(value, visit)),
        _ => {}
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The schema of a field of `things`.
fn check(schema: &str, field: &str, expected: Value) {
    let document = document();
    assert_eq!(document["components"]["schemas"][schema]["properties"][field], expected, "{schema}.{field}");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = 0;
    each(&document, &mut |key, value| {
        if let ("$ref", Some(target)) = (key, value.as_str()) {
            references += 1;
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
    });
    assert!(references > 100, "{references}");
}

#[test]
fn every_operation_has_its_own_id_and_answers_errors_with_problems() {
    let document = document();
    let mut ids = HashSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().expect(&name);
        assert!(ids.insert(id.to_owned()), "{id}");
        assert!(operation["security"].is_array(), "{name}");
        assert!(operation["responses"]["default"].is_object(), "{name}");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let target = response["$ref"].as_str().map_or("", |target| target.trim_start_matches('#'));
            let response = document.pointer(target).filter(|_| !target.is_empty()).unwrap_or(response);
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status}");
            let is_problem = response["content"]["application/problem+json"].is_object();
            assert_eq!(is_problem, !status.starts_with(['2', '3']), "{name} {status}");
        }
    }
    let ids_of_things =
        ["list", "create", "update_all", "delete_all", "get", "update", "replace", "delete"].map(|verb| format!("things_{verb}"));
    for id in ids_of_things.iter().chain([&"batch".to_owned()]) {
        assert!(ids.contains(id), "{id}");
    }
}

#[test]
fn the_fixed_part_is_put_right() {
    let document = document();
    assert_eq!((&document["openapi"], &document["servers"]), (&json!("3.0.3"), &json!([{"url": "https://api.example.com"}])));
    let text = document.to_string();
    assert!(!text.contains("charset"));
    let register = &document["paths"]["/api/auth/register"]["post"];
    assert_eq!(register["operationId"], "postAuthRegister");
    assert_eq!(register["security"], json!([]));
    assert_eq!(register["requestBody"]["content"]["application/json"]["schema"], schema_ref("UsersCreate"));
    assert_eq!(register["responses"]["201"]["content"]["application/json"]["schema"], schema_ref("UsersRecord"));
    assert_eq!(keys(&register["responses"]), ["201", "400", "401", "409", "413", "415", "422", "429", "503", "default"]);
    let delete = &document["paths"]["/api/policies/{id}"]["delete"];
    assert_eq!((&delete["operationId"], &delete["security"]), (&json!("policiesDelete"), &json!([{"bearerAuth": []}])));
    assert_eq!(keys(&delete["responses"]), ["204", "400", "401", "403", "404", "409", "422", "429", "503", "default"]);
    assert_eq!(delete["responses"]["404"]["description"], "no policy");
    assert_eq!(keys(&document["components"]["securitySchemes"]), ["bearerAuth"]);
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Session"]["properties"]["record"], schema_ref("UsersRecord"));
    assert_eq!(schemas["Inner"]["properties"]["n"], json!({"type": "integer", "format": "int64", "minimum": 0}));
    assert_eq!(schemas["Login"]["properties"]["content"]["maximum"], 65_535);
    assert_eq!(schemas["Login"]["properties"]["inner"], json!({"type": "object", "nullable": true, "allOf": [schema_ref("Inner")]}));
}

#[test]
fn a_fixed_part_that_would_lose_something_is_refused() {
    let refused = |from: &str, to: &str, reason: &str| {
        let error = render(&FIXED.replace(from, to)).err().expect(reason).to_string();
        assert!(error.contains(reason), "{error}");
    };
    refused("/api/version", "/api/auth/login", "the path `/api/auth/login` is declared by two API structs");
    refused("policies_delete", "AuthLogin", "the operation id `authLogin` stands twice");
    refused("Session\"", "PolicyCreate\"", "the schema `PolicyCreate` ends as those of collections do");
    refused("\"openapi\"", "openapi", "key must be a string");
}

#[test]
fn a_tag_of_the_fixed_api_is_not_shared() {
    let document = document();
    let tags: Vec<&str> = document["tags"].as_array().expect("tags").iter().filter_map(|tag| tag["name"].as_str()).collect();
    let records = ["policies (collection)", "things", "users"];
    assert_eq!(
        tags,
        [&["auth"], &records[..], &["batch", "collections", "imports", "policies", "roles", "plugins", "setup", "system"]].concat()
    );
    for (name, operation) in operations(&document) {
        assert!(tags.contains(&operation["tags"][0].as_str().expect("a tag")), "{name}");
    }
    assert_eq!(document["paths"]["/livez"]["get"]["tags"], json!(["system"]));
    assert_eq!(document["paths"]["/api/records/policies"]["get"]["tags"], json!(["policies (collection)"]));
}

#[test]
fn every_type_of_field_has_its_schema() {
    let id = json!({"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"});
    let with = |mut schema: Value, more: Value| {
        schema.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        schema
    };
    let title = json!({"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[a-z]+$", "description": "The title."});
    check("ThingsRecord", "title", title);
    let note = json!({"type": "string", "maxLength": 100_000, "nullable": true, "description": "Matches the regular expression `(?i)^a`."});
    check("ThingsRecord", "note", note);
    check(
        "ThingsRecord",
        "mail",
        json!({"type": "string", "format": "email", "maxLength": 254, "nullable": true, "description": "Unique."}),
    );
    check("ThingsRecord", "site", json!({"type": "string", "format": "uri", "nullable": true}));
    check("ThingsCreate", "count", json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": 9, "default": 1}));
    check("ThingsUpdate", "count", json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": 9}));
    check("ThingsRecord", "ratio", json!({"type": "number", "format": "double", "maximum": 1.5, "nullable": true}));
    let price = json!({"type": "string", "format": "decimal", "pattern": r"^-?[0-9]{1,29}(\.[0-9]{1,28})?$", "example": "4.50",
        "nullable": true, "description": "At least 0."});
    check("ThingsRecord", "price", price.clone());
    check("ThingsCreate", "price", with(price, json!({"default": "4"})));
    check("ThingsCreate", "on", json!({"type": "boolean", "nullable": true, "default": true}));
    check("ThingsRecord", "at", json!({"type": "string", "format": "date-time", "nullable": true}));
    check("ThingsRecord", "day", json!({"type": "string", "format": "date", "nullable": true}));
    check("ThingsRecord", "kind", json!({"type": "string", "enum": ["a", "b", null], "nullable": true}));
    let tags = json!({"type": "array", "items": {"type": "string", "enum": ["x", "y"]}, "uniqueItems": true, "minItems": 1, "maxItems": 2});
    check("ThingsRecord", "tags", tags);
    let data = json!({"type": "object", "properties": {"n": {"enum": [1]}}, "required": ["n"], "nullable": true});
    check("ThingsCreate", "data", data);
    check("ThingsUpdate", "data", json!({"type": "object", "additionalProperties": true, "nullable": true}));
    check("ThingsRecord", "odd", json!({}));
    check("ThingsRecord", "free", json!({}));
    check("ThingsRecord", "owner", with(id.clone(), json!({"description": "The id of a record of `users`."})));
    let peers = json!({"type": "array", "items": id, "uniqueItems": true, "nullable": true, "description": "Ids of records of `users`."});
    check("ThingsRecord", "peers", peers);
    check(
        "ThingsCreate",
        "secret",
        json!({"type": "string", "maxLength": 100_000, "nullable": true, "writeOnly": true, "description": "Never shown."}),
    );
    check("ThingsRecord", "secret", Value::Null);
    let password =
        json!({"type": "string", "format": "password", "minLength": 8, "maxLength": 256, "writeOnly": true, "description": "Never shown."});
    check("UsersCreate", "password", password.clone());
    check("UsersUpdate", "password", password);
    check("UsersRecord", "password", Value::Null);
}

#[test]
fn required_is_what_nothing_can_stand_in_for() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["ThingsCreate"]["required"], json!(["title", "tags", "code"]));
    assert_eq!(schemas["ThingsReplace"]["required"], json!(["title", "tags", "owner"]));
    assert_eq!(schemas["ThingsUpdate"]["required"], Value::Null);
    assert_eq!(schemas["UsersRecord"]["required"], json!(["id", "created", "updated", "email", "verified", "name"]));
    assert_eq!(schemas["UsersReplace"]["required"], json!(["email"]));
    // A collection for which PUT takes the same as POST has one schema for both.
    assert_eq!(schemas["PoliciesReplace"], Value::Null);
    let put = &document["paths"]["/api/records/policies/{id}"]["put"]["requestBody"];
    assert_eq!(put["content"]["application/json"]["schema"], schema_ref("PoliciesCreate"));
    for name in ["ThingsCreate", "ThingsUpdate", "ThingsReplace"] {
        assert_eq!(schemas[name]["additionalProperties"], false, "{name}");
        assert_eq!(schemas[name]["properties"]["id"]["readOnly"], true, "{name}");
    }
}

#[test]
fn a_description_cannot_end_a_script() {
    let rendered = render(FIXED).expect("a document");
    assert!(!String::from_utf8_lossy(&rendered.json()).contains('<'));
    let tags = document()["tags"].clone();
    assert!(tags.to_string().contains("</script><script>alert(1)</script>"));
}

#[test]
fn the_tag_and_the_gzip_belong_to_the_text() {
    let rendered = render(FIXED).expect("a document");
    assert_eq!(rendered.etag(), render(FIXED).expect("a document").etag());
    assert_ne!(rendered.etag(), render_of(FIXED, &[THINGS], &Wanted::default()).expect("a document").etag());
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&rendered.gzipped()[..]).read_to_end(&mut text).expect("gzip");
    assert_eq!(text, rendered.json());
}

#[test]
fn schema_names_of_two_collections_can_be_the_same() {
    let check = |name: &str, expected: Option<&str>| {
        let others = catalog(&[r#"{"name": "a_1"}"#, r#"{"name": "order_items"}"#]);
        assert_eq!(collides(name, &others).as_deref(), expected, "{name}");
    };
    assert_eq!(["a_1", "a1", "order_items", "posts_create", "x__y_"].map(schema_prefix), ["A1", "A1", "OrderItems", "PostsCreate", "XY"]);
    check("a1", Some("a_1"));
    check("a_1", None);
    check("order__items", Some("order_items"));
    check("orderitems", None);
    check("problem", None);
}

#[test]
fn json_schemas_are_translated_or_left_out() {
    let check = |schema: &str, expected: Option<Value>| {
        let given = model::Value::from_json(schema.as_bytes()).expect("JSON");
        assert_eq!(json_schema::translate(&given).map(Value::from), expected, "{schema}");
    };
    check("null", None);
    check("true", Some(json!({})));
    check(r#"{"$schema": "x", "type": "array"}"#, Some(json!({"type": "array", "items": {}})));
    check(r#"{"type": ["string", "null"], "enum": ["a", null]}"#, Some(json!({"type": "string", "nullable": true, "enum": ["a", null]})));
    check(r#"{"type": "string", "enum": ["a", null]}"#, None);
    check(r#"{"type": ["string", "integer"]}"#, None);
    check(r#"{"exclusiveMinimum": 1}"#, Some(json!({"minimum": 1, "exclusiveMinimum": true})));
    check(r#"{"exclusiveMinimum": 1, "minimum": 2}"#, None);
    check(r#"{"minimum": 2, "exclusiveMinimum": 1}"#, None);
    check(r#"{"properties": {"type": {"type": "string"}}, "required": []}"#, Some(json!({"properties": {"type": {"type": "string"}}})));
    check(r##"{"items": {"$ref": "#/$defs/a"}}"##, None);
    check(r#"{"anyOf": [{"type": "string"}, {"if": {}}]}"#, None);
    check(r#"{"additionalProperties": {"type": "null"}}"#, None);
}
