//! Records in their tables. Every statement pins the tenant, so isolation and fast scans are the same mechanism. What may be seen is
//! decided by guards that become part of the query: there is no list without them.

pub mod aggregate;

pub mod related;

pub mod search;

mod named;

mod many;

mod page;

pub use many::{find_by, insert_all};
use model::{Caller, Collection, Condition, Guard, NewRecord, Record, Value, query::List};
use surrealdb::types::{Array, Value as Stored};

use crate::{
    Error,
    condition::{Clause, translate, translate_filter},
    rebuild,
    row::{self, record_id, rows},
    transaction::{Binds, Run, bind},
    value::{from_stored, to_stored},
};

/// Who asks, and what that allows: the ground on which a query stands.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// Whose `caller.` paths the conditions mean, and whose tenant is searched.
    pub caller: &'a Caller,
    /// What `now` means, a canonical datetime.
    pub now: &'a str,
    /// All of these must let a record pass; none means that every record of the tenant may be seen.
    pub guards: &'a [&'a Guard],
}

/// Reads one record of a tenant, whoever may see it.
///
/// # Errors
/// What the database reports.
pub async fn get(run: &impl Run, collection: &Collection, tenant: &str, id: &str) -> Result<Option<Record>, Error> {
    read_one(run, collection, tenant, id, "").await
}

/// Reads one record that this transaction is going to change, or whose state decides what it writes: a change of it by another transaction
/// before the commit makes this one conflict.
///
/// # Errors
/// [`Error::Conflict`] when others queue for the record, or what the database reports.
pub async fn get_locked(run: &impl Run, collection: &Collection, tenant: &str, id: &str) -> Result<Option<Record>, Error> {
    run.touch(hot_key(collection, id))?;
    read_one(run, collection, tenant, id, " FOR UPDATE").await
}

async fn read_one(run: &impl Run, collection: &Collection, tenant: &str, id: &str, lock: &str) -> Result<Option<Record>, Error> {
    let values = run.run(format!("SELECT * FROM $id{lock}"), vec![bind("id", record_id(collection.table(), id))]).await?;
    let record = values.into_iter().next().and_then(row::first_row).map(|row| row::to_record(collection, row)).transpose()?;
    Ok(record.filter(|record| record.tenant == tenant))
}

fn hot_key(collection: &Collection, id: &str) -> String {
    format!("{}:{id}", collection.name())
}

/// Writes a new record.
///
/// # Errors
/// [`Error::Unique`], [`Error::Exists`], or what the database reports.
pub async fn insert(run: &impl Run, collection: &Collection, new: &NewRecord) -> Result<(), Error> {
    write(run, collection, new, "CREATE $id CONTENT $row RETURN NONE").await
}

/// Writes the next version of a stored record, which the transaction has read with [`get_locked`].
///
/// # Errors
/// [`Error::Unique`], or what the database reports.
pub async fn update(run: &impl Run, collection: &Collection, new: &NewRecord) -> Result<(), Error> {
    write(run, collection, new, "UPDATE $id CONTENT $row RETURN NONE").await
}

async fn write(run: &impl Run, collection: &Collection, new: &NewRecord, statement: &str) -> Result<(), Error> {
    let record = new.record();
    let content = Stored::Object(row::from_record(record));
    let binds = vec![bind("id", record_id(collection.table(), &record.id)), bind("row", content)];
    run.wrote();
    rebuild::marked(run, collection, &[&record.id], statement, binds).await
}

/// Removes a record, which the transaction has read with [`get_locked`].
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, collection: &Collection, id: &str) -> Result<(), Error> {
    run.wrote();
    rebuild::marked(run, collection, &[id], "DELETE $id RETURN NONE", vec![bind("id", record_id(collection.table(), id))]).await
}

/// Reads a page.
///
/// # Errors
/// What the database reports.
pub async fn list(run: &impl Run, collection: &Collection, ground: Ground<'_>, list: &List) -> Result<Vec<Record>, Error> {
    page::read(run, collection, ground, list, |binds| (source(collection, list.filter.as_deref(), binds), String::new())).await
}

/// Where records are read from: the table, or those that the filter names.
fn source(collection: &Collection, filter: Option<&Condition>, binds: &mut Binds) -> String {
    match filter.and_then(named::ids) {
        Some(ids) => {
            let ids = ids.into_iter().map(|id| record_id(collection.table(), id)).collect::<Vec<_>>();
            binds.push(("named".to_owned(), Stored::Array(Array::from(ids))));
            "$named".to_owned()
        }
        None => table(collection),
    }
}

fn table(collection: &Collection) -> String {
    format!("`{}`", collection.table())
}

/// What a list asks the database on this ground, in words for an operator: the text of WHERE, and its parameters as JSON. None if no record
/// could be among the answers.
#[must_use]
pub fn shown_filter(collection: &Collection, ground: Ground<'_>) -> Option<(String, Vec<(String, String)>)> {
    let mut binds = Binds::new();
    let text = wanted(collection, ground, None, &mut binds)?;
    let shown = |value| from_stored(value).map_or_else(|| "null".to_owned(), |value| value.to_json());
    Some((text, binds.into_iter().map(|(name, value)| (name, shown(value))).collect()))
}

/// Counts the records that a list without a limit would have.
///
/// # Errors
/// What the database reports.
pub async fn count(run: &impl Run, collection: &Collection, ground: Ground<'_>, filter: Option<&Condition>) -> Result<u64, Error> {
    let mut binds = Binds::new();
    let Some(wanted) = wanted(collection, ground, filter, &mut binds) else { return Ok(0) };
    let source = source(collection, filter, &mut binds);
    let text = format!("SELECT count() FROM {source} WHERE {wanted} GROUP ALL");
    let values = run.run(text, binds).await?;
    match values.into_iter().next().and_then(row::first_row) {
        None => Ok(0),
        Some(row) => Ok(row::Row::new(row)?.integer("count")?.unsigned_abs()),
    }
}

/// The record that has a value in a unique field, whoever may see it.
///
/// # Errors
/// What the database reports.
pub async fn find_unique(
    run: &impl Run,
    collection: &Collection,
    tenant: &str,
    field: &str,
    value: &Value,
) -> Result<Option<Record>, Error> {
    let text = format!("SELECT * FROM `{}` WHERE _tenant = $tenant AND `{field}` = $value LIMIT 1", collection.table());
    let binds = vec![bind("tenant", tenant.to_owned()), ("value".to_owned(), to_stored(value))];
    let values = run.run(text, binds).await?;
    values.into_iter().next().and_then(row::first_row).map(|row| row::to_record(collection, row)).transpose()
}

/// The records that name `id` in a relation field, at most `limit`, in no particular order and whoever may see them.
///
/// # Errors
/// What the database reports.
pub async fn referring(
    run: &impl Run,
    collection: &Collection,
    tenant: &str,
    field: &str,
    id: &str,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let many = collection.field(field).is_some_and(|field| field.many);
    let test = if many { format!("`{field}` CONTAINS $target") } else { format!("`{field}` = $target") };
    let text = format!("SELECT * FROM `{}` WHERE _tenant = $tenant AND {test} LIMIT {limit}", collection.table());
    let values = run.run(text, vec![bind("tenant", tenant.to_owned()), bind("target", id.to_owned())]).await?;
    values.into_iter().flat_map(rows).map(|row| row::to_record(collection, row)).collect()
}

/// True if there is no record of any tenant.
///
/// # Errors
/// What the database reports.
pub async fn is_empty(run: &impl Run, collection: &Collection) -> Result<bool, Error> {
    let values = run.run(format!("SELECT * FROM `{}` LIMIT 1", collection.table()), Vec::new()).await?;
    Ok(values.into_iter().next().and_then(row::first_row).is_none())
}

/// The part of WHERE that does not depend on the page: the tenant, what may be seen, what is asked for. None if nothing can match.
fn wanted(collection: &Collection, ground: Ground<'_>, filter: Option<&Condition>, binds: &mut Binds) -> Option<String> {
    binds.push(bind("tenant", ground.caller.tenant.clone()));
    let mut text = "_tenant = $tenant".to_owned();
    let allowed = translate(ground.guards, ground.caller, ground.now, collection, binds);
    let asked = filter.map(|filter| translate_filter(filter, ground.caller, ground.now, collection, binds));
    for clause in std::iter::once(allowed).chain(asked) {
        match clause {
            Clause::Never => return None,
            Clause::Always => {}
            Clause::When(clause) => {
                text.push_str(" AND ");
                text.push_str(&clause);
            }
        }
    }
    Some(text)
}
