//! Refusals that can be looked up later: the id that the refused caller was told, and the explanation, as text.

use crate::{
    Error,
    row::{Row, first_row, record_id},
    transaction::{Run, bind},
};

const TABLE: &str = "_decisions";

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRow {
    /// What the refused caller was told.
    pub id: String,
    /// When it may be forgotten, a canonical datetime.
    pub expires: String,
    /// The explanation; the store does not know what it means.
    pub text: String,
}

/// Keeps refusals.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, rows: &[DecisionRow]) -> Result<(), Error> {
    let mut text = String::new();
    let mut binds = Vec::with_capacity(rows.len() * 3);
    for (number, row) in rows.iter().enumerate() {
        text += &format!("UPSERT $id{number} CONTENT {{ key: $key{number}, expires: $expires{number}, text: $text{number} }} RETURN NONE;");
        binds.push(bind(&format!("id{number}"), record_id(TABLE, &row.id)));
        binds.push(bind(&format!("key{number}"), row.id.clone()));
        binds.push(bind(&format!("expires{number}"), row.expires.clone()));
        binds.push(bind(&format!("text{number}"), row.text.clone()));
    }
    if rows.is_empty() { Ok(()) } else { run.run(text, binds).await.map(drop) }
}

/// One refusal.
///
/// # Errors
/// [`Error::Corrupt`] when it cannot be read.
pub async fn get(run: &impl Run, id: &str) -> Result<Option<DecisionRow>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id(TABLE, id))]).await?;
    let row = values.into_iter().next().and_then(first_row);
    row.map(|row| {
        let mut row = Row::new(row)?;
        Ok(DecisionRow { id: row.text("key")?, expires: row.text("expires")?, text: row.text("text")? })
    })
    .transpose()
}

/// Forgets what has expired.
///
/// # Errors
/// What the database reports.
pub async fn remove_expired(run: &impl Run, now: &str) -> Result<(), Error> {
    run.run(format!("DELETE {TABLE} WHERE expires <= $now RETURN NONE"), vec![bind("now", now.to_owned())]).await.map(drop)
}
