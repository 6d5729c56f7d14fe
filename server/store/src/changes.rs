//! The change log: what was committed, by whom, on which ground. Written in the same transaction as the record.

use model::Record;
use surrealdb::types::{Object, Value as Stored};

use crate::{
    Error, row,
    transaction::{Run, bind},
};

/// One committed write.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// A ULID made by the writing node; close to the commit order, not equal to it.
    pub id: String,
    /// `create`, `update` or `delete`.
    pub action: &'a str,
    /// The collection.
    pub collection: &'a str,
    /// The record before; none for `create`.
    pub before: Option<&'a Record>,
    /// The record after; none for `delete`.
    pub after: Option<&'a Record>,
    /// The principal that asked.
    pub principal: String,
    /// The plugins that ran, as `name@version#digest`.
    pub plugins: Vec<String>,
    /// The policies that allowed it, by id.
    pub policies: Vec<String>,
    /// The request, as in the log and in the answer.
    pub request: String,
    /// When, a canonical datetime.
    pub at: String,
}

/// Appends a change.
///
/// # Errors
/// What the database reports.
pub async fn append(run: &impl Run, change: &Change<'_>) -> Result<(), Error> {
    let binds = vec![bind("id", row::record_id("_changes", &change.id)), bind("row", Stored::Object(content(change)))];
    run.run("CREATE $id CONTENT $row RETURN NONE".to_owned(), binds).await.map(drop)
}

/// Appends several changes in one statement.
///
/// # Errors
/// What the database reports.
pub async fn append_all(run: &impl Run, changes: &[Change<'_>]) -> Result<(), Error> {
    let row = |change: &Change<'_>| {
        let mut row = content(change);
        row.insert("id", row::record_id("_changes", &change.id));
        Stored::Object(row)
    };
    let rows: Vec<Stored> = changes.iter().map(row).collect();
    let binds = vec![("rows".to_owned(), Stored::Array(rows.into()))];
    run.run("INSERT INTO _changes $rows RETURN NONE".to_owned(), binds).await.map(drop)
}

fn content(change: &Change<'_>) -> Object {
    let record = change.after.or(change.before).map(|record| record.id.clone()).unwrap_or_default();
    let whole = |record: Option<&Record>| record.map_or(Stored::None, |record| Stored::Object(row::from_record(record)));
    let mut row = Object::new();
    row.insert("action", change.action.to_owned());
    row.insert("collection", change.collection.to_owned());
    row.insert("record", record);
    row.insert("before", whole(change.before));
    row.insert("after", whole(change.after));
    row.insert("principal", change.principal.clone());
    row.insert("plugins", change.plugins.clone());
    row.insert("policies", change.policies.clone());
    row.insert("request", change.request.clone());
    row.insert("at", change.at.clone());
    row
}
