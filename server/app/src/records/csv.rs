//! Records as rows of CSV (RFC 4180), as exports write them and imports read them. A cell has no type of its own, so it gets that of its
//! field: an empty cell is null, `""` an empty text, lists and JSON are JSON text. Nothing is added or taken away, also not before a cell that
//! a spreadsheet would take for a formula: who opens foreign data there has to import the columns as text.

mod reader;

use model::{Collection, Field, FieldType, Record, Value, record::SYSTEM_FIELDS};
pub(super) use reader::{Cell, Fault, Reader, Taken};

/// The columns of an export: `id`, the fields in their order, the times.
pub(super) fn columns(collection: &Collection, chosen: Option<&[String]>) -> Vec<String> {
    let fields = collection.fields().filter(|field| !field.is_secret()).map(|field| field.name.as_str());
    let all = ["id"].into_iter().chain(fields).chain(["created", "updated"]);
    // The id is always there, as in lists.
    let wanted = |name: &&str| *name == "id" || chosen.is_none_or(|chosen| chosen.iter().any(|one| one == name));
    all.filter(wanted).map(str::to_owned).collect()
}

/// Writes the row of the names.
pub(super) fn write_header(columns: &[String], out: &mut Vec<u8>) {
    write_row(columns.iter().map(|name| Some(name.clone())), out);
}

/// Writes the row of a record; fields that are not visible are as empty as null.
pub(super) fn write_record(
    collection: &Collection,
    columns: &[String],
    record: &Record,
    visible: impl Fn(&str) -> bool,
    out: &mut Vec<u8>,
) {
    let cell = |name: &String| {
        let shown = name == "id" || visible(name);
        if shown { text_of(collection.field(name), &record.value(name)) } else { None }
    };
    write_row(columns.iter().map(cell), out);
}

fn write_row(cells: impl Iterator<Item = Option<String>>, out: &mut Vec<u8>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let Some(text) = cell else { continue };
        if text.is_empty() || text.contains(['"', ',', '\r', '\n']) || text.starts_with(' ') || text.ends_with(' ') {
            out.push(b'"');
            out.extend(text.replace('"', "\"\"").into_bytes());
            out.push(b'"');
        } else {
            out.extend(text.into_bytes());
        }
    }
    out.extend(b"\r\n");
}

/// The text of a value; none for null.
fn text_of(field: Option<&Field>, value: &Value) -> Option<String> {
    let whole = field.is_some_and(is_json);
    match value {
        Value::Null => None,
        Value::Text(text) if !whole => Some(text.clone()),
        Value::Decimal(decimal) => Some(decimal.to_string()),
        other => Some(other.to_json()),
    }
}

fn is_json(field: &Field) -> bool {
    field.many || field.kind == FieldType::Json
}

/// The value that a cell means; none if it says nothing, so that the default applies. What does not fit the type stays text, for validation
/// to report with everything else.
pub(super) fn value_of(field: Option<&Field>, cell: &Cell) -> Option<Value> {
    let text = cell.text.as_str();
    let Some(field) = field else { return Some(text).filter(|text| !text.is_empty()).map(Value::from) };
    let keeps_empty = cell.quoted && field.kind == FieldType::Text && !field.many;
    if text.is_empty() && !keeps_empty {
        // Null cannot be meant where it cannot be.
        return if field.required { None } else { Some(Value::Null) };
    }
    if is_json(field) {
        return Some(Value::from_json(text.as_bytes()).unwrap_or_else(|_| Value::from(text)));
    }
    let parsed = match field.kind {
        FieldType::Integer => text.trim().parse().ok().map(Value::Integer),
        FieldType::Number => text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Number),
        FieldType::Bool if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
        FieldType::Bool if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
        _ => None,
    };
    Some(parsed.unwrap_or_else(|| Value::from(text)))
}

/// What is wrong with the name of a column; none if nothing is.
pub(super) fn column_fault(collection: &Collection, name: &str) -> Option<String> {
    let known = SYSTEM_FIELDS.contains(&name) || collection.field(name).is_some();
    (!known).then(|| format!("`{name}` is not a field of `{}`", collection.name()))
}

#[cfg(test)]
mod tests;
