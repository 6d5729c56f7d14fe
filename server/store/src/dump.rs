//! Everything that the database holds, as text: for tests, which compare it before and after what must leave it as it is. No story reads it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use surrealdb::types::{RecordIdKey, Value as Stored};

use crate::{
    Error,
    row::{Row, rows},
    transaction::Run,
};

/// The definitions of the database (`definitions`) and of each table (`TABLE`), and every row with its id (`TABLE:ID`). Values are told with
/// their types; of bytes, such as the code of plugins, length and hash.
///
/// # Errors
/// What the database reports.
pub async fn everything(run: &impl Run) -> Result<BTreeMap<String, String>, Error> {
    let database = answer(run, "INFO FOR DB".to_owned()).await?;
    let mut found = BTreeMap::from([("definitions".to_owned(), text(database.clone()))]);
    for table in tables(database)? {
        for row in rows(answer(run, format!("SELECT * FROM `{table}`")).await?) {
            found.insert(format!("{table}:{}", key(&row)), text(row));
        }
        let definition = answer(run, format!("INFO FOR TABLE `{table}`")).await?;
        found.insert(table, text(definition));
    }
    Ok(found)
}

async fn answer(run: &impl Run, statement: String) -> Result<Stored, Error> {
    Ok(run.run(statement, Vec::new()).await?.into_iter().next().unwrap_or_default())
}

fn tables(database: Stored) -> Result<Vec<String>, Error> {
    match Row::new(database)?.take("tables") {
        Some(Stored::Object(tables)) => Ok(tables.into_inner().into_keys().collect()),
        other => Err(Error::Corrupt(format!("expected tables, got {other:?}"))),
    }
}

fn key(row: &Stored) -> String {
    let id = Row::new(row.clone()).ok().and_then(|mut row| row.take("id"));
    match id {
        Some(Stored::RecordId(id)) => match id.key {
            RecordIdKey::String(key) => key,
            key => format!("{key:?}"),
        },
        other => format!("{other:?}"),
    }
}

fn text(value: Stored) -> String {
    match value {
        Stored::Object(members) => {
            let members: Vec<String> = members.into_inner().into_iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        Stored::Array(values) => format!("[{}]", values.into_vec().into_iter().map(text).collect::<Vec<_>>().join(", ")),
        Stored::Bytes(bytes) => {
            let bytes = bytes.into_inner().to_vec();
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            format!("{} bytes {:016x}", bytes.len(), hasher.finish())
        }
        plain => format!("{plain:?}"),
    }
}
