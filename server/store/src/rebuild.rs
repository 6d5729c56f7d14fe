//! Records made anew beside the old ones, for a collection that changes while it is used. The new ones are copied page by page. Meanwhile every
//! write marks its record, in its own transaction, so that it is copied again; the last marks are worked off while nobody writes. A write and
//! the moment from which the new records count exclude each other: both touch one row, so that one of them conflicts.

use model::{Collection, Record, Value};
use surrealdb::types::{SurrealValue, Value as Stored};

use crate::{
    Error,
    row::{self, Row, first_row, record_id, rows},
    schema,
    transaction::{Binds, Run, bind},
    value::to_stored,
};

/// The row that says whether writes are still marked; no record has such an id.
const SWITCH: &str = "switch";

/// Makes the tables for the new records of a collection and for the marks.
///
/// # Errors
/// What the database reports.
pub async fn begin(run: &impl Run, new: &Collection, marks: &str) -> Result<(), Error> {
    schema::create_table(run, new).await?;
    let text = format!("DEFINE TABLE `{marks}` SCHEMALESS PERMISSIONS NONE; UPSERT $switch CONTENT {{ closed: false }} RETURN NONE");
    run.run(text, vec![bind("switch", record_id(marks, SWITCH))]).await.map(drop)
}

/// Runs the statement that writes records, and marks them if somebody copies the records of the collection.
///
/// # Errors
/// [`Error::Conflict`] when the collection has changed since the transaction looked at it, or what the database reports.
pub(crate) async fn marked(run: &impl Run, collection: &Collection, ids: &[&str], statement: &str, mut binds: Binds) -> Result<(), Error> {
    let Some(marks) = collection.marks() else { return run.run(statement.to_owned(), binds).await.map(drop) };
    let marked: Vec<Stored> = ids.iter().map(|id| record_id(marks, id)).collect();
    binds.extend([bind("switch", record_id(marks, SWITCH)), bind("marks", marked)]);
    // A mark that is there already must be written anew, too: the database leaves out what changes nothing, and nobody would notice then that
    // the mark is being worked off.
    let text = format!("{statement}; UPSERT $marks SET stamp = rand::ulid() RETURN NONE; SELECT * FROM $switch FOR UPDATE");
    let switch = run.run(text, binds).await?.pop().and_then(first_row).map(Row::new).transpose()?;
    // A table that is gone was closed before.
    if switch.is_none_or(|mut switch| switch.flag("closed")) { Err(Error::Conflict) } else { Ok(()) }
}

/// From the commit of this transaction on nobody who marks can write.
///
/// # Errors
/// What the database reports.
pub async fn close(run: &impl Run, marks: &str) -> Result<(), Error> {
    let switch = vec![bind("switch", record_id(marks, SWITCH))];
    run.run("UPSERT $switch CONTENT { closed: true } RETURN NONE".to_owned(), switch).await.map(drop)
}

/// A place in a walk through all records.
#[derive(Clone, Debug, Default)]
pub struct Position {
    tenant: String,
    id: String,
}

impl Position {
    /// The place behind a record.
    #[must_use]
    pub fn behind(record: &Record) -> Self {
        Self { tenant: record.tenant.clone(), id: record.id.clone() }
    }
}

/// The records of every tenant behind a place, tenant by tenant; fewer than `limit` only at the end.
///
/// # Errors
/// What the database reports.
pub async fn scan(run: &impl Run, collection: &Collection, behind: &Position, limit: usize) -> Result<Vec<Record>, Error> {
    let (table, mut behind, mut found) = (collection.table(), behind.clone(), Vec::new());
    loop {
        let left = limit - found.len();
        // Only an equality makes a scan of one index stop after so many.
        let text = format!("SELECT * FROM `{table}` WHERE _tenant = $tenant AND _key > $id ORDER BY _key LIMIT {left}");
        let values = run.run(text, vec![bind("tenant", behind.tenant.clone()), bind("id", behind.id.clone())]).await?;
        for row in values.into_iter().flat_map(rows) {
            found.push(row::to_record(collection, row)?);
        }
        let next = if found.len() < limit { next_tenant(run, table, &behind.tenant).await? } else { None };
        match next {
            Some(tenant) => behind = Position { tenant, id: String::new() },
            None => return Ok(found),
        }
    }
}

async fn next_tenant(run: &impl Run, table: &str, behind: &str) -> Result<Option<String>, Error> {
    let text = format!("SELECT _tenant FROM `{table}` WHERE _tenant > $tenant ORDER BY _tenant LIMIT 1");
    let values = run.run(text, vec![bind("tenant", behind.to_owned())]).await?;
    let row = values.into_iter().next().and_then(first_row);
    row.map(|row| Row::new(row)?.text("_tenant")).transpose()
}

/// How many records of every tenant there are.
///
/// # Errors
/// What the database reports.
pub async fn count(run: &impl Run, collection: &Collection) -> Result<u64, Error> {
    let values = run.run(format!("SELECT count() FROM `{}` GROUP ALL", collection.table()), Vec::new()).await?;
    match values.into_iter().next().and_then(first_row) {
        None => Ok(0),
        Some(row) => Ok(Row::new(row)?.integer("count")?.unsigned_abs()),
    }
}

/// The records with these ids, as they are now; those that are gone are not among them.
///
/// # Errors
/// What the database reports.
pub async fn current(run: &impl Run, collection: &Collection, ids: &[String]) -> Result<Vec<Record>, Error> {
    let ids = record_ids(collection.table(), ids);
    let values = run.run("SELECT * FROM $ids".to_owned(), vec![("ids".to_owned(), ids)]).await?;
    values.into_iter().flat_map(rows).map(|row| row::to_record(collection, row)).collect()
}

/// Writes records where none with their ids are.
///
/// # Errors
/// [`Error::Unique`], or what the database reports.
pub async fn copy(run: &impl Run, new: &Collection, records: &[Record]) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    let rows = records.iter().map(|record| {
        let mut content = row::from_record(record);
        content.insert("id", record_id(new.table(), &record.id));
        Stored::Object(content)
    });
    let rows: Vec<Stored> = rows.collect();
    run.run(format!("INSERT INTO `{}` $rows RETURN NONE", new.table()), vec![bind("rows", rows)]).await.map(drop)
}

/// The ids of some records that were written and not copied since.
///
/// # Errors
/// What the database reports.
pub async fn marks(run: &impl Run, marks: &str, limit: usize) -> Result<Vec<String>, Error> {
    let text = format!("SELECT VALUE record::id(id) FROM `{marks}` WHERE stamp != NONE LIMIT {limit}");
    let values = run.run(text, Vec::new()).await?;
    let text = |value| if let Stored::String(id) = value { Ok(id) } else { Err(Error::Corrupt("a mark without an id".to_owned())) };
    values.into_iter().flat_map(rows).map(text).collect()
}

/// Works off the marks of some records: copies that are `old` go, and these records come in their place.
///
/// # Errors
/// [`Error::Unique`], [`Error::Conflict`] when one of them is written meanwhile, or what the database reports.
pub async fn replace(
    run: &impl Run,
    new: &Collection,
    (marks, ids): (&str, &[String]),
    old: &[String],
    records: &[Record],
) -> Result<(), Error> {
    run.run("DELETE $marks RETURN NONE".to_owned(), vec![("marks".to_owned(), record_ids(marks, ids))]).await?;
    if !old.is_empty() {
        run.run("DELETE $old RETURN NONE".to_owned(), vec![("old".to_owned(), record_ids(new.table(), old))]).await?;
    }
    copy(run, new, records).await
}

/// Takes a copy away, and marks its record, so that it is copied again.
///
/// # Errors
/// What the database reports.
pub async fn evict(run: &impl Run, new: &Collection, marks: &str, id: &str) -> Result<(), Error> {
    let binds = vec![bind("id", record_id(new.table(), id)), bind("mark", record_id(marks, id))];
    run.run("DELETE $id RETURN NONE; UPSERT $mark SET stamp = rand::ulid() RETURN NONE".to_owned(), binds).await.map(drop)
}

/// The id of the copy, of another record, that has these values in the fields of a unique index.
///
/// # Errors
/// What the database reports.
pub async fn holder(run: &impl Run, new: &Collection, fields: &[&str], record: &Record) -> Result<Option<String>, Error> {
    let mut binds = vec![bind("tenant", record.tenant.clone()), bind("own", record.id.clone())];
    let mut text = format!("SELECT * FROM `{}` WHERE _tenant = $tenant", new.table());
    for (number, field) in fields.iter().enumerate() {
        text.push_str(&format!(" AND `{field}` = $value{number}"));
        binds.push((format!("value{number}"), to_stored(record.values.get(*field).unwrap_or(Value::null()))));
    }
    let values = run.run(format!("{text} AND _key != $own LIMIT 1"), binds).await?;
    let row = values.into_iter().next().and_then(first_row);
    row.map(|row| Row::new(row)?.text("_key")).transpose()
}

/// How many rows are taken away at once: a transaction keeps all of its own in memory.
const REMOVED_AT_ONCE: usize = 1_000;

/// Removes a table that nobody uses any more, bit by bit.
///
/// # Errors
/// What the database reports.
pub async fn remove_table(run: &impl Run, table: &str) -> Result<(), Error> {
    loop {
        let text = format!("SELECT VALUE id FROM `{table}` LIMIT {REMOVED_AT_ONCE}");
        let Ok(values) = run.run(text, Vec::new()).await else { break };
        let ids: Vec<Stored> = values.into_iter().flat_map(rows).collect();
        if ids.is_empty() {
            break;
        }
        run.run("DELETE $ids RETURN NONE".to_owned(), vec![bind("ids", ids)]).await?;
    }
    run.run(format!("REMOVE TABLE IF EXISTS `{table}`"), Vec::new()).await.map(drop)
}

fn record_ids(table: &str, ids: &[String]) -> Stored {
    ids.iter().map(|id| record_id(table, id)).collect::<Vec<Stored>>().into_value()
}

#[cfg(test)]
mod tests;
