//! What poem-openapi says about the fixed API, read and put right: media types, integer formats, error responses, security, operation
//! ids. It walks schemas as schemas, so that a property called `format` or `content` is not taken for a keyword.

use std::collections::HashSet;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Error, Value, json, value::RawValue};

use super::{
    Object, Parts,
    paths::batch,
    schemas::SUFFIXES,
    shared::{self, BEARER},
};

/// The operations that need nobody to be signed in.
const PUBLIC_PATHS: [&str; 8] =
    ["/api/auth/register", "/api/auth/login", "/api/auth/refresh", "/api/setup", "/api/version", "/livez", "/readyz", "/openapi.json"];

/// The groups of operations, in the order in which they are shown: the first part of the path after `/api`, and what it is about.
const TAGS: [(&str, &str); 9] = [
    ("auth", "Accounts and sessions."),
    (batch::TAG, "Several writes in one transaction."),
    ("collections", "What kinds of records there are."),
    ("imports", "How far imports of records are."),
    ("policies", "Who may do what."),
    ("roles", "Who has which role."),
    ("plugins", "Business rules as WebAssembly components."),
    ("setup", "The first administrator."),
    (SYSTEM, "The server itself."),
];

/// What is true of many operations, and so said once.
const ABOUT: &str = "Accounts, records of collections, and the management of both. Every error is `application/problem+json` with a stable `code` \
    and, for each part of the input that is wrong, a JSON pointer. Empty query parameters count as absent; unknown ones are refused.\n\n\
    Lists have parameters for every field. One that is named after a field asks for that value, or for one of several when it is repeated. Names \
    with an end ask for more: `_ne` other values, `_gt`, `_gte`, `_lt`, `_lte` greater or smaller ones, `_in` one of a list, `_like` a text that \
    contains this, `_null` whether there is none. All of them must hold, and `filter` too. The words of `ra-data-simple-rest` and of json-server \
    are understood as well.\n\n\
    `filter` is a condition: `==`, `!=`, `<`, `<=`, `>`, `>=`, `in [...]`, `has(...)`, `.startsWith(...)`, `.endsWith(...)` and `.contains(...)`, \
    joined with `&&`, `||`, `!` and brackets, such as `created > timestamp(\"2026-01-01T00:00:00Z\")`. `caller.id` is the calling user.";

/// The tag of everything else.
const SYSTEM: &str = "system";

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Reads the text and puts it right.
///
/// # Errors
/// See [`super::Document::render`].
pub(super) fn read(text: &str) -> Result<Parts, Error> {
    refuse_repeated_paths(text)?;
    let mut root: Object = serde_json::from_str(text)?;
    let mut paths = take_object(&mut root, "paths");
    let mut components = take_object(&mut root, "components");
    let mut schemas = take_object(&mut components, "schemas");
    refuse_reserved_schemas(&schemas)?;
    let types = schemas.clone();
    schemas.values_mut().for_each(|schema| normalise_schema(schema, &types));
    paths.insert("/livez".to_owned(), health("live", "See whether the process runs."));
    let mut ready = health("ready", "See whether requests are served: the database answers.");
    ready["get"]["responses"]["503"] = json!({"description": ""});
    paths.insert("/readyz".to_owned(), ready);
    paths.insert("/metrics".to_owned(), metrics());
    paths.insert("/openapi.json".to_owned(), openapi());
    normalise_paths(&mut paths, &types)?;
    // A token is needed for what the caller may do only.
    paths["/openapi.json"]["get"]["security"] = json!([{}, {BEARER: []}]);
    let mut info = root.remove("info").unwrap_or_else(|| json!({"title": "Ironrule", "version": "0"}));
    remove_blank(&mut info, "description");
    let tags = TAGS.map(|(name, description)| json!({"name": name, "description": description}));
    info["description"] = ABOUT.into();
    Ok(Parts { info, tags: tags.into(), paths, schemas })
}

/// poem-openapi cannot know the fields of `users`, which are defined at run time: registering takes what the collection does, and the `record`
/// of a session is one of its records, with what its owner sees.
pub(super) fn type_accounts(parts: &mut Parts, create: &Value, account: &Value) {
    let register = |part: &str| format!("/post/{part}/content/application~1json/schema");
    for (part, schema) in [("requestBody", create), ("responses/201", account)] {
        if let Some(slot) = parts.paths.get_mut("/api/auth/register").and_then(|path| path.pointer_mut(&register(part))) {
            slot.clone_from(schema);
        }
    }
    for (path, method) in [("/api/auth/login", "post"), ("/api/auth/refresh", "post"), ("/api/auth/me", "get")] {
        let answer = format!("/{method}/responses/200/content/application~1json/schema");
        let name = parts.paths.get(path).and_then(|path| component(path.pointer(&answer)?)).map(str::to_owned);
        let Some(session) = name.and_then(|name| parts.schemas.get_mut(&name)) else { continue };
        let required = session["required"].as_array().is_some_and(|names| names.iter().any(|name| name == "record"));
        if let Some(slot) = session.pointer_mut("/properties/record") {
            let nullable = !required || slot["nullable"] == true;
            *slot = if nullable { json!({"type": "object", "nullable": true, "allOf": [account]}) } else { account.clone() };
        }
    }
}

/// The endpoints for supervisors are not made with poem-openapi.
fn health(verb: &str, summary: &str) -> Value {
    let schema = json!({"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}});
    let answer = json!({"description": "Yes.", "content": {"application/json": {"schema": schema}}});
    json!({"get": {"operationId": format!("system_{verb}"), "summary": summary, "responses": {"200": answer}}})
}

/// Nor is the page for monitors.
fn metrics() -> Value {
    let answer = json!({"description": "The text format of Prometheus.", "content": {"text/plain": {"schema": {"type": "string"}}}});
    let summary = "See what is counted on this node, for a monitor; needs a policy that allows to read `_metrics`.";
    json!({"get": {"operationId": "system_metrics", "summary": summary, "responses": {"200": answer}}})
}

/// Nor is this document.
fn openapi() -> Value {
    let query =
        |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "description": description, "schema": schema});
    let text = |values: Value| json!({"type": "string", "enum": values});
    let collections = "Only these collections, separated by commas, and what is needed to sign in.";
    let parameters = json!([
        query("version", "The version of the specification: 3.0.3 unless given.", text(json!(["3.0", "3.1"]))),
        query("collections", collections, json!({"type": "string"})),
        query("for", "Only what the caller may do, and only the fields that it may ever read or write.", text(json!(["caller"]))),
    ]);
    let answer = json!({"description": "The document.", "content": {"application/json": {"schema": {"type": "object"}}}});
    let responses = json!({"200": answer, "304": {"description": "The document is still the one that `If-None-Match` names."}, "401": {"description": ""}});
    json!({"get": {"operationId": "system_document", "summary": "Read this document.", "parameters": parameters, "responses": responses}})
}

fn normalise_paths(paths: &mut Object, types: &Object) -> Result<(), Error> {
    let mut ids = HashSet::new();
    for (path, item) in paths {
        let Some(item) = item.as_object_mut() else { continue };
        for (method, operation) in item.iter_mut().filter(|(method, _)| METHODS.contains(&method.as_str())) {
            let Some(operation) = operation.as_object_mut() else { continue };
            let id = operation_id(operation, method, path);
            if !ids.insert(id.clone()) {
                return Err(Error::custom(format_args!("the operation id `{id}` stands twice")));
            }
            operation.insert("operationId".to_owned(), id.into());
            normalise_operation(operation, method, path, types);
        }
    }
    Ok(())
}

/// Camel case: the ids of collections, such as `orders_list`, have an underscore.
fn operation_id(operation: &Object, method: &str, path: &str) -> String {
    let given = operation.get("operationId").and_then(Value::as_str).filter(|id| !id.is_empty());
    let words = given.map_or_else(|| format!("{method}/{}", path.trim_start_matches("/api")), str::to_owned);
    let mut id = String::new();
    for word in words.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let (first, others) = word.split_at(1);
        id.push_str(&if id.is_empty() { first.to_ascii_lowercase() } else { first.to_ascii_uppercase() });
        id.push_str(others);
    }
    id
}

fn normalise_operation(operation: &mut Object, method: &str, path: &str, types: &Object) {
    remove_blank_member(operation, "description");
    if let Some(samples) = operation.remove("x-code-samples") {
        operation.insert("x-codeSamples".to_owned(), samples);
    }
    let part = path.trim_start_matches("/api/").split('/').next().unwrap_or_default();
    let tag = if TAGS.iter().any(|(name, _)| *name == part) { part } else { SYSTEM };
    operation.insert("tags".to_owned(), json!([tag]));
    let public = PUBLIC_PATHS.contains(&path);
    operation.insert("security".to_owned(), if public { json!([]) } else { json!([{BEARER: []}]) });
    let mut parameters = operation.remove("parameters").unwrap_or_else(|| json!([]));
    let mut has_input = false;
    for parameter in parameters.as_array_mut().into_iter().flatten() {
        has_input = true;
        remove_blank(parameter, "description");
        normalise_schema_of(parameter, types);
    }
    let once = happens_once(method, path);
    if let Some(parameters) = parameters.as_array_mut().filter(|_| once) {
        parameters.push(shared::parameter("IdempotencyKey"));
    }
    operation.insert("parameters".to_owned(), parameters);
    let has_body = operation.contains_key("requestBody");
    if let Some(body) = operation.get_mut("requestBody") {
        remove_blank(body, "description");
        normalise_message(body, types);
    }
    let mut responses = take_object(operation, "responses");
    for (status, response) in &mut responses {
        normalise_response(status, response, types);
        if once && status.starts_with('2') {
            response["headers"]["Idempotency-Replayed"] = shared::header("IdempotencyReplayed");
        }
    }
    // A public operation with a body takes credentials, which can be wrong.
    let expected = [("400", has_input || has_body || once), ("401", !public || has_body), ("403", !public), ("404", path.contains('{'))];
    let of_body = ["409", "413", "415", "422"].map(|status| (status, has_body));
    let of_key = ["409", "422"].map(|status| (status, once));
    for (status, _) in expected
        .into_iter()
        .chain(of_body)
        .chain(of_key)
        .chain(shared::ALWAYS.map(|status| (status, true)))
        .filter(|(_, expected)| *expected)
    {
        if !responses.contains_key(status) {
            responses.extend(shared::error(status).map(|error| (status.to_owned(), error)));
        }
    }
    operation.insert("responses".to_owned(), responses.into());
}

/// True for what changes something and takes a key with which it happens once.
fn happens_once(method: &str, path: &str) -> bool {
    const PARTS: [&str; 7] = ["collections", "deliveries", "imports", "plugins", "policies", "roles", "rules"];
    const QUESTIONS: [&str; 2] = ["/api/policies/explain", "/api/policies/preview"];
    let part = path.trim_start_matches("/api/").split('/').next().unwrap_or_default();
    method != "get" && PARTS.contains(&part) && !QUESTIONS.contains(&path)
}

/// Whatever an endpoint says about its errors, the body is a problem.
fn normalise_response(status: &str, response: &mut Value, types: &Object) {
    let blank = is_blank(&response["description"]);
    if status.starts_with(['4', '5']) || status == "default" {
        match shared::error(status).filter(|_| blank) {
            Some(error) => *response = error,
            None => response["content"] = shared::problem(),
        }
    }
    if response.get("$ref").is_some() {
        return;
    }
    if is_blank(&response["description"]) {
        response["description"] = match status {
            "201" => "Created.".into(),
            "204" => "Done; the answer has no body.".into(),
            other if other.starts_with('2') => "Done.".into(),
            _ => "The request was refused.".into(),
        };
    }
    for header in response.get_mut("headers").and_then(Value::as_object_mut).into_iter().flat_map(|headers| headers.values_mut()) {
        remove_blank(header, "description");
        normalise_schema_of(header, types);
    }
    normalise_message(response, types);
}

/// A request body or a response: `application/json; charset=utf-8` is `application/json`.
fn normalise_message(message: &mut Value, types: &Object) {
    let Some(content) = message.get_mut("content").and_then(Value::as_object_mut) else { return };
    for (media_type, mut body) in std::mem::take(content) {
        normalise_schema_of(&mut body, types);
        let essence = media_type.split(';').next().unwrap_or_default().trim_end();
        content.insert(essence.to_owned(), body);
    }
}

fn normalise_schema_of(holder: &mut Value, types: &Object) {
    if let Some(schema) = holder.get_mut("schema") {
        normalise_schema(schema, types);
    }
}

fn normalise_schema(schema: &mut Value, types: &Object) {
    let Some(keywords) = schema.as_object_mut() else { return };
    remove_blank_member(keywords, "description");
    normalise_all_of(keywords);
    normalise_integer(keywords);
    normalise_nullable(keywords, types);
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(|schema| normalise_schema(schema, types)),
            ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => schemas.iter_mut().for_each(|schema| normalise_schema(schema, types)),
            ("items" | "additionalProperties" | "not", schema) => normalise_schema(schema, types),
            _ => {}
        }
    }
}

/// OpenAPI knows `int32` and `int64`; what else there is to say is a bound.
fn normalise_integer(keywords: &mut Object) {
    let (format, bounds) = match keywords.get("format").and_then(Value::as_str) {
        Some("int8") => ("int32", (Some(i64::from(i8::MIN)), Some(i64::from(i8::MAX)))),
        Some("int16") => ("int32", (Some(i64::from(i16::MIN)), Some(i64::from(i16::MAX)))),
        Some("uint8") => ("int32", (Some(0), Some(i64::from(u8::MAX)))),
        Some("uint16") => ("int32", (Some(0), Some(i64::from(u16::MAX)))),
        Some("uint32") => ("int64", (Some(0), Some(i64::from(u32::MAX)))),
        Some("uint64") => ("int64", (Some(0), None)),
        _ => return,
    };
    keywords.insert("format".to_owned(), format.into());
    for (keyword, bound) in [("minimum", bounds.0), ("maximum", bounds.1)] {
        if let (Some(bound), false) = (bound, keywords.contains_key(keyword)) {
            keywords.insert(keyword.to_owned(), bound.into());
        }
    }
}

/// A described reference comes as `allOf: [reference, {description}]`, and with the description beside it. Some generators take only objects
/// together, and a description is none.
fn normalise_all_of(keywords: &mut Object) {
    let Some(Value::Array(schemas)) = keywords.get_mut("allOf") else { return };
    let says_nothing = |schema: &Value| schema.as_object().is_some_and(|schema| schema.keys().all(|keyword| keyword == "description"));
    if schemas.iter().any(|schema| schema.get("$ref").is_some()) {
        schemas.retain(|schema| !says_nothing(schema));
    }
}

/// A nullable reference comes as `allOf: [reference, {nullable}]` with no type, without which `nullable` says nothing.
fn normalise_nullable(keywords: &mut Object, types: &Object) {
    let untyped = keywords.get("nullable").is_some_and(|nullable| *nullable == true) && !keywords.contains_key("type");
    let Some(Value::Array(schemas)) = keywords.get_mut("allOf").filter(|_| untyped) else { return };
    schemas.retain(|schema| schema.get("$ref").is_some());
    let name = schemas.first().and_then(component).and_then(|name| types.get(name)).and_then(|schema| schema["type"].as_str());
    let name = name.unwrap_or("object").to_owned();
    keywords.insert("type".to_owned(), name.into());
}

/// Two API structs with one path make poem-openapi write its key twice, and parsers keep the last one only.
fn refuse_repeated_paths(text: &str) -> Result<(), Error> {
    #[derive(serde::Deserialize)]
    struct Root<'a> {
        #[serde(borrow)]
        paths: &'a RawValue,
    }
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = ();

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object of paths")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut seen = HashSet::new();
            while let Some((path, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                if seen.contains(&path) {
                    return Err(A::Error::custom(format_args!("the path `{path}` is declared by two API structs")));
                }
                seen.insert(path);
            }
            Ok(())
        }
    }
    let root: Root = serde_json::from_str(text)?;
    serde_json::Deserializer::from_str(root.paths.get()).deserialize_map(Keys)
}

fn refuse_reserved_schemas(schemas: &Object) -> Result<(), Error> {
    match schemas.keys().find(|name| SUFFIXES.iter().any(|suffix| name.ends_with(suffix))) {
        Some(name) => Err(Error::custom(format_args!("the schema `{name}` ends as those of collections do; give it another name"))),
        None => Ok(()),
    }
}

fn component(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

fn take_object(parent: &mut Object, name: &str) -> Object {
    match parent.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

fn is_blank(value: &Value) -> bool {
    value.as_str().is_none_or(|text| text.trim().is_empty())
}

fn remove_blank(value: &mut Value, name: &str) {
    if let Some(object) = value.as_object_mut() {
        remove_blank_member(object, name);
    }
}

fn remove_blank_member(object: &mut Object, name: &str) {
    if object.get(name).is_some_and(is_blank) {
        object.remove(name);
    }
}
