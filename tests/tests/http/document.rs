//! `/openapi.json` and `/docs`: the document is true. Every operation in it is called - without rights, with nonsense - and its
//! collections come and go with it.

mod callers;

mod examples;

mod slices;

mod versions;

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};
use tests::{Answer, Client, Method, TestApp};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// What anybody may do on a fresh server: the only operations that may succeed without rights.
const PUBLIC: [&str; 9] = [
    "get /livez",
    "get /readyz",
    "get /openapi.json",
    "get /docs",
    "get /api/version",
    // Public, but an empty body is not enough for them.
    "post /api/auth/register",
    "post /api/auth/login",
    "post /api/auth/refresh",
    "post /api/setup",
];

/// One operation of the document.
struct Operation {
    name: String,
    method: Method,
    /// With something in the place of each parameter.
    path: String,
    has_body: bool,
    has_json_body: bool,
    parameters: Vec<Value>,
    node: Value,
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap_or_else(|| panic!("no paths: {document}"));
    let mut operations = Vec::new();
    for (path, item) in paths {
        for method in METHODS.into_iter().filter(|method| item.get(method).is_some()) {
            let node = item[method].clone();
            let body = resolve(document, &node["requestBody"]);
            operations.push(Operation {
                name: format!("{method} {path}"),
                method: method.to_uppercase().parse().expect("a method"),
                path: filled(path),
                has_body: body.is_object(),
                has_json_body: body["content"]["application/json"].is_object(),
                parameters: [item, &node].into_iter().flat_map(|holder| parameters(document, holder)).collect(),
                node,
            });
        }
    }
    operations
}

/// The parameters of a path or an operation, wherever they are defined.
fn parameters(document: &Value, holder: &Value) -> Vec<Value> {
    let declared = holder["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    declared.iter().map(|parameter| resolve(document, parameter).clone()).collect()
}

fn filled(path: &str) -> String {
    let replace = |part: &str| match part {
        "{principal}" => "user:01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
        "{role}" => "editor".to_owned(),
        "{collection}" => "things".to_owned(),
        "{name}" => "things".to_owned(),
        part if part.starts_with('{') => "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
        part => part.to_owned(),
    };
    path.split('/').map(replace).collect::<Vec<_>>().join("/")
}

async fn document(client: &Client) -> Value {
    client.get("/openapi.json").await.json(200)
}

/// A server with a collection of every sort, and its admin.
async fn things() -> (TestApp, Client) {
    things_on(TestApp::start().await).await
}

async fn things_on(app: TestApp) -> (TestApp, Client) {
    let admin = app.admin().await;
    let fields = json!([
        {"name": "title", "type": "text", "required": true},
        {"name": "price", "type": "decimal"},
        {"name": "owner", "type": "relation", "collection": "users"},
        {"name": "secret", "type": "text", "hidden": true}
    ]);
    admin.collection("things", fields).await;
    (app, admin)
}

async fn call(client: &Client, operation: &Operation, kind: &str, body: &str) -> Answer {
    let request = client.request(operation.method.clone(), &operation.path);
    if operation.has_body { request.body(kind, body.to_owned()).send().await } else { request.send().await }
}

#[tokio::test]
async fn the_document_names_what_the_contract_names() {
    let (_app, admin) = things().await;
    let found: BTreeSet<String> = operations(&document(&admin).await).into_iter().map(|operation| operation.name).collect();
    let wanted = [
        "post /api/auth/register",
        "post /api/auth/login",
        "post /api/auth/refresh",
        "post /api/auth/logout",
        "get /api/auth/me",
        "get /api/collections",
        "post /api/collections",
        "get /api/collections/{name}",
        "patch /api/collections/{name}",
        "get /api/collections/{name}/alterations",
        "delete /api/collections/{name}",
        "get /api/policies",
        "post /api/policies",
        "delete /api/policies/{id}",
        "get /api/roles",
        "put /api/roles/{role}/members/{principal}",
        "delete /api/roles/{role}/members/{principal}",
        "get /api/plugins",
        "post /api/plugins",
        "delete /api/plugins/{name}",
        "get /api/records/things",
        "get /api/records/things/aggregate",
        "get /api/records/things/export",
        "post /api/records/things/import",
        "post /api/records/things",
        "patch /api/records/things",
        "delete /api/records/things",
        "post /api/batch",
        "get /api/records/things/{id}",
        "patch /api/records/things/{id}",
        "put /api/records/things/{id}",
        "delete /api/records/things/{id}",
        "get /api/records/users",
        "get /api/version",
    ];
    for name in wanted {
        assert!(found.contains(name), "`{name}` is not in the document: {found:?}");
    }
}

#[tokio::test]
async fn every_operation_is_closed_without_rights() {
    let (app, _admin) = things().await;
    let nobody = app.anonymous();
    for operation in operations(&document(&nobody).await) {
        let answer = call(&nobody, &operation, "application/json", "{}").await;
        assert!(answer.status < 500, "{answer}");
        if !PUBLIC.contains(&operation.name.as_str()) {
            refused(&operation, answer, 401, "auth.required");
        }
    }
}

#[tokio::test]
async fn every_operation_is_closed_to_a_plain_user() {
    let (app, _admin) = things().await;
    let ann = app.user("ann").await;
    // Everybody has imports of its own.
    let own = ["get /api/auth/me", "post /api/auth/logout", "get /api/imports", "get /api/imports/{id}", "delete /api/imports/{id}"];
    for operation in operations(&document(&ann).await) {
        if PUBLIC.contains(&operation.name.as_str()) || own.contains(&operation.name.as_str()) {
            continue;
        }
        let kind = if operation.has_json_body { "application/json" } else { "application/wasm" };
        refused(&operation, call(&ann, &operation, kind, "{}").await, 403, "policy.denied");
    }
}

/// A refusal for lack of rights. An empty body that can be no policy, collection or plugin may be refused for that.
fn refused(operation: &Operation, answer: Answer, status: u16, code: &str) {
    let parsed_first = operation.has_body && !operation.path.starts_with("/api/records/");
    if parsed_first && [400, 415, 422].contains(&answer.status) {
        answer.any_problem();
    } else {
        answer.problem(status, code);
    }
}

#[tokio::test]
async fn every_operation_refuses_a_wrong_token() {
    let (app, _admin) = things().await;
    let liar = app.anonymous().with_token("nope");
    for operation in operations(&document(&app.anonymous()).await) {
        let answer = call(&liar, &operation, "application/json", "{}").await;
        if !PUBLIC.contains(&operation.name.as_str()) {
            answer.problem(401, "auth.invalid_token");
        }
    }
}

#[tokio::test]
async fn every_operation_refuses_nonsense_and_does_nothing() {
    let (_app, admin) = things().await;
    let before = document(&admin).await;
    // A logout ends the session whatever it is sent.
    let takes_json = |operation: &Operation| operation.has_json_body && operation.name != "post /api/auth/logout";
    for operation in operations(&before).into_iter().filter(takes_json) {
        for body in ["", "{", "nope", "{\"a\":1,\"a\":1}", "{\"a\":\u{0}}"] {
            call(&admin, &operation, "application/json", body).await.problem(400, "body.malformed");
        }
        for body in ["[]", "\"text\"", "7", "null"] {
            let problem = call(&admin, &operation, "application/json", body).await.any_problem();
            assert!([400, 422].contains(&problem.answer.status), "{}", problem.answer);
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
            call(&admin, &operation, kind, "{}").await.problem(415, "body.unsupported_type");
        }
    }
    assert_eq!(document(&admin).await, before);
    admin.get("/api/auth/me").await.expect(200);
}

#[tokio::test]
async fn every_query_parameter_of_a_list_is_checked() {
    let (_app, admin) = things().await;
    let lists = ["get /api/records/things", "get /api/records/users", "get /api/records/things/aggregate"];
    for operation in operations(&document(&admin).await).into_iter().filter(|operation| lists.contains(&operation.name.as_str())) {
        let query = operation.parameters.iter().filter(|parameter| parameter["in"] == "query");
        let names: Vec<&str> = query.filter_map(|parameter| parameter["name"].as_str()).collect();
        assert!(names.len() >= 7, "{names:?}");
        for name in names {
            let path = format!("{}?{name}=%00nonsense%20of%20no%20kind", operation.path);
            admin.get(&path).await.problem(400, "query.invalid").at(&format!("/{name}"));
        }
    }
}

#[tokio::test]
async fn the_document_is_sound() {
    let (_app, admin) = things().await;
    let answer = admin.get("/openapi.json").await.expect(200);
    assert!(answer.expect_header("content-type").starts_with("application/json"), "{answer}");
    let document = &answer.json;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{}", document["openapi"]);
    let mut ids = HashSet::new();
    for operation in operations(document) {
        let id = operation.node["operationId"].as_str().unwrap_or_else(|| panic!("`{}` has no operationId", operation.name));
        assert!(ids.insert(id.to_owned()), "two operations are called `{id}`");
        let answers = operation.node["responses"].as_object().expect("responses");
        assert!(answers.keys().any(|status| status.starts_with('2')), "`{}` never succeeds", operation.name);
        let errors = answers.iter().filter(|(status, _)| status.starts_with(['4', '5']) || *status == "default");
        assert!(errors.count() > 0, "`{}` never fails", operation.name);
        check_parameters(&operation);
    }
    let mut references = Vec::new();
    collect_references(document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("`{reference}` leads outside"));
        assert!(document.pointer(pointer).is_some(), "`{reference}` leads nowhere");
    }
    assert!(document["servers"][0]["url"].as_str().is_some_and(|url| url.starts_with("http")), "{}", document["servers"]);
}

/// What stands in braces in a path is a parameter, and the other way round.
fn check_parameters(operation: &Operation) {
    let path = operation.name.split(' ').nth(1).unwrap_or_default();
    let braces: BTreeSet<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    let declared: BTreeSet<&str> =
        operation.parameters.iter().filter(|one| one["in"] == "path").filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(braces, declared, "`{}`", operation.name);
}

fn collect_references<'a>(node: &'a Value, found: &mut Vec<&'a str>) {
    match node {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| collect_references(member, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect_references(element, found)),
        _ => {}
    }
}

#[tokio::test]
async fn no_key_of_the_document_stands_twice() {
    let (_app, admin) = things().await;
    let text = admin.get("/openapi.json").await.expect(200).text;
    let parsed: Value = serde_json::from_str(&text).expect("JSON");
    // A parser keeps the last of two equal keys, so what was lost shows in the number of keys.
    let count = |value: &Value| -> usize {
        fn keys(value: &Value) -> usize {
            match value {
                Value::Object(members) => members.len() + members.values().map(keys).sum::<usize>(),
                Value::Array(elements) => elements.iter().map(keys).sum(),
                _ => 0,
            }
        }
        keys(value)
    };
    assert_eq!(count(&parsed), keys_in_text(&text), "a key stands twice");
}

/// How many `"...":` there are outside of texts.
fn keys_in_text(text: &str) -> usize {
    let (mut keys, mut in_text, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match (in_text, byte) {
            _ if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b':') => keys += 1,
            _ => {}
        }
    }
    keys
}

/// The schema that a `$ref` leads to, if it is one.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap_or_else(|| panic!("`{reference}` leads nowhere")),
        None => schema,
    }
}

/// The schema of one record where an array of them may stand as well.
fn one<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = schema["oneOf"].get(0).unwrap_or(schema);
    let schema = if schema["type"] == "array" { &schema["items"] } else { schema };
    resolve(document, schema)
}

/// The names of the properties in the body of a request.
fn request_properties(document: &Value, path: &str, method: &str) -> BTreeSet<String> {
    let body = &document["paths"][path][method]["requestBody"];
    let schema = one(document, &resolve(document, body)["content"]["application/json"]["schema"]);
    schema["properties"].as_object().unwrap_or_else(|| panic!("no properties: {schema}")).keys().cloned().collect()
}

/// The names of the properties in the body of a successful answer.
fn response_properties(document: &Value, path: &str, method: &str, status: &str) -> BTreeSet<String> {
    let answer = resolve(document, &document["paths"][path][method]["responses"][status]);
    let schema = one(document, &answer["content"]["application/json"]["schema"]);
    schema["properties"].as_object().unwrap_or_else(|| panic!("no properties: {schema}")).keys().cloned().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn a_collection_has_typed_paths_and_hides_its_secrets() {
    let (_app, admin) = things().await;
    let document = document(&admin).await;
    let all = "/api/records/things";
    let one = "/api/records/things/{id}";
    let shown = set(&["id", "created", "updated", "expand", "title", "price", "owner"]);
    for (path, method, status) in
        [(all, "get", "200"), (all, "post", "201"), (one, "get", "200"), (one, "patch", "200"), (one, "put", "200"), (one, "delete", "200")]
    {
        assert_eq!(response_properties(&document, path, method, status), shown, "{method} {path}");
    }
    for (path, method) in [(all, "post"), (one, "patch"), (one, "put")] {
        let taken = request_properties(&document, path, method);
        assert!(taken.is_superset(&set(&["title", "price", "owner", "secret"])), "{method} {path}: {taken:?}");
    }
    let users = response_properties(&document, "/api/records/users/{id}", "get", "200");
    assert!(users.contains("email") && !users.contains("password"), "{users:?}");
    let parameters = parameters(&document, &document["paths"][all]["get"]);
    let names: BTreeSet<&str> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    for name in ["filter", "sort", "limit", "cursor", "offset", "fields", "count"] {
        assert!(names.contains(name), "`{name}` is not documented: {names:?}");
    }
}

#[tokio::test]
async fn the_document_follows_its_collections_at_once() {
    let (app, admin) = things().await;
    let nobody = app.anonymous();
    let path = "/api/records/posts";
    assert!(document(&nobody).await["paths"].get(path).is_none());

    admin.collection("posts", json!([{"name": "title", "type": "text"}])).await;
    let created = document(&nobody).await;
    assert!(response_properties(&created, path, "get", "200").contains("title"));

    let fields = json!([{"name": "title", "type": "text"}, {"name": "body", "type": "text"}]);
    admin.patch("/api/collections/posts", json!({"fields": fields})).await.expect(200);
    let altered = document(&nobody).await;
    assert!(response_properties(&altered, path, "get", "200").contains("body"));
    assert!(request_properties(&altered, path, "post").contains("body"));

    assert!(admin.delete("/api/collections/posts").await.is_success());
    let dropped = app.anonymous().get("/openapi.json").await.expect(200);
    assert!(dropped.json["paths"].get(path).is_none() && !dropped.text.contains("Posts"), "something of `posts` is left");
    assert!(dropped.json["paths"].get("/api/records/things").is_some());
}

#[tokio::test]
async fn an_unchanged_document_is_not_sent_twice() {
    let (app, admin) = things().await;
    let first = app.anonymous().get("/openapi.json").await.expect(200);
    let tag = first.expect_header("etag").to_owned();
    let again = async || app.anonymous().request(Method::GET, "/openapi.json").header("if-none-match", &tag).send().await;
    assert_eq!(again().await.status, 304);
    admin.collection("posts", json!([])).await;
    let changed = again().await.expect(200);
    assert_ne!(changed.expect_header("etag"), tag);
}

#[tokio::test]
async fn descriptions_cannot_break_out_of_the_document() {
    let (app, admin) = things().await;
    let evil = "</script><script>alert(1)</script> \" \\ \u{2028}";
    let definition = json!({"name": "posts", "fields": [{"name": "title", "type": "text", "description": evil}], "description": evil});
    admin.post("/api/collections", definition).await.expect(201);
    let document = admin.get("/openapi.json").await.expect(200);
    assert!(document.json.to_string().contains("alert(1)"));
    assert!(!document.text.contains("</script"), "a page that holds the document would be broken out of");
    let page = explorer(&app).await;
    assert!(!page.text.contains("alert(1)"), "{page}");
}

/// The page of the explorer, wherever `/docs` leads.
async fn explorer(app: &TestApp) -> Answer {
    app.anonymous().get("/docs").await.expect(200)
}

#[tokio::test]
async fn the_explorer_works_without_the_internet() {
    let (app, _admin) = things().await;
    let page = explorer(&app).await;
    assert!(page.expect_header("content-type").starts_with("text/html"), "{page}");
    let policy = page.expect_header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe-eval"), "{policy}");
    let mut files = 0;
    for attribute in page.text.split(['"', '\'']).filter(|text| text.ends_with(".js") || text.ends_with(".css")) {
        assert!(!attribute.contains("//"), "`{attribute}` is not served here");
        let path = if attribute.starts_with('/') { attribute.to_owned() } else { format!("/docs/{}", attribute.trim_start_matches("./")) };
        let file = app.anonymous().get(&path.replace("/docs/docs/", "/docs/")).await.expect(200);
        assert!(file.text.len() > 10, "{path} is empty");
        files += 1;
    }
    assert!(files >= 2, "no scripts and styles: {page}");
}

#[tokio::test]
async fn the_command_prints_the_same_document() {
    let (mut app, admin) = things_on(TestApp::on_disk().await).await;
    let served = document(&admin).await;
    assert!(app.stop().success());
    let printed = tests::run(["openapi", "--data-dir", &app.data_dir()]);
    assert!(printed.status.success(), "{printed:?}");
    let printed: Value = serde_json::from_slice(&printed.stdout).expect("the document is JSON");
    assert_eq!(printed["paths"], served["paths"]);
    assert_eq!(printed["components"], served["components"]);
    assert!(printed["servers"][0]["url"].as_str().is_some_and(|url| url.starts_with("http://")), "{}", printed["servers"]);
}
