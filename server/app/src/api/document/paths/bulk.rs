//! The operations on all records that a filter means.

use model::draft::RECORDS_MAX;
use serde_json::{Value, json};

use super::{
    Describe, answer, list, responses, schema_ref, shared,
    write::{BODY_ERRORS, body},
};
use crate::api::document::{Object, examples, fields::Place};

impl Describe<'_> {
    pub(super) fn update_all(&self) -> Value {
        let description = "The same JSON merge patch for every record that the filter means and the caller can read: all are changed, or none. \
                           Each goes through policies and plugins like a single one; a record that may not be changed ends it all, and the \
                           problem names it as `record`. More than `max` are 409, and nothing is written.";
        let mut operation = self.operation("update_all", &format!("Change records of {} by filter", self.collection.name()), description);
        operation["parameters"] = self.selection();
        operation["requestBody"] = body(&schema_ref(&self.schemas.update), examples::draft(&self.sight.updatable, Place::Update));
        operation["responses"] = responses("200", report(), &[&["404", "412"], &BODY_ERRORS[..]].concat());
        operation
    }

    pub(super) fn delete_all(&self) -> Value {
        let description = "Every record that the filter means and the caller can read, or none: see the change by filter. Records that point \
                           to them are deleted, changed or in the way, as their relations say.";
        let mut operation = self.operation("delete_all", &format!("Delete records of {} by filter", self.collection.name()), description);
        operation["parameters"] = self.selection();
        operation["responses"] = responses("200", report(), &["404", "409", "412", "413", "422", "500"]);
        operation
    }

    fn selection(&self) -> Value {
        let mut filter = list::filter(self.collection);
        filter["required"] = true.into();
        let number = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": RECORDS_MAX});
        let max = "How many records there may be at most.";
        let dry_run = "`true` does everything, plugins included, and undoes it: the answer is that of the real thing.";
        json!([
            filter,
            {"name": "max", "in": "query", "required": true, "description": max, "schema": number},
            {"name": "dry_run", "in": "query", "required": false, "description": dry_run, "schema": {"type": "boolean"}},
            shared::parameter("IdempotencyKey"),
        ])
    }
}

fn report() -> Value {
    let mut good = answer("What was done.", schema_ref(REPORT));
    good["headers"] = json!({"Idempotency-Replayed": shared::header("IdempotencyReplayed")});
    good
}

/// The name of the schema of what writes by filter answer.
const REPORT: &str = "WriteReport";

/// The schemas that these operations refer to.
pub(in crate::api::document) fn schemas() -> Object {
    let count = |description: &str| json!({"type": "integer", "format": "int32", "minimum": 0, "description": description});
    let schema = json!({
        "type": "object",
        "description": "What a write by filter has done.",
        "required": ["matched", "changed", "ids", "dry_run"],
        "properties": {
            "matched": count("How many records the filter means."),
            "changed": count("How many were changed or deleted, or would be."),
            "ids": {"type": "array", "items": {"type": "string", "pattern": shared::ID_PATTERN}, "description": "Which, in ascending order."},
            "dry_run": {"type": "boolean", "description": "Whether it was only tried."},
        },
    });
    Object::from_iter([(REPORT.to_owned(), schema)])
}
