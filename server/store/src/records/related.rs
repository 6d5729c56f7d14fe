//! Records that stand in a relation to others, many at once: those that are pointed to, and those that point here.

use model::{Collection, Record, Value};
use surrealdb::types::{Array, Value as Stored};

use super::{Ground, wanted};
use crate::{
    Error,
    row::{self, Row, record_id, rows},
    transaction::{Binds, Run, bind},
    value::{from_stored, to_stored},
};

/// How many statements go to the database in one text.
const STATEMENTS: usize = 64;

/// Reads the records of a tenant that have these ids, whoever may see them, in no particular order. Ids of nothing are passed over.
///
/// # Errors
/// What the database reports.
pub async fn get_many(run: &impl Run, collection: &Collection, tenant: &str, ids: &[&str]) -> Result<Vec<Record>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = ids.iter().map(|id| record_id(collection.table(), id)).collect::<Vec<_>>();
    let values = run.run("SELECT * FROM $ids".to_owned(), vec![("ids".to_owned(), Stored::Array(Array::from(ids)))]).await?;
    let found = values.into_iter().flat_map(rows).filter(|row| matches!(row, Stored::Object(_)));
    let records = found.map(|row| row::to_record(collection, row)).collect::<Result<Vec<_>, _>>()?;
    Ok(records.into_iter().filter(|record| record.tenant == tenant).collect())
}

/// How many records are found at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of those that point to one and the same record. Only where an index leads to them, or all point to one record; elsewhere it is for
    /// the caller to cut.
    pub each: usize,
    /// In all. The search ends soon after.
    pub all: usize,
}

/// A record that points to others.
#[derive(Clone, Debug)]
pub struct Pointing {
    /// Its id.
    pub id: String,
    /// What its relation field holds.
    pub value: Value,
}

/// Finds the records that name one of these ids in a relation field and that the ground lets be seen, newest first for each id.
///
/// # Errors
/// What the database reports.
pub async fn pointing(
    run: &impl Run,
    collection: &Collection,
    ground: Ground<'_>,
    field: &str,
    ids: &[&str],
    bounds: Bounds,
) -> Result<Vec<Pointing>, Error> {
    let mut binds = Binds::new();
    let Some(wanted) = wanted(collection, ground, None, &mut binds) else { return Ok(Vec::new()) };
    let select = format!("SELECT _key, `{field}` FROM `{}` WHERE {wanted} AND `{field}`", collection.table());
    let many = collection.field(field).is_some_and(|field| field.many);
    let led = collection.indexes().iter().any(|index| index.fields.first().is_some_and(|first| first == field));
    let mut found = Vec::new();
    if !many && (led || ids.len() == 1) {
        for portion in ids.chunks(STATEMENTS) {
            let statements = (0..portion.len()).map(|at| format!("{select} = $target{at} ORDER BY _key DESC LIMIT {};", bounds.each));
            let targets = portion.iter().enumerate().map(|(at, id)| bind(&format!("target{at}"), (*id).to_owned()));
            let binds = binds.iter().cloned().chain(targets).collect();
            found.extend(run.run(statements.collect(), binds).await?.into_iter().flat_map(rows));
            if found.len() > bounds.all {
                break;
            }
        }
    } else if !ids.is_empty() {
        let test = if many { "CONTAINSANY" } else { "IN" };
        let targets = Value::List(ids.iter().map(|id| Value::from(*id)).collect());
        binds.push(("targets".to_owned(), to_stored(&targets)));
        let text = format!("{select} {test} $targets ORDER BY _key DESC LIMIT {}", bounds.all);
        found.extend(run.run(text, binds).await?.into_iter().flat_map(rows));
    }
    found.into_iter().map(|row| to_pointing(row, field)).collect()
}

fn to_pointing(row: Stored, field: &str) -> Result<Pointing, Error> {
    let mut row = Row::new(row)?;
    let id = row.text("_key")?;
    Ok(Pointing { id, value: row.take(field).and_then(from_stored).unwrap_or_default() })
}
