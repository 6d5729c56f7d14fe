//! `POST /api/batch`: the one path of records that belongs to no collection.

use serde_json::{Value, json};

use super::{
    answer, responses, schema_ref, shared,
    write::{BODY_ERRORS, body},
};
use crate::{
    api::document::{Object, shared::BEARER},
    records::batch::OPERATIONS_MAX,
};

/// The path.
pub(in crate::api::document) const PATH: &str = "/api/batch";

/// The tag of its operation.
pub(in crate::api::document) const TAG: &str = "batch";

/// The operation.
pub(in crate::api::document) fn path() -> Value {
    let description = "Several writes to any collections in one transaction, in order: all happen, or none. Each is like the single write of its \
                       kind. An object `{\"$ref\": \"NAME.field\"}` in `record` or as `id` stands for a field of the result of an earlier \
                       operation with `\"as\": \"NAME\"`, as the caller sees it. The pointers of errors begin with `/operations/N`, and with \
                       `/operations/N/record` for fields.";
    let mut good = answer("What each operation has done, in order.", schema_ref("BatchAnswer"));
    good["headers"] = json!({"Idempotency-Replayed": shared::header("IdempotencyReplayed")});
    json!({"post": {
        "operationId": "batch",
        "tags": [TAG],
        "summary": "Write to several collections at once",
        "description": description,
        "security": [{BEARER: []}, {}],
        "parameters": [shared::parameter("IdempotencyKey")],
        "requestBody": body(&schema_ref("Batch"), None),
        "responses": responses("200", good, &[&["404", "412"], &BODY_ERRORS[..]].concat()),
    }})
}

/// The schemas that it refers to.
pub(in crate::api::document) fn schemas() -> Object {
    let text = |description: &str| json!({"type": "string", "description": description});
    let any = |description: &str| json!({"type": "object", "additionalProperties": true, "description": description});
    let operation = json!({
        "type": "object",
        "required": ["op", "collection"],
        "additionalProperties": false,
        "properties": {
            "op": {"type": "string", "enum": ["create", "update", "replace", "delete", "upsert"]},
            "collection": text("The collection."),
            "id": {
                "description": "Of `update`, `replace` and `delete`: the id of the record, or a reference to one.",
                "oneOf": [{"type": "string"}, schema_ref("BatchReference")],
            },
            "record": any("Of all but `delete`: what the single write takes as its body, also with references in the place of values."),
            "on": {
                "description": "Of `upsert`: `id`, a unique field, or the fields of a unique index.",
                "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            },
            "if_match": text("Of all but `create`: entity tags, one of which the record must have."),
            "as": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$", "description": "What the result is called in references."},
        },
    });
    // A property called `$ref` would be taken for a reference of the document itself by many a reader.
    let reference = json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": text("`NAME.field` of an earlier result, such as `order.id`."),
        "description": "An object with the one member `$ref`.",
    });
    let result = json!({
        "type": "object",
        "required": ["status", "etag", "record"],
        "properties": {
            "status": {"type": "integer", "format": "int32", "description": "201 for a new record, else 200."},
            "etag": text("The entity tag of the record."),
            "record": any("What the caller may read of the record; of a deleted one as it was."),
        },
    });
    let list = |name: &str| json!({"type": "array", "items": schema_ref(name), "minItems": 1, "maxItems": OPERATIONS_MAX});
    let holder = |member: &str, items: Value| json!({"type": "object", "required": [member], "additionalProperties": false, "properties": {member: items}});
    Object::from_iter([
        ("Batch".to_owned(), holder("operations", list("BatchOperation"))),
        ("BatchOperation".to_owned(), operation),
        ("BatchReference".to_owned(), reference),
        ("BatchAnswer".to_owned(), holder("results", list("BatchResult"))),
        ("BatchResult".to_owned(), result),
    ])
}
