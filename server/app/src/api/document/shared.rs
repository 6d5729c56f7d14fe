//! The components that many operations refer to: the error body and its responses, list parameters, headers, the way to sign in.

use model::query::LIMIT_MAX;
use serde_json::{Value, json};

use super::{Object, schema_ref};
use crate::records::list::{LIMIT_DEFAULT, OFFSET_MAX};

/// The name of the one security scheme.
pub(super) const BEARER: &str = "bearerAuth";

/// The ids of records: ULIDs.
pub(super) const ID_PATTERN: &str = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$";

/// The error answers that have a response of their own: status, name, description.
const ERRORS: [(&str, &str, &str); 13] = [
    ("400", "BadRequest", "The body or a query parameter cannot be read."),
    ("401", "Unauthorized", "Nobody is signed in, or the token is wrong, expired or revoked."),
    ("403", "Forbidden", "The policies do not allow it, or not with these fields."),
    ("404", "NotFound", "It is not there, or the caller may not see it."),
    ("408", "RequestTimeout", "The body took too long to arrive."),
    (
        "409",
        "Conflict",
        "A name or a unique value is taken, other records point here, too many writers want the same records, or the same request is under way.",
    ),
    ("412", "PreconditionFailed", "`If-Match` or `If-None-Match` does not hold: the record has changed since it was read, or is there."),
    ("413", "BodyTooLarge", "The body is larger than allowed."),
    ("415", "UnsupportedMediaType", "The body is of another type than expected."),
    ("422", "Invalid", "The input breaks a constraint or a rule; `errors` has every field that is wrong."),
    ("429", "TooManyRequests", "There are too many of these at once; `Retry-After` says when to come back."),
    ("500", "ServerError", "A plugin broke or the server has a fault; nothing was written."),
    ("503", "Unavailable", "The database cannot be reached or is being reopened."),
];

/// What every request can end with, whatever it asks for.
pub(super) const ALWAYS: [&str; 3] = ["429", "503", "default"];

/// The response of every status that is not listed at an operation.
const ANY_ERROR: (&str, &str, &str) = ("default", "Error", "Any other error.");

/// A reference to the response of an error status, or of `default`; none for other statuses.
pub(super) fn error(status: &str) -> Option<Value> {
    let (_, name, _) = ERRORS.iter().chain([&ANY_ERROR]).find(|(known, ..)| *known == status)?;
    Some(json!({"$ref": format!("#/components/responses/{name}")}))
}

/// A parameter of [`parameters`].
pub(super) fn parameter(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

/// A header of [`headers`].
pub(super) fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

/// The body of every error.
pub(super) fn problem() -> Value {
    json!({"application/problem+json": {"schema": schema_ref("Problem")}})
}

pub(super) fn schemas() -> Object {
    let text = |description: &str| json!({"type": "string", "description": description});
    let problem = json!({
        "type": "object",
        "description": "Why a request was refused (RFC 9457).",
        "required": ["type", "title", "status", "code", "message", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Always `about:blank`: `code` tells problems apart."},
            "title": text("The phrase of the status."),
            "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
            "code": text("Stable and meant to be compared, such as `record.not_found`."),
            "message": text("A sentence, meant to be shown."),
            "request_id": text("Finds the request in the log of the server."),
            "record": text("The id of the stored record that the problem is about, when a filter has chosen it."),
            "decision_id": text("On refusals by policies: under this id whoever may read policies finds out why."),
            "errors": {
                "type": "array",
                "items": schema_ref("FieldError"),
                "description": "One for every wrong part of the input; absent when the input is not the reason.",
            },
        },
    });
    let field_error = json!({
        "type": "object",
        "description": "One wrong part of the input.",
        "required": ["pointer", "code", "message"],
        "properties": {
            "pointer": text("A JSON pointer into the body, such as `/items/0/quantity`; `/name` for a query parameter."),
            "code": text("Stable and meant to be compared, such as `field.required`."),
            "message": text("A sentence, meant to be shown."),
        },
    });
    Object::from_iter([("Problem".to_owned(), problem), ("FieldError".to_owned(), field_error)])
}

pub(super) fn responses() -> Object {
    let response =
        |(_, name, description): &(&str, &str, &str)| ((*name).to_owned(), json!({"description": description, "content": problem()}));
    ERRORS.iter().chain([&ANY_ERROR]).map(response).collect()
}

/// The parameters that mean the same in every collection. `offset` has no default, because clients send defaults along, and an `offset`
/// of 0 beside a `cursor` is refused.
pub(super) fn parameters() -> Object {
    let query = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema});
    let limit = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT});
    let offset = json!({"type": "integer", "format": "int32", "minimum": 0, "maximum": OFFSET_MAX});
    let cursor = "Where the page begins: the `X-Next-Cursor` of the page before, with the same `sort` and `filter`. Excludes `offset`.";
    let skipped = "How many records to skip. Excludes `cursor`, which goes further and costs less.";
    let count = "`exact` counts all records that match, for `X-Total-Count` and `Content-Range`; nothing is counted otherwise.";
    let if_match = "Write only if the record still has this entity tag (the `ETag` of an earlier answer); otherwise 412.";
    let if_none_match = "Answer 304 without a body if the record still has this entity tag.";
    let id = json!({"type": "string", "pattern": ID_PATTERN});
    let header = |name: &str, description: &str| json!({"name": name, "in": "header", "required": false, "description": description, "schema": {"type": "string"}});
    let if_absent = "`*`: write only if there is no such record yet; otherwise 412. With entity tags: only if the record has none of them.";
    let mut idempotency_key = header(
        "Idempotency-Key",
        "Makes the write happen once, however often it is sent: whoever sends the same request with the same key within a day gets the answer \
         that it had, with `Idempotency-Replayed: true`. Only for those who are logged in.",
    );
    idempotency_key["schema"] = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
    Object::from_iter([
        ("Limit".to_owned(), query("limit", "The most records of the page.", limit)),
        ("Offset".to_owned(), query("offset", skipped, offset)),
        ("Cursor".to_owned(), query("cursor", cursor, json!({"type": "string"}))),
        ("Count".to_owned(), query("count", count, json!({"type": "string", "enum": ["none", "exact"]}))),
        ("IfMatch".to_owned(), header("If-Match", if_match)),
        ("IfNoneMatch".to_owned(), header("If-None-Match", if_none_match)),
        ("IfAbsent".to_owned(), header("If-None-Match", if_absent)),
        ("IdempotencyKey".to_owned(), idempotency_key),
        (
            "RecordId".to_owned(),
            json!({"name": "id", "in": "path", "required": true, "description": "The id of the record.", "schema": id}),
        ),
    ])
}

pub(super) fn headers() -> Object {
    let header = |name: &str, description: &str, schema: Value| (name.to_owned(), json!({"description": description, "schema": schema}));
    let text = || json!({"type": "string"});
    Object::from_iter([
        header("ETag", "The entity tag of this version of the record, for `If-Match`.", text()),
        header("Location", "The path of the new record; absent if several were written.", text()),
        header("IdempotencyReplayed", "`true` if the write has happened before, and this was its answer.", text()),
        header("Link", "`<...>; rel=\"next\"`: the next page (RFC 8288); absent on the last.", text()),
        header("NextCursor", "The `cursor` of the next page; absent on the last.", text()),
        header("TotalCount", "How many records match, with `count=exact`.", json!({"type": "integer", "format": "int64", "minimum": 0})),
        header("ContentRange", "The collection, the first and last position of the page and the total, with `count=exact`.", text()),
    ])
}

pub(super) fn security_schemes() -> Value {
    json!({BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` of `POST /api/auth/login`.",
    }})
}
