//! The schemas of a collection: its records, and what may be sent to create, change and replace one.

use model::{Collection, Field};
use serde_json::{Value, json};

use super::{
    Object,
    audience::Sight,
    examples,
    fields::{self, Place},
    schema_prefix,
    shared::ID_PATTERN,
};

/// How the schemas of collections end. No fixed schema may, so that no name of a collection can be in its way.
pub(super) const SUFFIXES: [&str; 4] = ["Record", "Create", "Update", "Replace"];

/// The names of the schemas of a collection.
pub(super) struct Schemas {
    pub(super) record: String,
    pub(super) create: String,
    pub(super) update: String,
    /// The same as `create` where they would not differ.
    pub(super) replace: String,
}

pub(super) fn names(sight: &Sight) -> Schemas {
    let prefix = schema_prefix(sight.readable.name());
    let [record, create, update, replace] = SUFFIXES.map(|suffix| format!("{prefix}{suffix}"));
    let differs = draft(&sight.updatable, Place::Replace) != draft(&sight.creatable, Place::Create);
    let replace = if differs { replace } else { create.clone() };
    Schemas { record, create, update, replace }
}

/// The schemas of a collection by name.
pub(super) fn of(sight: &Sight) -> Object {
    let names = names(sight);
    let name = sight.readable.name();
    let described = |mut schema: Value, text: String| {
        schema["description"] = text.into();
        schema
    };
    let record_text = format!("A record of `{name}`. Fields that the caller may not read or did not ask for are absent.");
    let mut record = described(record(&sight.readable, &sight.system_fields), record_text);
    if let Some(example) = examples::record(&sight.readable, &sight.system_fields) {
        record["example"] = example;
    }
    let mut schemas = Object::from_iter([
        (names.record, record),
        (names.create, described(draft(&sight.creatable, Place::Create), format!("A new record of `{name}`."))),
        (names.update, described(draft(&sight.updatable, Place::Update), format!("A change of a record of `{name}`."))),
    ]);
    schemas
        .entry(names.replace)
        .or_insert_with(|| described(draft(&sight.updatable, Place::Replace), format!("What replaces a record of `{name}`.")));
    schemas
}

/// A record as it is read: every readable field, `null` where there is nothing.
pub(super) fn record(readable: &Collection, system: &[&'static str]) -> Value {
    let mut properties = system_fields();
    properties.retain(|name, _| system.contains(&name.as_str()));
    let mut required = system.to_vec();
    for field in readable.fields().filter(|field| !field.is_secret()) {
        properties.insert(field.name.clone(), fields::schema(field, Place::Record));
        required.push(&field.name);
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// What may be sent. The system fields are taken and ignored, so that a record can be sent back as it came.
fn draft(collection: &Collection, place: Place) -> Value {
    let mut properties = system_fields();
    for field in collection.fields() {
        properties.insert(field.name.clone(), fields::schema(field, place));
    }
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    let required: Vec<&str> = collection.fields().filter(|field| must_be_sent(field, place)).map(|field| field.name.as_str()).collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// True if there is nothing that could stand in for a field that is absent.
pub(super) fn must_be_sent(field: &Field, place: Place) -> bool {
    match place {
        Place::Record => true,
        Place::Create => field.required && field.default.is_null(),
        // The stored value of these stays; a new version has no caller who would become its owner.
        Place::Replace => {
            let stays = field.is_secret() || field.immutable;
            field.required && !stays && (field.default.is_null() || field.default_is_caller())
        }
        Place::Update => false,
    }
}

fn system_fields() -> Object {
    let time = |description: &str| json!({"type": "string", "format": "date-time", "readOnly": true, "description": description});
    Object::from_iter([
        ("id".to_owned(), json!({"type": "string", "pattern": ID_PATTERN, "readOnly": true, "description": "The id: a ULID."})),
        ("created".to_owned(), time("When the record was created.")),
        ("updated".to_owned(), time("When the record was last written.")),
    ])
}
