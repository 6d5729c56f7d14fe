//! The endpoints of plugins, with the schemas that their manifests declare, as far as OpenAPI 3.0 has words for them.

use std::collections::BTreeMap;

use plugins::{Access, Method};
use serde_json::{Value, json};

use super::{
    Object, json_schema,
    shared::{self, BEARER},
};
use crate::endpoints::Described;

/// What every endpoint can end with, beside what its rule answers: a refusal of the rule, a conflict, a plugin that breaks.
const ERRORS: [&str; 6] = ["400", "401", "403", "409", "422", "500"];

/// The paths of all endpoints.
pub(super) fn paths(endpoints: &[&Described<'_>]) -> Object {
    let mut paths: BTreeMap<String, (String, Object)> = BTreeMap::new();
    for &endpoint in endpoints {
        // Paths that differ in the names of their parameters only are one path; the first that declares it names them.
        let shape = format!("{}{}", prefix(endpoint), endpoint.template.named(|number| number.to_string()));
        let path = || format!("{}{}", prefix(endpoint), endpoint.rule.path.as_deref().unwrap_or("/"));
        let (path, operations) = paths.entry(shape).or_insert_with(|| (path(), Object::new()));
        let Some(method) = endpoint.rule.method else { continue };
        operations.insert(method.as_str().to_lowercase(), operation(endpoint, method, path));
    }
    paths.into_values().map(|(path, operations)| (path, operations.into())).collect()
}

/// A tag for every plugin that has endpoints.
pub(super) fn tags(endpoints: &[&Described<'_>]) -> Vec<Value> {
    let tags: BTreeMap<String, String> = endpoints.iter().map(|&endpoint| (tag(endpoint), description(endpoint))).collect();
    tags.into_iter().map(|(name, description)| json!({"name": name, "description": description})).collect()
}

fn prefix(endpoint: &Described<'_>) -> String {
    format!("/api/ext/{}", endpoint.plugin)
}

fn tag(endpoint: &Described<'_>) -> String {
    format!("ext: {}", endpoint.plugin)
}

fn description(endpoint: &Described<'_>) -> String {
    format!("Endpoints of the plugin `{}`, version {}.", endpoint.plugin, endpoint.version)
}

fn operation(endpoint: &Described<'_>, method: Method, path: &str) -> Value {
    let rule = endpoint.rule;
    let summary = rule.summary.clone().unwrap_or_else(|| format!("Rule `{}` of the plugin `{}`", rule.name, endpoint.plugin));
    let mut operation = json!({
        // No name of a collection or of an operation of the server has a dot.
        "operationId": format!("ext.{}.{}", endpoint.plugin, rule.name),
        "tags": [tag(endpoint)],
        "summary": summary,
        // A token that is wrong is refused even where none is needed.
        "security": match rule.access {
            Access::Users => json!([{BEARER: []}]),
            Access::Anyone => json!([{}, {BEARER: []}]),
        },
        "responses": responses(endpoint, method, path),
    });
    let parameters: Vec<Value> = names(path).map(parameter).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if takes_body(method) {
        let schema = rule.request.as_ref().and_then(translated);
        operation["requestBody"] =
            json!({"required": schema.is_some(), "content": {"application/json": {"schema": schema.unwrap_or_default()}}});
    }
    operation
}

/// The names in braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
}

/// A body of GET and DELETE has no meaning (RFC 9110), though rules see one.
fn takes_body(method: Method) -> bool {
    matches!(method, Method::Post | Method::Put | Method::Patch)
}

fn responses(endpoint: &Described<'_>, method: Method, path: &str) -> Value {
    let schema = endpoint.rule.response.as_ref().and_then(translated);
    let good = match schema {
        Some(schema) => ("200", json!({"description": "What the rule answers.", "content": {"application/json": {"schema": schema}}})),
        None => ("2XX", json!({"description": "What the rule answers."})),
    };
    let of_path = names(path).next().map(|_| "404");
    let of_body = takes_body(method).then_some("413");
    let errors = ERRORS.into_iter().chain(of_path).chain(of_body).chain(shared::ALWAYS);
    let errors = errors.filter_map(|status| Some((status.to_owned(), shared::error(status)?)));
    Object::from_iter([(good.0.to_owned(), good.1)].into_iter().chain(errors)).into()
}

/// A schema in the words of OpenAPI 3.0; none for one that it has no words for.
fn translated(schema: &Value) -> Option<Object> {
    let schema = model::Value::from_json(schema.to_string().as_bytes()).ok()?;
    matches!(schema, model::Value::Object(_)).then(|| json_schema::translate(&schema))?
}
