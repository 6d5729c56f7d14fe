//! Cursors: the position behind a record, with the order that it belongs to. Clients must not look inside, so that it may change.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{
    Pointer, Record, Value, Violations,
    query::{SortKey, Start},
    value::Object,
};

use crate::Error;

/// The longest cursor, in bytes. It travels in a header, of which many clients take 8 KiB or 16 KiB in all.
const LENGTH_MAX: usize = 3_072;

/// How a cursor of a search begins.
const RANKED: &str = "ranked:";

/// The position behind a record.
///
/// # Errors
/// Values of the sort keys that are too long to be carried along; `sort` is what the client calls the order.
pub(super) fn write(keys: &[SortKey], record: &Record, sort: &str) -> Result<String, Error> {
    let mut position = Object::new();
    position.insert("order".to_owned(), Value::Text(order_text(keys)));
    let values = keys.iter().filter(|key| key.field != "id").map(|key| record.value(&key.field).into_owned());
    position.insert("values".to_owned(), Value::List(values.map(tagged).collect()));
    position.insert("id".to_owned(), Value::from(record.id.as_str()));
    let cursor = URL_SAFE_NO_PAD.encode(Value::Object(position).to_json());
    if cursor.len() > LENGTH_MAX {
        let mut violations = Violations::default();
        let message = "values in this order are too long for a cursor to the next page: sort by shorter fields, or use `offset`";
        violations.add(Pointer::field(sort), "query.limit", message);
        return Err(Error::Query(violations));
    }
    Ok(cursor)
}

/// Where the page after a cursor begins; none if it was made for another order.
pub(super) fn read(keys: &[SortKey], text: &str) -> Option<Start> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let position = Value::from_json(&bytes).ok()?;
    let id = position.member("id").as_text()?.to_owned();
    let Value::List(values) = position.member("values") else { return None };
    let values: Vec<Value> = values.iter().map(untagged).collect::<Option<_>>()?;
    let fits = position.member("order").as_text() == Some(&order_text(keys))
        && values.len() == keys.iter().filter(|key| key.field != "id").count();
    fits.then_some(Start::After { values, id })
}

/// The position behind the last record of a page of matches, best first. That order is made anew for each page, so a position is all that
/// there is.
pub(super) fn write_ranked(matches: &[String], last: &str) -> String {
    let position = matches.iter().position(|id| id == last).map_or(matches.len(), |position| position + 1);
    URL_SAFE_NO_PAD.encode(format!("{RANKED}{position}"))
}

/// Where the page after such a cursor begins; none for another cursor.
pub(super) fn read_ranked(text: &str) -> Option<Start> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    text.strip_prefix(RANKED)?.parse().ok().map(Start::Offset)
}

/// The position behind a record, as a list takes it.
pub(super) fn after(keys: &[SortKey], record: &Record) -> Start {
    let values = keys.iter().filter(|key| key.field != "id").map(|key| record.value(&key.field).into_owned());
    Start::After { values: values.collect(), id: record.id.clone() }
}

fn order_text(keys: &[SortKey]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("{}{}", if key.descending { "-" } else { "" }, key.field)).collect();
    keys.join(",")
}

/// JSON has no decimals, and a cursor must give back exactly what the index holds.
fn tagged(value: Value) -> Value {
    match value {
        Value::Decimal(decimal) => Value::List(vec![Value::Text(decimal.to_string())]),
        other => other,
    }
}

fn untagged(value: &Value) -> Option<Value> {
    match value {
        Value::List(list) => list.first()?.as_text()?.parse().ok().map(Value::Decimal),
        Value::Object(_) => None,
        other => Some(other.clone()),
    }
}
