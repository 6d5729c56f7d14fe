//! A value for all records that have none.

use model::{Collection, Value};

use crate::{
    Error,
    row::digits,
    transaction::{Run, bind},
    value::to_stored,
};

/// Writes a value, in the form of its field, into the column of all stored records in which it is null.
///
/// # Errors
/// [`Error::Unique`], or what the database reports.
pub async fn fill(run: &impl Run, collection: &Collection, field: &str, value: &Value) -> Result<(), Error> {
    let table = collection.name();
    let mut binds = vec![("value".to_owned(), to_stored(value))];
    let mut change = format!("`{field}` = $value");
    if let Some(digits) = digits(value) {
        change.push_str(&format!(", `_scales`.`{field}` = $digits"));
        binds.push(bind("digits", digits));
    }
    run.run(format!("UPDATE `{table}` SET {change} WHERE (`{field}` ?? NONE) = NONE RETURN NONE"), binds).await.map(drop)
}
