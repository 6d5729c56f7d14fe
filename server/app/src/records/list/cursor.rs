//! Cursors: the position behind a record, with the order that it belongs to. Clients must not look inside, so that it may change.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use model::{
    Collection, FieldType, Record, Value,
    key::is_id,
    query::{KNOWN_MAX, SortKey, Start},
    time::{canonical_date, canonical_datetime, datetime_text},
    value::Object,
};
use store::records::search::RANKED_MAX;

use super::{Question, given};
use crate::{Error, call::Call};

/// The longest cursor, in bytes. It travels in a header, of which many clients take 8 KiB or 16 KiB in all.
const LENGTH_MAX: usize = 3_072;

/// How the cursor of a longer position begins, which is kept here instead, and for how long.
const KEPT: &str = "kept:";
const KEPT_HOURS: i64 = 24;

/// How a cursor of a search begins.
const RANKED: &str = "ranked:";

/// The position behind the last record of a page.
///
/// # Errors
/// What the store reports.
pub(super) async fn write(call: &Call, keys: &[SortKey], page: &[Record], last: &Record) -> Result<String, Error> {
    let mut position = Object::new();
    position.insert("order".to_owned(), Value::Text(order_text(keys)));
    position.insert("values".to_owned(), Value::List(values(keys, last).map(tagged).collect()));
    position.insert("id".to_owned(), Value::from(last.id.as_str()));
    if let Ok(known @ 1..) = i64::try_from(known(keys, page, last)) {
        position.insert("known".to_owned(), Value::Integer(known));
    }
    let cursor = URL_SAFE_NO_PAD.encode(Value::Object(position).to_json());
    if cursor.len() <= LENGTH_MAX {
        return Ok(cursor);
    }
    // Named after what it is: whoever turns the same page again keeps nothing more.
    let name = blake3::hash(cursor.as_bytes()).to_hex();
    let expires = datetime_text(call.moment + TimeDelta::hours(KEPT_HOURS));
    store::cursors::keep(&call.app.store, &name, &cursor, &expires).await?;
    Ok(URL_SAFE_NO_PAD.encode(format!("{KEPT}{name}")))
}

/// The question with the cursor that its own one stands for; none if that carries its position itself.
///
/// # Errors
/// What the store reports.
pub(super) async fn carried(call: &Call, question: &Question) -> Result<Option<Question>, Error> {
    let decoded = given(&question.cursor).and_then(|text| String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok());
    let Some(name) = decoded.as_deref().and_then(|text| text.strip_prefix(KEPT)) else { return Ok(None) };
    let cursor = store::cursors::get(&call.app.store, name).await?;
    Ok(cursor.map(|cursor| Question { cursor: Some(cursor), ..question.clone() }))
}

/// Where the page after a cursor begins; none if it was made for another order or other fields, or by nobody here.
pub(super) fn read(collection: &Collection, keys: &[SortKey], text: &str) -> Option<Start> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let position = Value::from_json(&bytes).ok()?;
    let id = position.member("id").as_text().filter(|id| is_id(id))?.to_owned();
    let Value::List(values) = position.member("values") else { return None };
    let values: Vec<Value> = values.iter().map(untagged).collect::<Option<_>>()?;
    let known = match position.member("known") {
        Value::Null => 0,
        Value::Integer(known) => usize::try_from(*known).ok()?,
        _ => return None,
    };
    let sorted: Vec<&SortKey> = keys.iter().filter(|key| key.field != "id").collect();
    let fits = position.member("order").as_text() == Some(&order_text(keys))
        && values.len() == sorted.len()
        && sorted.iter().zip(&values).all(|(key, value)| fits(collection.field_type(&key.field), value));
    fits.then_some(Start::After { values, id, known })
}

/// True if a field of this type may have this value.
fn fits(kind: Option<FieldType>, value: &Value) -> bool {
    let Some(kind) = kind else { return false };
    match value {
        Value::Null => true,
        Value::Bool(_) => kind == FieldType::Bool,
        Value::Integer(_) | Value::Number(_) | Value::Decimal(_) => kind.is_number(),
        Value::Text(text) if kind == FieldType::Datetime => canonical_datetime(text).is_some(),
        Value::Text(text) if kind == FieldType::Date => canonical_date(text).is_some(),
        Value::Text(_) => kind.is_text(),
        Value::List(_) | Value::Object(_) => false,
    }
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
    text.strip_prefix(RANKED)?.parse::<usize>().ok().filter(|position| *position <= RANKED_MAX).map(Start::Offset)
}

/// The position behind the last record of a page, as a list takes it.
pub(super) fn after(keys: &[SortKey], page: &[Record], last: &Record) -> Start {
    Start::After { values: values(keys, last).collect(), id: last.id.clone(), known: known(keys, page, last) }
}

fn values(keys: &[SortKey], record: &Record) -> impl Iterator<Item = Value> {
    keys.iter().filter(|key| key.field != "id").map(|key| record.value(&key.field).into_owned())
}

/// How many records at the end of a page have the values of the last one. That is nothing to go by when all have.
fn known(keys: &[SortKey], page: &[Record], last: &Record) -> usize {
    let same = |record: &&Record| keys.iter().all(|key| key.field == "id" || record.value(&key.field) == last.value(&key.field));
    let known = page.iter().rev().take(KNOWN_MAX + 1).take_while(same).count();
    if known < page.len() && known <= KNOWN_MAX { known } else { 0 }
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
