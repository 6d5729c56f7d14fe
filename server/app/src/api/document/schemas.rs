//! The schemas of a collection: its records, and what may be sent to create, change and replace one.

use model::{Collection, Field, record::EXPAND};
use serde_json::{Value, json};

use super::{
    Object,
    audience::Sight,
    examples,
    fields::{self, Place},
    schema_prefix, schema_ref,
    shared::ID_PATTERN,
};
use crate::{
    records::expand::{self, MORE, Relation},
    world::Catalog,
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
pub(super) fn of(sight: &Sight, catalog: &Catalog) -> Object {
    let names = names(sight);
    let name = sight.readable.name();
    let described = |mut schema: Value, text: String| {
        schema["description"] = text.into();
        schema
    };
    let record_text = format!("A record of `{name}`. Fields that the caller may not read or did not ask for are absent.");
    let mut record = described(record(&sight.readable, &sight.system_fields, catalog), record_text);
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
pub(super) fn record(readable: &Collection, system: &[&'static str], catalog: &Catalog) -> Value {
    let mut properties = system_fields();
    properties.retain(|name, _| system.contains(&name.as_str()));
    let mut required = system.to_vec();
    for field in readable.fields().filter(|field| !field.is_secret()) {
        properties.insert(field.name.clone(), fields::schema(field, Place::Record));
        required.push(&field.name);
    }
    let relations = expand::possible(catalog, readable);
    if !relations.is_empty() {
        properties.insert(EXPAND.to_owned(), expanded(&relations));
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// What is shown beside a record when it is asked for.
fn expanded(relations: &[Relation<'_>]) -> Value {
    let of = |relation: &Relation<'_>| {
        let target = schema_ref(&format!("{}{}", schema_prefix(relation.target), SUFFIXES[0]));
        match relation.several {
            true => json!({"type": "array", "items": target}),
            false => json!({"type": "object", "nullable": true, "allOf": [target]}),
        }
    };
    let mut properties: Object = relations.iter().map(|relation| (relation.key.clone(), of(relation))).collect();
    let more =
        json!({"type": "array", "items": {"type": "string"}, "description": "The relations that lead to more records than are shown."});
    properties.insert(MORE.to_owned(), more);
    json!({"type": "object", "readOnly": true, "properties": properties, "description": "The records that `expand` asks for, by relation."})
}

/// What may be sent. The system fields are taken and ignored, so that a record can be sent back as it came.
fn draft(collection: &Collection, place: Place) -> Value {
    let mut properties = system_fields();
    for field in collection.fields() {
        properties.insert(field.name.clone(), fields::schema(field, place));
    }
    if collection.field(EXPAND).is_none() {
        let description = "What a read showed beside the record; ignored, so that a record can be sent back.";
        properties.insert(
            EXPAND.to_owned(),
            json!({"type": "object", "readOnly": true, "additionalProperties": true, "description": description}),
        );
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
