//! The change log: what was committed, by whom, on which ground. Written in the same transaction as the record.

use model::Record;
use surrealdb::types::Value as Stored;

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
    let record = change.after.or(change.before).map(|record| record.id.clone()).unwrap_or_default();
    let content = |record: Option<&Record>| record.map_or(Stored::None, |record| Stored::Object(row::from_record(record)));
    let text = "CREATE $id CONTENT { action: $action, collection: $collection, record: $record, before: $before, after: $after,
        principal: $principal, plugins: $plugins, policies: $policies, request: $request, at: $at } RETURN NONE";
    let binds = vec![
        bind("id", row::record_id("_changes", &change.id)),
        bind("action", change.action.to_owned()),
        bind("collection", change.collection.to_owned()),
        bind("record", record),
        bind("before", content(change.before)),
        bind("after", content(change.after)),
        bind("principal", change.principal.clone()),
        bind("plugins", change.plugins.clone()),
        bind("policies", change.policies.clone()),
        bind("request", change.request.clone()),
        bind("at", change.at.clone()),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}
