//! Examples of records and drafts. Each value has passed the validation of its field, so that what people copy out of the document works;
//! a field for which none is found is left out, and a draft that cannot do without it has no example.

use model::{Collection, Field, FieldType, Value as Given, validate};
use serde_json::{Value, json};

use super::{Object, fields::Place, schemas};

/// A record that is not there.
const ID: &str = "01JZ8Q3V5T9X2B4N6M8K0R7WFE";

const TIME: &str = "2026-01-31T09:30:00.000000Z";

/// What texts are tried for a pattern or a length.
const TEXTS: [&str; 16] = [
    "Example",
    "example",
    "EXAMPLE",
    "Example 1",
    "example-1",
    "EX-1",
    "EX-001",
    "ABC-123",
    "AB123",
    "A1",
    "a",
    "1",
    "123",
    "12345",
    "2026-01",
    "+491234567",
];

/// A record as it is read, with the fields of `readable` and these system fields.
pub(super) fn record(readable: &Collection, system_fields: &[&str]) -> Option<Value> {
    let mut example: Object = system_fields.iter().map(|name| ((*name).to_owned(), json!(if *name == "id" { ID } else { TIME }))).collect();
    for field in readable.fields().filter(|field| !field.is_secret()) {
        match value(readable, field) {
            Some(value) => example.insert(field.name.clone(), value),
            None if field.required => return None,
            None => example.insert(field.name.clone(), Value::Null),
        };
    }
    Some(example.into())
}

/// A draft with everything that must be sent and what is usual beside it.
pub(super) fn draft(collection: &Collection, place: Place) -> Option<Value> {
    let mut example = Object::new();
    for field in collection.fields() {
        let needed = schemas::must_be_sent(field, place);
        let said = needed || (field.default.is_null() && !field.is_secret() && !(field.immutable && place != Place::Create));
        match value(collection, field) {
            Some(value) if said => drop(example.insert(field.name.clone(), value)),
            None if needed => return None,
            _ => {}
        }
        if place == Place::Update && !example.is_empty() {
            break;
        }
    }
    (!example.is_empty()).then(|| example.into())
}

/// A value that the field takes, as it is read back.
fn value(collection: &Collection, field: &Field) -> Option<Value> {
    let fits = |candidate: &Given| validate::retyped(collection, &field.name, candidate.clone());
    if !field.default.is_null() && !field.default_is_caller() {
        return fits(&field.default).map(|value| json!(value));
    }
    if field.many {
        let least = field.min.map_or(1, |min| min.ceil().to_string().parse().unwrap_or(usize::MAX)).max(1);
        let single = candidates(&Field { min: None, max: None, ..field.clone() });
        let entries: Vec<Given> = if field.kind == FieldType::Select { single } else { single.into_iter().take(1).collect() };
        return fits(&Given::List(entries.into_iter().take(least).collect())).map(|value| json!(value));
    }
    if field.kind == FieldType::Password {
        let plain = Given::from("correct-horse-battery-1");
        return validate::password(field, &plain).ok().map(Value::from);
    }
    candidates(field).iter().find_map(fits).map(|value| json!(value))
}

/// What is tried, the likeliest first.
fn candidates(field: &Field) -> Vec<Given> {
    let bounds = || [field.min, field.max].into_iter().flatten();
    let text = |text: &str| Given::from(text);
    match field.kind {
        FieldType::Text => texts(field),
        FieldType::Email => vec![text("ann@example.com")],
        FieldType::Url => vec![text("https://example.com/")],
        FieldType::Integer => {
            let whole = bounds().flat_map(|bound| [bound.ceil(), bound.floor()]).filter_map(|bound| bound.to_string().parse::<i64>().ok());
            [1].into_iter().chain(whole).map(Given::from).collect()
        }
        FieldType::Number => {
            let numbers = bounds().filter_map(|bound| bound.to_string().parse::<f64>().ok());
            [1.5].into_iter().chain(numbers).map(Given::Number).collect()
        }
        FieldType::Decimal => ["4.50", "4"].map(text).into_iter().chain(bounds().map(|bound| text(&bound.to_string()))).collect(),
        FieldType::Bool => vec![Given::from(true)],
        FieldType::Datetime => vec![text(TIME)],
        FieldType::Date => vec![text("2026-01-31")],
        FieldType::Select => field.values.iter().map(|value| text(value)).collect(),
        FieldType::Relation => vec![text(ID)],
        FieldType::Json => vec![of_schema(&field.schema, 0)],
        FieldType::Password => Vec::new(),
    }
}

/// Texts, also as long as the least and as short as the greatest length.
fn texts(field: &Field) -> Vec<Given> {
    let length = |bound: Option<String>| bound.and_then(|bound| bound.parse::<usize>().ok());
    let least = length(field.min.map(|min| min.ceil().to_string())).unwrap_or(0).min(1_000);
    let most = length(field.max.map(|max| max.floor().to_string())).unwrap_or(usize::MAX);
    let fitted = |text: &&str| text.chars().cycle().take(text.len().max(least).min(most)).collect::<String>();
    TEXTS.iter().map(|text| Given::from(*text)).chain(TEXTS.iter().map(fitted).map(Given::from)).collect()
}

/// A value for a JSON Schema, as far as that is simple; whether it fits is for the validation to say.
fn of_schema(schema: &Given, depth: usize) -> Given {
    let count = |name: &str| match schema.member(name) {
        Given::Integer(count) => usize::try_from(*count).unwrap_or(0).min(10),
        _ => 0,
    };
    if let Given::List(values) = schema.member("enum") {
        return values.first().cloned().unwrap_or_default();
    }
    let known = ["const", "example", "default"].map(|name| schema.member(name));
    if let Some(value) = known.into_iter().find(|value| !value.is_null()) {
        return value.clone();
    }
    let named = match schema.member("type") {
        Given::List(names) => names.iter().find_map(|name| name.as_text().filter(|name| *name != "null")),
        name => name.as_text(),
    };
    match named {
        Some("array") if depth < 8 => Given::List(vec![of_schema(schema.member("items"), depth + 1); count("minItems").max(1)]),
        Some("string") if schema.member("pattern").as_text() == Some(super::shared::ID_PATTERN) => Given::from(ID),
        Some("string") => Given::from("example".chars().cycle().take(count("minLength").max(7)).collect::<String>()),
        Some("integer" | "number") => match schema.member("minimum") {
            Given::Null => Given::from(1),
            least => least.clone(),
        },
        Some("boolean") => Given::from(true),
        Some("object") if depth < 8 => {
            let properties = schema.member("properties");
            let members = if let Given::Object(members) = properties { members.keys().collect() } else { Vec::new() };
            Given::Object(members.into_iter().map(|name| (name.clone(), of_schema(properties.member(name), depth + 1))).collect())
        }
        _ => Given::Object(Default::default()),
    }
}
