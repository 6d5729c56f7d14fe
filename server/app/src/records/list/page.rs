//! The records of a page, and its bytes. Both have a limit beside that of the client: large records are read in portions, so that they do
//! not pile up in memory, and a page of large records ends early.

use std::collections::HashMap;

use model::{
    Record, Value,
    query::{List, Start},
    value::Object,
};
use store::records::related;

use super::{Asked, cursor};
use crate::{Error, call::Call};

/// How many bytes of JSON a page may have, unless its first record alone has more.
pub(in crate::records) const BYTES_MAX: usize = 8 << 20;

/// How many records are read at once before it is known how large they are.
const PORTION: usize = 128;

/// The records of a page.
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    /// There are others behind them.
    pub(super) more: bool,
}

/// Reads the records of a page, as far as the limit of bytes lets it.
///
/// # Errors
/// What the store reports.
pub(super) async fn find(call: &Call, asked: Asked<'_>, words: &[String]) -> Result<Found, Error> {
    let Asked { collection, ground, list } = asked;
    // One more than asked for tells whether there is a next page.
    let wanted = list.limit + 1;
    let mut records: Vec<Record> = Vec::new();
    let mut portion = List { limit: wanted.min(PORTION), ..list.clone() };
    let mut bytes = 0;
    loop {
        let found = store::records::search::list(&call.app.store, collection, ground, &portion, words).await?;
        let ended = found.len() < portion.limit;
        bytes += found.iter().map(size).sum::<usize>();
        records.extend(found);
        let full = bytes > BYTES_MAX;
        match records.last() {
            Some(last) if !ended && !full && records.len() < wanted => portion.start = cursor::after(&list.sort, &records, last),
            _ => {
                let more = !ended;
                // What tells that there are more is not part of the page.
                let kept = if more { list.limit.min(records.len() - 1).max(1) } else { records.len() };
                records.truncate(kept);
                return Ok(Found { records, more });
            }
        }
        // As many as still fit, if the next ones are as large as those so far.
        let fitting = (BYTES_MAX - bytes) / (bytes / records.len()).max(1);
        portion.limit = (wanted - records.len()).min(fitting.max(PORTION / 8));
    }
}

/// Reads the records of a page of matches, best first.
///
/// # Errors
/// What the store reports.
pub(super) async fn best(call: &Call, asked: Asked<'_>, matches: &[String]) -> Result<Found, Error> {
    let start = if let Start::Offset(offset) = asked.list.start { offset } else { 0 };
    let ids: Vec<&str> = matches.iter().skip(start).take(asked.list.limit).map(String::as_str).collect();
    let (mut records, mut taken, mut bytes) = (Vec::with_capacity(ids.len()), 0, 0);
    for portion in ids.chunks(PORTION / 2) {
        let mut found: HashMap<String, Record> = related::get_many(&call.app.store, asked.collection, &call.caller.tenant, portion)
            .await?
            .into_iter()
            .map(|record| (record.id.clone(), record))
            .collect();
        bytes += found.values().map(size).sum::<usize>();
        taken += portion.len();
        // One that is gone since leaves its place empty.
        records.extend(portion.iter().filter_map(|id| found.remove(*id)));
        if bytes > BYTES_MAX {
            break;
        }
    }
    Ok(Found { records, more: matches.len() > start + taken })
}

/// About how many bytes of memory and of JSON the values of a record take.
pub(in crate::records) fn size(record: &Record) -> usize {
    128 + object_size(&record.values)
}

fn object_size(object: &Object) -> usize {
    object.iter().map(|(name, value)| name.len() + 4 + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Number(_) | Value::Decimal(_) => 8,
        Value::Text(text) => text.len() + 2,
        Value::List(values) => values.iter().map(|value| value_size(value) + 1).sum::<usize>() + 2,
        Value::Object(object) => object_size(object) + 2,
    }
}
