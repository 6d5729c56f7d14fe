//! Several new records in one statement, and records by what is unique about them.

use model::{Collection, NewRecord, Record, Value};
use surrealdb::types::Value as Stored;

use crate::{
    Error, rebuild,
    row::{self, record_id},
    transaction::{Binds, Run, bind},
    value::to_stored,
};

/// Writes new records. What is wrong with one of them is said without saying with which.
///
/// # Errors
/// [`Error::Unique`], [`Error::Exists`], or what the database reports.
pub async fn insert_all(run: &impl Run, collection: &Collection, new: &[NewRecord]) -> Result<(), Error> {
    let content = |new: &NewRecord| {
        let mut content = row::from_record(new.record());
        content.insert("id", record_id(collection.table(), &new.record().id));
        Stored::Object(content)
    };
    let rows: Vec<Stored> = new.iter().map(content).collect();
    let text = format!("INSERT INTO `{}` $rows RETURN NONE", collection.table());
    let ids: Vec<&str> = new.iter().map(|new| new.record().id.as_str()).collect();
    run.wrote();
    rebuild::marked(run, collection, &ids, &text, vec![("rows".to_owned(), Stored::Array(rows.into()))]).await
}

/// The record that has these values in the fields of a unique index, whoever may see it. That none has them may have changed at the commit,
/// which then fails because of the index; who tries again waits for the others that want the same values.
///
/// # Errors
/// [`Error::Conflict`] when others queue for the values, or what the database reports.
pub async fn find_by(run: &impl Run, collection: &Collection, tenant: &str, values: &[(String, Value)]) -> Result<Option<Record>, Error> {
    let name = collection.name();
    let wanted: Vec<String> = values.iter().map(|(field, value)| format!("{field}={}", value.to_json())).collect();
    run.touch(format!("{name}?{tenant}&{}", wanted.join("&")))?;
    let mut binds: Binds = vec![bind("tenant", tenant.to_owned())];
    let mut text = format!("SELECT * FROM `{}` WHERE _tenant = $tenant", collection.table());
    for (number, (field, value)) in values.iter().enumerate() {
        text.push_str(&format!(" AND `{field}` = $value{number}"));
        binds.push((format!("value{number}"), to_stored(value)));
    }
    let found = run.run(text + " LIMIT 1", binds).await?;
    found.into_iter().next().and_then(row::first_row).map(|row| row::to_record(collection, row)).transpose()
}
