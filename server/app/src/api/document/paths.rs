//! The paths of a collection, with their operations.

mod aggregate;

mod transfer;

mod write;

mod bulk;

pub(super) mod batch;

use model::{Collection, FieldType};
use serde_json::{Value, json};

use super::{
    Object, schema_ref,
    schemas::{self, Schemas},
    shared::{self, BEARER},
};

/// The paths of a collection by name.
pub(super) fn of(collection: &Collection, tag: &str) -> Object {
    let describe = Describe { collection, tag, schemas: schemas::names(collection) };
    let many = json!({
        "get": describe.list(),
        "post": describe.create(),
        "patch": describe.update_all(),
        "delete": describe.delete_all(),
    });
    let one = json!({
        "get": describe.get(),
        "patch": describe.update(),
        "put": describe.replace(),
        "delete": describe.delete(),
    });
    let aggregate = aggregate::path(collection, tag, describe.filter());
    let path = format!("/api/records/{}", collection.name());
    Object::from_iter([
        (format!("{path}/{{id}}"), one),
        (format!("{path}/aggregate"), aggregate),
        (format!("{path}/export"), transfer::export(&describe)),
        (format!("{path}/import"), transfer::import(&describe)),
        (path, many),
    ])
}

struct Describe<'a> {
    collection: &'a Collection,
    tag: &'a str,
    schemas: Schemas,
}

impl Describe<'_> {
    fn list(&self) -> Value {
        let name = self.collection.name();
        let mut answer = answer("A page of records.", json!({"type": "array", "items": schema_ref(&self.schemas.record)}));
        answer["headers"] = json!({
            "Link": shared::header("Link"),
            "X-Next-Cursor": shared::header("NextCursor"),
            "X-Total-Count": shared::header("TotalCount"),
            "Content-Range": shared::header("ContentRange"),
        });
        let description = "The records that the caller may read, a page at a time; newest first unless `sort` says otherwise.";
        let mut operation = self.operation("list", &format!("List records of {name}"), description);
        operation["parameters"] = json!([
            self.filter(),
            self.sort(),
            shared::parameter("Limit"),
            shared::parameter("Cursor"),
            shared::parameter("Offset"),
            self.fields(),
            shared::parameter("Count"),
        ]);
        operation["responses"] = responses("200", answer, &[]);
        operation
    }

    fn get(&self) -> Value {
        let description = "A record that the caller may not read is not found.";
        let mut operation = self.operation("get", &format!("Read a record of {}", self.collection.name()), description);
        operation["parameters"] = json!([shared::parameter("RecordId"), self.fields(), shared::parameter("IfNoneMatch")]);
        operation["responses"] = responses("200", self.record("The record."), &["404"]);
        operation["responses"]["304"] = json!({"description": "The record is still the one that `If-None-Match` names."});
        operation
    }

    /// What all operations have. Policies may let everybody in, so a token is never a must.
    fn operation(&self, verb: &str, summary: &str, description: &str) -> Value {
        json!({
            "operationId": format!("{}_{verb}", self.collection.name()),
            "tags": [self.tag],
            "summary": summary,
            "description": description,
            "security": [{BEARER: []}, {}],
        })
    }

    fn record(&self, description: &str) -> Value {
        let mut answer = answer(description, schema_ref(&self.schemas.record));
        answer["headers"] = json!({"ETag": shared::header("ETag")});
        answer
    }

    fn filter(&self) -> Value {
        let description = format!(
            "Only records for which this condition is true: `==`, `!=`, `<`, `<=`, `>`, `>=`, `in [...]`, `has(...)`, `.startsWith(...)`, \
             `.endsWith(...)` and `.contains(...)`, joined with `&&`, `||`, `!` and brackets, such as `created > \
             timestamp(\"2026-01-01T00:00:00Z\")`. `caller.id` is the calling user. Fields: {}.",
            self.named(|_, _| true)
        );
        query("filter", &description)
    }

    fn sort(&self) -> Value {
        let sortable = |kind: FieldType, many: bool| kind != FieldType::Json && !many;
        let description = format!(
            "Up to four fields, separated by commas, most significant first; `-` before a name turns the order round, such as `-created`. \
             Fields: {}.",
            self.named(sortable)
        );
        query("sort", &description)
    }

    fn fields(&self) -> Value {
        let description = format!("Only these fields (and always `id`), separated by commas. Fields: {}.", self.named(|_, _| true));
        query("fields", &description)
    }

    /// The readable fields that a parameter can name, for people.
    fn named(&self, wanted: impl Fn(FieldType, bool) -> bool) -> String {
        let readable = self.collection.fields().filter(|field| !field.is_secret() && wanted(field.kind, field.many));
        let names = readable.map(|field| field.name.as_str());
        let quoted: Vec<String> = ["id"].into_iter().chain(names).chain(["created", "updated"]).map(|name| format!("`{name}`")).collect();
        quoted.join(", ")
    }
}

fn query(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "required": false, "description": description, "schema": {"type": "string"}})
}

fn answer(description: &str, schema: Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

/// A good answer, the errors of every request and those of this one.
fn responses(status: &str, good: Value, errors: &[&str]) -> Value {
    let mut responses = Object::from_iter([(status.to_owned(), good)]);
    for status in ["400", "401", "403", "default"].iter().chain(errors) {
        responses.extend(shared::error(status).map(|error| ((*status).to_owned(), error)));
    }
    responses.into()
}
