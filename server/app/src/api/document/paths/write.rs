//! The operations of a collection that write: creating, changing, replacing and deleting, one record or several.

use serde_json::{Value, json};

use super::{Describe, answer, query, responses, schema_ref, shared};
use crate::api::document::{examples, fields::Place};

/// What writing a body can end with, beside what every request can: a plugin that breaks is a 500.
pub(super) const BODY_ERRORS: [&str; 5] = ["409", "413", "415", "422", "500"];

impl Describe<'_> {
    pub(super) fn create(&self) -> Value {
        // The array is no alternative in the schemas: builders read no unions in bodies, and every typed client would have to ask each
        // answer which of the two it is.
        let description = "Plugins may fill in, change or refuse what was sent; the answer has what the caller may read of it. With `upsert` the \
                           record that is there is changed as by PATCH (200), else created (201). An array of up to 1,000 such objects writes all \
                           of them or none and has an array as its answer; the pointers of its errors begin with the position, as `/3/title`.";
        let mut operation = self.operation("create", &format!("Create a record of {}", self.collection.name()), description);
        operation["parameters"] = json!([
            query("upsert", &self.upsert()),
            shared::parameter("IfMatch"),
            shared::parameter("IfAbsent"),
            shared::parameter("IdempotencyKey"),
        ]);
        operation["requestBody"] = body(&schema_ref(&self.schemas.create), examples::draft(&self.sight.creatable, Place::Create));
        let headers = json!({
            "ETag": shared::header("ETag"),
            "Location": shared::header("Location"),
            "Idempotency-Replayed": shared::header("IdempotencyReplayed"),
        });
        let record = schema_ref(&self.schemas.record);
        let (mut created, mut changed) = (answer("The new record.", record.clone()), answer("The changed record.", record));
        created["headers"] = headers.clone();
        changed["headers"] = headers;
        operation["responses"] = responses("201", created, &[&["404", "412"], &BODY_ERRORS[..]].concat());
        operation["responses"]["200"] = changed;
        operation
    }

    fn upsert(&self) -> String {
        let unique = self.collection.indexes().into_iter().filter(|index| index.unique).map(|index| index.fields);
        let readable = |fields: &Vec<String>| fields.iter().all(|name| self.collection.field(name).is_some_and(|field| !field.is_secret()));
        let keys = std::iter::once("id".to_owned()).chain(unique.filter(readable).map(|fields| fields.join(",")));
        let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
        format!("Change the record that has the same value here, if there is one: {}. The body must have it.", keys.join(", "))
    }

    pub(super) fn update(&self) -> Value {
        let description = format!(
            "A JSON merge patch (RFC 7396): fields that are absent stay, `null` empties a field.{}",
            self.modifiers().map_or_else(String::new, |text| format!(" {text}"))
        );
        let mut operation = self.operation("update", &format!("Change a record of {}", self.collection.name()), &description);
        operation["parameters"] = json!([
            shared::parameter("RecordId"),
            shared::parameter("IfMatch"),
            shared::parameter("IfAbsent"),
            shared::parameter("IdempotencyKey")
        ]);
        operation["requestBody"] = body(&schema_ref(&self.schemas.update), examples::draft(&self.sight.updatable, Place::Update));
        operation["responses"] = responses("200", self.written("The changed record."), &[&["404", "412"], &BODY_ERRORS[..]].concat());
        operation
    }

    /// Not members of the schema: some generators cannot tell names apart that differ in signs only.
    fn modifiers(&self) -> Option<String> {
        let open = || self.sight.updatable.fields().filter(|field| !field.is_secret() && !field.immutable);
        let names = |wanted: fn(&model::Field) -> bool| {
            let names: Vec<String> = open().filter(|field| wanted(field)).map(|field| format!("`{}`", field.name)).collect();
            names.join(", ")
        };
        let numbers = names(|field| field.kind.is_number());
        let lists = names(|field| field.many || field.kind == model::FieldType::Json);
        let mut sentences = Vec::new();
        if !numbers.is_empty() {
            sentences
                .push(format!("A name with `+` or `-` behind it adds to a number or takes from it, in place of the field: {numbers}."));
        }
        if !lists.is_empty() {
            sentences.push(format!("It adds one value or an array of them to a list, or takes them out: {lists}."));
        }
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }

    pub(super) fn replace(&self) -> Value {
        let description = "Fields that are absent get their default or become `null`; secrets and fields that cannot be changed stay. With \
                           `If-None-Match: *` the record is created, under this id.";
        let mut operation = self.operation("replace", &format!("Replace a record of {}", self.collection.name()), description);
        operation["parameters"] = json!([
            shared::parameter("RecordId"),
            shared::parameter("IfMatch"),
            shared::parameter("IfAbsent"),
            shared::parameter("IdempotencyKey")
        ]);
        operation["requestBody"] = body(&schema_ref(&self.schemas.replace), examples::draft(&self.sight.updatable, Place::Replace));
        let errors = [&["404", "412"], &BODY_ERRORS[..]].concat();
        operation["responses"] = responses("200", self.written("The new version of the record."), &errors);
        operation["responses"]["201"] = self.written("The new record.");
        operation["responses"]["201"]["headers"]["Location"] = shared::header("Location");
        operation
    }

    pub(super) fn delete(&self) -> Value {
        let description = "Records that point here are deleted, changed or in the way, as their relations say.";
        let mut operation = self.operation("delete", &format!("Delete a record of {}", self.collection.name()), description);
        operation["parameters"] = json!([
            shared::parameter("RecordId"),
            shared::parameter("IfMatch"),
            shared::parameter("IfAbsent"),
            shared::parameter("IdempotencyKey")
        ]);
        operation["responses"] = responses("200", self.written("The record as it was."), &["404", "409", "412", "422", "500"]);
        operation
    }

    fn written(&self, description: &str) -> Value {
        let mut answer = self.record(description);
        answer["headers"]["Idempotency-Replayed"] = shared::header("IdempotencyReplayed");
        answer
    }
}

pub(super) fn body(schema: &Value, example: Option<Value>) -> Value {
    let mut content = json!({"schema": schema});
    if let Some(example) = example {
        content["example"] = example;
    }
    json!({"required": true, "content": {"application/json": content}})
}
