//! The paths of a collection, with their operations.

mod aggregate;

use model::{Collection, FieldType};
use serde_json::{Value, json};

use super::{
    Object,
    audience::Sight,
    examples,
    fields::Place,
    schema_ref,
    schemas::{self, Schemas},
    shared::{self, BEARER},
};

/// What writing a body can end with, beside what every request can: a plugin that breaks is a 500.
const BODY_ERRORS: [&str; 5] = ["409", "413", "415", "422", "500"];

/// The paths of a collection by name.
pub(super) fn of(sight: &Sight, tag: &str) -> Object {
    let collection = &sight.askable;
    let describe = Describe { collection, sight, tag, schemas: schemas::names(sight) };
    let many = json!({"get": describe.list(), "post": describe.create()});
    let one = json!({
        "get": describe.get(),
        "patch": describe.update(),
        "put": describe.replace(),
        "delete": describe.delete(),
    });
    let aggregate = aggregate::path(collection, tag, describe.filter());
    let path = format!("/api/records/{}", collection.name());
    Object::from_iter([(format!("{path}/{{id}}"), one), (format!("{path}/aggregate"), aggregate), (path, many)])
}

struct Describe<'a> {
    /// With the fields that can be asked for.
    collection: &'a Collection,
    sight: &'a Sight,
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

    fn create(&self) -> Value {
        let mut answer = answer("The new record.", schema_ref(&self.schemas.record));
        answer["headers"] = json!({"ETag": shared::header("ETag"), "Location": shared::header("Location")});
        let description = "Plugins may fill in, change or refuse what was sent. The answer has what the caller may read of it.";
        let mut operation = self.operation("create", &format!("Create a record of {}", self.collection.name()), description);
        operation["requestBody"] = body(&self.schemas.create, examples::draft(&self.sight.creatable, Place::Create));
        operation["responses"] = responses("201", answer, &BODY_ERRORS);
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

    fn update(&self) -> Value {
        let description = "A JSON merge patch (RFC 7396): fields that are absent stay, `null` empties a field.";
        let mut operation = self.operation("update", &format!("Change a record of {}", self.collection.name()), description);
        operation["parameters"] = json!([shared::parameter("RecordId"), shared::parameter("IfMatch")]);
        operation["requestBody"] = body(&self.schemas.update, examples::draft(&self.sight.updatable, Place::Update));
        operation["responses"] = responses("200", self.record("The changed record."), &[&["404", "412"], &BODY_ERRORS[..]].concat());
        operation
    }

    fn replace(&self) -> Value {
        let description = "Fields that are absent get their default or become `null`; secrets and fields that cannot be changed stay.";
        let mut operation = self.operation("replace", &format!("Replace a record of {}", self.collection.name()), description);
        operation["parameters"] = json!([shared::parameter("RecordId"), shared::parameter("IfMatch")]);
        operation["requestBody"] = body(&self.schemas.replace, examples::draft(&self.sight.updatable, Place::Replace));
        operation["responses"] =
            responses("200", self.record("The new version of the record."), &[&["404", "412"], &BODY_ERRORS[..]].concat());
        operation
    }

    fn delete(&self) -> Value {
        let description = "Records that point here are deleted, changed or in the way, as their relations say.";
        let mut operation = self.operation("delete", &format!("Delete a record of {}", self.collection.name()), description);
        operation["parameters"] = json!([shared::parameter("RecordId"), shared::parameter("IfMatch")]);
        operation["responses"] = responses("200", self.record("The record as it was."), &["404", "409", "412", "422", "500"]);
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
        let names = names_of(&self.sight.readable, &self.sight.system_fields, |_, _| true);
        query("fields", &format!("Only these fields (and always `id`), separated by commas. Fields: {names}."))
    }

    /// The fields that a list can be asked about, for people.
    fn named(&self, wanted: impl Fn(FieldType, bool) -> bool) -> String {
        names_of(self.collection, &self.sight.system_fields, wanted)
    }
}

fn names_of(collection: &Collection, system_fields: &[&str], wanted: impl Fn(FieldType, bool) -> bool) -> String {
    let readable = collection.fields().filter(|field| !field.is_secret() && wanted(field.kind, field.many));
    let (first, last) = system_fields.split_at(1.min(system_fields.len()));
    let names = first.iter().copied().chain(readable.map(|field| field.name.as_str())).chain(last.iter().copied());
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn query(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "required": false, "description": description, "schema": {"type": "string"}})
}

fn body(schema: &str, example: Option<Value>) -> Value {
    let mut content = json!({"schema": schema_ref(schema)});
    if let Some(example) = example {
        content["example"] = example;
    }
    json!({"required": true, "content": {"application/json": content}})
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
