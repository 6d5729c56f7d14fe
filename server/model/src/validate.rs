//! Validation: a draft against its collection, every failing field at once. The only maker of [`NewRecord`]. It runs after the plugins, so
//! that no rule can store what the collection does not allow.

use std::str::FromStr;

use rust_decimal::{Decimal, prelude::ToPrimitive as _};

use crate::{
    Collection, Draft, Field, FieldType, Modifiers, NewRecord, Record, Value,
    collection::CheckedField,
    record::{EXPAND, SYSTEM_FIELDS},
    time::{canonical_date, canonical_datetime},
    value::Object,
    violation::{Pointer, Violation, Violations},
};

/// The longest text of a field that does not say `max`, in characters.
const TEXT_MAX: usize = 100_000;

/// The most entries of a list whose field does not say `max`.
const ENTRIES_MAX: usize = 1_000;

/// What a stored password begins with: the PHC form of Argon2id.
pub const PASSWORD_HASH_PREFIX: &str = "$argon2id$";

/// What the server, not the client, decides about a new record.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The id of the record.
    pub id: String,
    /// The tenant that it belongs to.
    pub tenant: String,
    /// The time of the write, a canonical datetime.
    pub now: String,
    /// The id of the calling user, for relations with the default `caller.id`.
    pub caller: Option<String>,
}

/// Fills a draft with the defaults of the collection for what it does not say. Done before the rules, so that they see what would be stored.
pub fn fill_defaults(collection: &Collection, draft: &mut Draft, caller: Option<&str>) {
    for field in collection.fields().filter(|field| !field.default.is_null()) {
        if !draft.values.contains_key(&field.name) {
            let value = if field.default_is_caller() { caller.map_or(Value::Null, Value::from) } else { field.default.clone() };
            draft.values.insert(field.name.clone(), value);
        }
    }
}

/// Makes a new record of a draft. The system fields are ignored in drafts, so that clients may send back what they read.
///
/// # Errors
/// Everything that is wrong.
pub fn create(collection: &Collection, draft: Draft, stamp: Stamp) -> Result<NewRecord, Violations> {
    let mut draft = draft;
    fill_defaults(collection, &mut draft, stamp.caller.as_deref());
    let mut violations = Violations::default();
    let values = convert_all(collection, draft, &mut violations);
    let record = Record { id: stamp.id, tenant: stamp.tenant, version: 1, created: stamp.now.clone(), updated: stamp.now, values };
    violations.or(NewRecord { record })
}

/// Makes a record as an export has it, with its own id and times, or the next version of the stored one. What the draft does not say of these
/// is of the stamp, or stays.
///
/// # Errors
/// Everything that is wrong, also with the id and the times.
pub fn restore(collection: &Collection, draft: Draft, stamp: Stamp, stored: Option<&Record>) -> Result<NewRecord, Violations> {
    let mut draft = match stored {
        Some(stored) => merged(stored, draft),
        None => draft,
    };
    let mut violations = Violations::default();
    let mut system = |name: &str, otherwise: String, read: fn(&str) -> Option<String>, what: &str| match draft.values.swap_remove(name) {
        None | Some(Value::Null) => otherwise,
        Some(value) => value.as_text().and_then(read).unwrap_or_else(|| {
            violations.add(Pointer::field(name), "field.format", format!("not {what}"));
            otherwise
        }),
    };
    let id = system("id", stored.map_or(stamp.id, |stored| stored.id.clone()), canonical_id, "the id of a record");
    let created = stored.map_or_else(|| stamp.now.clone(), |stored| stored.created.clone());
    let created = system("created", created, canonical_datetime, "an RFC 3339 datetime");
    let updated = system("updated", stamp.now.clone(), canonical_datetime, "an RFC 3339 datetime");
    if stored.is_none() {
        fill_defaults(collection, &mut draft, stamp.caller.as_deref());
    }
    if stored.is_some_and(|stored| stored.id != id) {
        violations.add(Pointer::field("id"), "field.immutable", "the record is there under another id");
    }
    let values = convert_all(collection, draft, &mut violations);
    let (tenant, version) = stored.map_or((stamp.tenant, 1), |stored| (stored.tenant.clone(), stored.version + 1));
    violations.or(NewRecord { record: Record { id, tenant, version, created, updated, values } })
}

fn canonical_id(text: &str) -> Option<String> {
    ulid::Ulid::from_string(text).ok().map(|ulid| ulid.to_string()).filter(|id| id == text)
}

/// Makes the next version of a stored record out of all its values as they shall be (see [`merged`] and [`replaced`]).
///
/// # Errors
/// Everything that is wrong; also a changed `immutable` field.
pub fn update(collection: &Collection, stored: &Record, draft: Draft, now: &str) -> Result<NewRecord, Violations> {
    let mut violations = Violations::default();
    let values = convert_all(collection, draft, &mut violations);
    for field in collection.fields().filter(|field| field.immutable) {
        let before = stored.values.get(&field.name).unwrap_or(Value::null());
        if values.get(&field.name).is_some_and(|after| after != before) {
            violations.add(Pointer::field(&field.name), "field.immutable", format!("`{}` cannot be changed", field.name));
        }
    }
    let record = Record { version: stored.version + 1, updated: now.to_owned(), values, ..stored.clone() };
    violations.or(NewRecord { record })
}

/// A stored record under a merge patch, as a draft of the whole.
#[must_use]
pub fn merged(stored: &Record, patch: Draft) -> Draft {
    let mut draft = Draft { values: stored.values.clone() };
    draft.merge(patch.values);
    draft
}

/// A draft that replaces a stored record: what it does not say becomes the default or null, but secrets, which the client cannot know,
/// stay as they are.
#[must_use]
pub fn replaced(collection: &Collection, stored: &Record, mut draft: Draft) -> Draft {
    for field in collection.fields().filter(|field| field.is_secret() || field.immutable) {
        if !draft.values.contains_key(&field.name) {
            let value = stored.values.get(&field.name).cloned().unwrap_or_default();
            draft.values.insert(field.name.clone(), value);
        }
    }
    fill_defaults(collection, &mut draft, None);
    draft
}

/// The declared fields in which two versions differ; all that are not null when there is no earlier one.
#[must_use]
pub fn changed_fields<'a>(before: Option<&Record>, after: &'a Record) -> Vec<&'a str> {
    let differs = |(name, value): &(&String, &Value)| match before {
        Some(before) => before.values.get(*name).unwrap_or(Value::null()) != *value,
        None => !value.is_null(),
    };
    after.values.iter().filter(differs).map(|(name, _)| name.as_str()).collect()
}

/// A stored value in the form of a field that has changed its type; none if it does not fit.
#[must_use]
pub fn retyped(collection: &Collection, field: &str, value: Value) -> Option<Value> {
    let checked = collection.checked_fields().find(|checked| checked.field.name == field)?;
    let mut violations = Violations::default();
    let converted = convert(checked, value, &Pointer::root(), &mut violations);
    violations.or(converted).ok()
}

/// The ids that the relations of a record name, with the pointer of each and the collection it must exist in.
pub fn relations<'a>(collection: &'a Collection, record: &'a Record) -> impl Iterator<Item = (Pointer, &'a str, &'a str)> {
    let fields = collection.fields().filter_map(|field| Some((field, field.collection.as_deref()?)));
    fields.flat_map(|(field, target)| {
        let value = record.values.get(&field.name).unwrap_or(Value::null());
        let pointer = Pointer::field(&field.name);
        let ids: Vec<(Pointer, &str)> = match value {
            Value::Text(id) => vec![(pointer, id)],
            Value::List(ids) => ids.iter().enumerate().filter_map(|(index, id)| Some((pointer.join(index), id.as_text()?))).collect(),
            _ => Vec::new(),
        };
        ids.into_iter().map(move |(pointer, id)| (pointer, target, id))
    })
}

/// Checks before there is a record to change that a patch names only what the collection has, modifiers included.
///
/// # Errors
/// Every name that [`update`] would not know, whatever the record.
pub fn names(collection: &Collection, draft: &Draft) -> Result<(), Violations> {
    let mut violations = Violations::default();
    for name in draft.values.keys().filter(|name| !is_ignored(name)) {
        let field = Modifiers::field(name);
        if collection.field(field).is_none() {
            violations.add(Pointer::field(name), "field.unknown", unknown(collection, field));
        }
    }
    violations.or(())
}

/// Checks the length of a plain password before it is hashed.
///
/// # Errors
/// The violation that [`create`] would report for it.
pub fn password<'a>(field: &Field, value: &'a Value) -> Result<&'a str, Violation> {
    let pointer = Pointer::field(&field.name);
    let Value::Text(text) = value else {
        return Err(Violation::new(pointer, "field.type", format!("expected a string, got {}", value.kind())));
    };
    match check_length(field, text.chars().count(), "characters") {
        Some(message) => Err(Violation::new(pointer, "field.length", message)),
        None => Ok(text),
    }
}

/// The values of a draft, converted and in the declared order. They are converted in place: of a client that keeps the order, nothing moves.
fn convert_all(collection: &Collection, draft: Draft, violations: &mut Violations) -> Object {
    let mut values = draft.values;
    for (position, checked) in collection.checked_fields().enumerate() {
        let CheckedField { field, pointer, .. } = checked;
        let found = values.get_index_of(&field.name);
        let index = found.unwrap_or_else(|| values.insert_full(field.name.clone(), Value::Null).0);
        if index != position {
            values.swap_indices(index, position);
        }
        let slot = &mut values[position];
        if !slot.is_null() {
            *slot = convert(checked, std::mem::take(slot), pointer, violations);
        }
        let missing = slot.is_null() || matches!(slot, Value::List(list) if list.is_empty());
        if field.required && missing && !violations.0.iter().any(|one| one.pointer == *pointer) {
            violations.add(pointer.clone(), "field.required", format!("`{}` is required", field.name));
        }
    }
    let declared = collection.fields().len();
    for name in values.keys().skip(declared).filter(|name| !is_ignored(name)) {
        violations.add(Pointer::field(name), "field.unknown", unknown(collection, name));
    }
    values.truncate(declared);
    values
}

/// True for what clients send back as they read it.
fn is_ignored(name: &str) -> bool {
    SYSTEM_FIELDS.contains(&name) || name == EXPAND
}

fn unknown(collection: &Collection, name: &str) -> String {
    format!("unknown field `{name}` in collection `{}`", collection.name())
}

/// Brings a value that is not null into the stored form of its field. What cannot be converted is reported and becomes null.
pub(crate) fn convert(checked: &CheckedField, value: Value, pointer: &Pointer, violations: &mut Violations) -> Value {
    let field = &checked.field;
    let converted =
        if field.many { convert_many(checked, value, pointer, violations) } else { convert_one(checked, value, pointer, violations) };
    match converted {
        Ok(value) => value,
        Err(Some((code, message))) => {
            violations.add(pointer.clone(), code, message);
            Value::Null
        }
        Err(None) => Value::Null,
    }
}

/// Why a value was refused: a code and a message; none if the violations have it already.
type Refused = Option<(&'static str, String)>;

fn convert_many(checked: &CheckedField, value: Value, pointer: &Pointer, violations: &mut Violations) -> Result<Value, Refused> {
    let Value::List(entries) = value else {
        return Err(Some(("field.type", format!("expected an array, got {}", value.kind()))));
    };
    if let Some(message) = check_length(&checked.field, entries.len(), "entries") {
        return Err(Some(("field.length", message)));
    }
    if checked.field.max.is_none() && entries.len() > ENTRIES_MAX {
        return Err(Some(("field.length", format!("must have at most {ENTRIES_MAX} entries"))));
    }
    let mut converted: Vec<Value> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        match convert_one(checked, entry, pointer, violations) {
            Ok(value) if converted.contains(&value) => violations.add(pointer.join(index), "field.duplicate", "this value stands twice"),
            Ok(value) => converted.push(value),
            Err(Some((code, message))) => violations.add(pointer.join(index), code, message),
            Err(None) => {}
        }
    }
    Ok(Value::List(converted))
}

fn convert_one(checked: &CheckedField, value: Value, pointer: &Pointer, violations: &mut Violations) -> Result<Value, Refused> {
    let field = &checked.field;
    match field.kind {
        FieldType::Text => convert_text(checked, value),
        FieldType::Email => {
            // One person must not have two accounts that differ in capitals only.
            let text = text(value)?.to_lowercase();
            let valid = text.len() <= 254 && email_address::EmailAddress::is_valid(&text);
            if valid { Ok(Value::Text(text)) } else { Err(Some(("field.format", "not an email address".to_owned()))) }
        }
        FieldType::Url => {
            let text = text(value)?;
            let valid = url::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if valid { Ok(Value::Text(text)) } else { Err(Some(("field.format", "not an absolute http or https URL".to_owned()))) }
        }
        FieldType::Integer => convert_integer(field, &value),
        FieldType::Number => convert_number(field, &value),
        FieldType::Decimal => convert_decimal(field, &value),
        FieldType::Bool => match value {
            Value::Bool(_) => Ok(value),
            other => Err(wrong_type("true or false", &other)),
        },
        FieldType::Datetime => canonical_datetime(&text(value)?).map(Value::Text).ok_or_else(|| format_error("an RFC 3339 datetime")),
        FieldType::Date => canonical_date(&text(value)?).map(Value::Text).ok_or_else(|| format_error("a date such as 2026-11-22")),
        FieldType::Select => {
            let text = text(value)?;
            if field.values.contains(&text) {
                return Ok(Value::Text(text));
            }
            Err(Some(("field.choice", format!("`{text}` is not one of {}", field.values.join(", ")))))
        }
        FieldType::Relation => {
            let text = text(value)?;
            if canonical_id(&text).is_some() {
                return Ok(Value::Text(text));
            }
            Err(Some(("field.format", format!("`{text}` is not the id of a record"))))
        }
        FieldType::Json => {
            let mut value = value;
            keep_numbers(&mut value);
            match &checked.schema {
                Some(schema) => schema.check(&value, pointer, violations).map(|()| value).map_err(|()| None),
                None => Ok(value),
            }
        }
        FieldType::Password => match &value {
            Value::Text(hash) if hash.starts_with(PASSWORD_HASH_PREFIX) => Ok(value),
            plain => Err(Some(match password(field, plain) {
                Err(violation) if violation.code == "field.length" => ("field.length", violation.message),
                Err(violation) => ("field.type", violation.message),
                Ok(_) => ("field.format", "a password cannot be set here".to_owned()),
            })),
        },
    }
}

fn convert_text(checked: &CheckedField, value: Value) -> Result<Value, Refused> {
    let field = &checked.field;
    let text = text(value)?;
    let length = text.chars().count();
    if let Some(message) = check_length(field, length, "characters") {
        return Err(Some(("field.length", message)));
    }
    if field.max.is_none() && length > TEXT_MAX {
        return Err(Some(("field.length", format!("more than {TEXT_MAX} characters"))));
    }
    if text.contains('\0') {
        return Err(Some(("field.format", "a NUL character is not allowed".to_owned())));
    }
    match &checked.pattern {
        Some(pattern) if !pattern.is_match(&text) => Err(Some(("field.pattern", format!("does not match `{pattern}`")))),
        _ => Ok(Value::Text(text)),
    }
}

fn convert_integer(field: &Field, value: &Value) -> Result<Value, Refused> {
    let integer = match value {
        Value::Integer(integer) => *integer,
        // JavaScript writes 3.0 as 3, other languages do not; the bound is where a float stops telling integers apart.
        Value::Number(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => *number as i64,
        Value::Number(_) | Value::Decimal(_) => return Err(Some(("field.type", "not a whole number of 64 bits".to_owned()))),
        other => return Err(wrong_type("a whole number", other)),
    };
    check_range(field, Decimal::from(integer))?;
    Ok(Value::Integer(integer))
}

fn convert_number(field: &Field, value: &Value) -> Result<Value, Refused> {
    let number = match value {
        Value::Integer(integer) => *integer as f64,
        Value::Number(number) => *number,
        Value::Decimal(decimal) => f64::from_str(&decimal.to_string()).map_err(|_| format_error("a number"))?,
        other => return Err(wrong_type("a number", other)),
    };
    let beyond = if number < 0.0 { Decimal::MIN } else { Decimal::MAX };
    // What lies beyond what a decimal can hold lies beyond every bound, or far from it.
    check_range(field, Decimal::from_f64_retain(number).unwrap_or(beyond))?;
    // Minus zero equals zero for people, but not as an index key.
    Ok(Value::Number(if number == 0.0 { 0.0 } else { number }))
}

/// Whole numbers beyond 64 bits with a sign were read as decimals, which JSON would show as text.
fn keep_numbers(value: &mut Value) {
    match value {
        Value::Decimal(decimal) => *value = decimal.to_f64().map_or(Value::Null, Value::Number),
        Value::List(values) => values.iter_mut().for_each(keep_numbers),
        Value::Object(object) => object.values_mut().for_each(keep_numbers),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

fn convert_decimal(field: &Field, value: &Value) -> Result<Value, Refused> {
    let parsed = match value {
        Value::Text(text) => Decimal::from_str_exact(text).ok(),
        Value::Integer(integer) => Some(Decimal::from(*integer)),
        Value::Decimal(decimal) => Some(*decimal),
        // The shortest text of a float is what the client wrote.
        Value::Number(number) => Decimal::from_str_exact(&number.to_string()).ok(),
        other => return Err(wrong_type("a decimal number as text, such as \"4.50\"", other)),
    };
    let decimal = parsed.ok_or_else(|| format_error("a decimal number of at most 28 digits"))?;
    check_range(field, decimal)?;
    let decimal = field.scaled(decimal);
    match field.scale {
        Some(scale) if decimal.scale() > scale => Err(Some(("field.scale", format!("more than {scale} digits after the point")))),
        _ => Ok(Value::Decimal(decimal)),
    }
}

fn text(value: Value) -> Result<String, Refused> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(wrong_type("a string", &other)),
    }
}

fn wrong_type(expected: &str, value: &Value) -> Refused {
    Some(("field.type", format!("expected {expected}, got {}", value.kind())))
}

fn format_error(expected: &str) -> Refused {
    Some(("field.format", format!("not {expected}")))
}

fn check_range(field: &Field, value: Decimal) -> Result<(), Refused> {
    if let Some(min) = field.min.filter(|min| value < *min) {
        return Err(Some(("field.range", format!("must be at least {min}"))));
    }
    if let Some(max) = field.max.filter(|max| value > *max) {
        return Err(Some(("field.range", format!("must be at most {max}"))));
    }
    Ok(())
}

fn check_length(field: &Field, length: usize, unit: &str) -> Option<String> {
    let length = Decimal::from(length);
    if let Some(min) = field.min.filter(|min| length < *min) {
        return Some(format!("must have at least {min} {unit}"));
    }
    field.max.filter(|max| length > *max).map(|max| format!("must have at most {max} {unit}"))
}

/// A compiled JSON Schema of a `json` field.
#[derive(Debug)]
pub struct JsonSchema {
    validator: jsonschema::Validator,
}

impl JsonSchema {
    /// Compiles a schema. References to other documents are refused: nothing is ever fetched.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let json = serde_json::to_value(schema).map_err(|error| error.to_string())?;
        jsonschema::meta::validate(&json).map_err(|error| error.to_string())?;
        let validator = jsonschema::validator_for(&json).map_err(|error| error.to_string())?;
        Ok(Self { validator })
    }

    fn check(&self, value: &Value, pointer: &Pointer, violations: &mut Violations) -> Result<(), ()> {
        // INVARIANT: a `Value` is always valid JSON.
        let json = serde_json::to_value(value).expect("a value is always valid JSON");
        let mut valid = Ok(());
        for error in self.validator.iter_errors(&json).take(20) {
            let inner = format!("{}{}", pointer.as_str(), error.instance_path());
            let inner = Pointer::parse(&inner).unwrap_or_else(|| pointer.clone());
            // The value may be partly what was stored, and whoever writes need not be allowed to read.
            violations.add(inner, "field.schema", error.masked().to_string());
            valid = Err(());
        }
        valid
    }
}

#[cfg(test)]
mod tests;
