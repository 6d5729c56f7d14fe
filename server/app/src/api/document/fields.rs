//! The schema of one field, depending on where it stands. What OpenAPI 3.0 cannot say is said in words.

use model::{Field, FieldType};
use serde_json::{Value, json};

use super::{Object, json_schema, shared::ID_PATTERN};

/// The schema that a field is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// What is read.
    Record,
    /// The body of POST.
    Create,
    /// The body of PUT.
    Replace,
    /// The body of PATCH.
    Update,
}

/// The longest text of a field that does not say `max`, in characters, as `model::validate` has it.
const TEXT_MAX: u32 = 100_000;

/// The longest email address, in characters (RFC 5321).
const EMAIL_MAX: u32 = 254;

/// A decimal number as it is written into JSON.
const DECIMAL_PATTERN: &str = r"^-?[0-9]{1,29}(\.[0-9]{1,28})?$";

/// The schema of a field.
pub(super) fn schema(field: &Field, place: Place) -> Value {
    let mut schema = if field.many { many(field) } else { one(field, place) };
    if !field.required {
        allow_null(&mut schema);
    }
    if field.is_secret() {
        schema.insert("writeOnly".to_owned(), true.into());
    }
    if matches!(place, Place::Create | Place::Replace) && !field.default.is_null() && !field.default_is_caller() {
        schema.insert("default".to_owned(), default(field));
    }
    let description = description(field, place);
    if !description.is_empty() {
        schema.insert("description".to_owned(), description.into());
    }
    schema.into()
}

fn many(field: &Field) -> Object {
    let single = Field { many: false, min: None, max: None, ..field.clone() };
    let least = whole::<u64>(field.min.map(|min| min.ceil())).unwrap_or(0).max(u64::from(field.required));
    let mut schema = object(json!({"type": "array", "items": one(&single, Place::Record), "uniqueItems": true}));
    if least > 0 {
        schema.insert("minItems".to_owned(), least.into());
    }
    insert_some(&mut schema, "maxItems", whole::<u64>(field.max.map(|max| max.floor())));
    schema
}

fn one(field: &Field, place: Place) -> Object {
    match field.kind {
        FieldType::Text => text(field),
        FieldType::Email => object(json!({"type": "string", "format": "email", "maxLength": EMAIL_MAX})),
        FieldType::Url => object(json!({"type": "string", "format": "uri"})),
        FieldType::Integer => {
            let mut schema = object(json!({"type": "integer", "format": "int64"}));
            insert_some(&mut schema, "minimum", whole::<i64>(field.min.map(|min| min.ceil())));
            insert_some(&mut schema, "maximum", whole::<i64>(field.max.map(|max| max.floor())));
            schema
        }
        FieldType::Number => {
            let mut schema = object(json!({"type": "number", "format": "double"}));
            insert_some(&mut schema, "minimum", field.min.and_then(|min| min.to_string().parse::<f64>().ok()));
            insert_some(&mut schema, "maximum", field.max.and_then(|max| max.to_string().parse::<f64>().ok()));
            schema
        }
        FieldType::Decimal => object(json!({"type": "string", "format": "decimal", "pattern": DECIMAL_PATTERN, "example": "4.50"})),
        FieldType::Bool => object(json!({"type": "boolean"})),
        FieldType::Datetime => object(json!({"type": "string", "format": "date-time"})),
        FieldType::Date => object(json!({"type": "string", "format": "date"})),
        FieldType::Select => object(json!({"type": "string", "enum": field.values})),
        FieldType::Json => json(field, place),
        FieldType::Relation => object(json!({"type": "string", "pattern": ID_PATTERN})),
        FieldType::Password => {
            let mut schema = object(json!({"type": "string", "format": "password"}));
            insert_lengths(&mut schema, field);
            schema
        }
    }
}

fn text(field: &Field) -> Object {
    let mut schema = object(json!({"type": "string", "maxLength": TEXT_MAX}));
    insert_lengths(&mut schema, field);
    insert_some(&mut schema, "pattern", field.pattern.as_deref().filter(|pattern| is_portable(pattern)));
    schema
}

/// A patch of an object need not be such an object itself, and `null` in it removes a member.
fn json(field: &Field, place: Place) -> Object {
    let Some(schema) = json_schema::translate(&field.schema) else { return Object::new() };
    match schema.get("type").and_then(Value::as_str) {
        None if place == Place::Update || !field.required => Object::new(),
        Some("object") if place == Place::Update => object(json!({"type": "object", "additionalProperties": true})),
        _ => schema,
    }
}

/// A schema without a type allows null already.
fn allow_null(schema: &mut Object) {
    if schema.contains_key("type") {
        schema.insert("nullable".to_owned(), true.into());
        if let Some(Value::Array(values)) = schema.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
    }
}

/// The default as it is read back.
fn default(field: &Field) -> Value {
    let value = json!(field.default);
    if field.kind == FieldType::Decimal && value.is_number() { value.to_string().into() } else { value }
}

fn description(field: &Field, place: Place) -> String {
    let mut sentences = vec![field.description.trim().to_owned()];
    let mut say = |sentence: String| sentences.push(sentence);
    if let (Some(collection), false) = (&field.collection, field.many) {
        say(format!("The id of a record of `{collection}`."));
    }
    if let (Some(collection), true) = (&field.collection, field.many) {
        say(format!("Ids of records of `{collection}`."));
    }
    if let (FieldType::Decimal, Some(min)) = (field.kind, field.min) {
        say(format!("At least {min}."));
    }
    if let (FieldType::Decimal, Some(max)) = (field.kind, field.max) {
        say(format!("At most {max}."));
    }
    if let Some(pattern) = field.pattern.as_deref().filter(|pattern| !is_portable(pattern)) {
        say(format!("Matches the regular expression `{pattern}`."));
    }
    if field.unique {
        say("Unique.".to_owned());
    }
    if place == Place::Create && field.default_is_caller() {
        say("The calling user when absent.".to_owned());
    }
    if matches!(place, Place::Update | Place::Replace) && field.immutable {
        say("Cannot be changed.".to_owned());
    }
    if field.is_secret() {
        say("Never shown.".to_owned());
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences.join(" ")
}

/// True if a pattern certainly means the same to JavaScript, which is what OpenAPI asks for, as to the server.
fn is_portable(pattern: &str) -> bool {
    let mut rest = pattern.chars().peekable();
    let (mut in_class, mut before) = (false, ' ');
    while let Some(character) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        match character {
            '\\' => {
                let escapes = if in_class { r"dDwWsSnrtfv.\+*?()|[]{}^$/-" } else { r"dDwWsSbBnrtfv.\+*?()|[]{}^$/" };
                if !escapes.contains(next) {
                    return false;
                }
                rest.next();
            }
            // Flags, names and look-around; `(?:` is the same everywhere.
            '(' if !in_class && next == '?' && rest.clone().nth(1) != Some(':') => return false,
            '[' if in_class => return false,
            '[' => in_class = true,
            ']' => in_class = false,
            '&' | '~' | '-' if in_class && before == character => return false,
            _ => {}
        }
        before = character;
    }
    true
}

fn insert_lengths(schema: &mut Object, field: &Field) {
    insert_some(schema, "minLength", whole::<u64>(field.min.map(|min| min.ceil())));
    insert_some(schema, "maxLength", whole::<u64>(field.max.map(|max| max.floor())));
}

fn insert_some(schema: &mut Object, name: &str, value: Option<impl Into<Value>>) {
    schema.extend(value.map(|value| (name.to_owned(), value.into())));
}

/// A bound as a whole number; none if the type cannot hold it, where it does not bind anyway.
fn whole<T: std::str::FromStr>(bound: Option<impl ToString>) -> Option<T> {
    bound?.to_string().parse().ok()
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}
