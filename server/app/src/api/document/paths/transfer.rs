//! `/api/records/{collection}/export` and `/import`: streams of many records. Their bodies are described as text, because a schema says what one
//! JSON value is.

use model::Collection;
use serde_json::{Value, json};

use super::{Describe, list, query, responses};
use crate::api::document::{schema_ref, shared};

/// The operations of the path for exports.
pub(super) fn export(describe: &Describe<'_>) -> Value {
    let collection = describe.collection;
    let name = collection.name();
    let description = "All records that a list would show, one after another while they are read; oldest first unless `sort` says otherwise. A \
                       stream that breaks off is not ended as HTTP wants it, so clients report it as an error. In CSV the first row has the \
                       names, null is an empty cell, lists and JSON are JSON text. Texts are written as they are, also those that a \
                       spreadsheet would take for a formula.";
    let mut operation = describe.operation("export", &format!("Export records of {name}"), description);
    let format = json!({"type": "string", "enum": ["ndjson", "csv"], "default": "ndjson"});
    let format = json!({"name": "format", "in": "query", "required": false, "description": "How records are written.", "schema": format});
    operation["parameters"] = json!([format, list::filter(collection), list::sort(collection), list::fields(describe.sight)]);
    let text = json!({"schema": {"type": "string"}});
    let mut good = json!({"description": "The records.", "content": {"application/x-ndjson": text, "text/csv": text}});
    good["headers"] = json!({"Content-Disposition": {"description": "The name of the file.", "schema": {"type": "string"}}});
    operation["responses"] = responses("200", good, &["429"]);
    json!({"get": operation})
}

/// The operations of the path for imports.
pub(super) fn import(describe: &Describe<'_>) -> Value {
    let name = describe.collection.name();
    let description = "Creates or changes a record for every row of a file: a JSON object a line, or CSV whose first row has names of fields. \
                       Rows are written in transactions of at most 200, each through validation, policies and rules as a single write. An \
                       import that breaks off goes on when the same file is sent again with `import`: what was taken is passed over.";
    let mut operation = describe.operation("import", &format!("Import records into {name}"), description);
    operation["parameters"] = parameters(describe.collection);
    let text = json!({"schema": {"type": "string"}});
    operation["requestBody"] = json!({"required": true, "content": {"application/x-ndjson": text, "text/csv": text}});
    let schema = schema_ref("Import");
    let mut good = json!({"description": "What became of the file.", "content": {"application/json": {"schema": schema}}});
    good["headers"] = json!({
        "Location": shared::header("Location"),
        "Idempotency-Replayed": shared::header("IdempotencyReplayed"),
    });
    operation["responses"] = responses("200", good, &["404", "408", "409", "413", "415", "422", "429", "500"]);
    json!({"post": operation})
}

fn parameters(collection: &Collection) -> Value {
    let choice = |name: &str, values: [&str; 2], description: &str| {
        let schema = json!({"type": "string", "enum": values, "default": values[0]});
        json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema})
    };
    let flag = |name: &str, description: &str| {
        let schema = json!({"type": "boolean", "default": false});
        json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema})
    };
    let unique = collection.indexes().into_iter().filter(|index| index.unique).map(|index| format!("`{}`", index.fields.join(",")));
    let unique: Vec<String> = ["`id`".to_owned()].into_iter().chain(unique).collect();
    let on = format!("By what `mode=upsert` finds the record of a row: {}.", unique.join(", "));
    let import = "The id of an import that goes on, or of the one that begins: a ULID. Send the same file.";
    json!([
        choice("mode", ["create", "upsert"], "What a row becomes: a new record, or a change of the one that it names if there is one."),
        query("on", &on),
        choice("on_error", ["stop", "skip"], "Whether a row that is refused ends the import or is noted and passed over."),
        flag(
            "raw",
            "Take `id`, `created` and `updated` from the file, and ask neither policies about records nor rules; needs a policy to create `_imports`."
        ),
        flag("dry_run", "Write nothing, and say what would be. Rows do not see those of earlier transactions."),
        query("import", import),
        shared::parameter("IdempotencyKey"),
    ])
}
