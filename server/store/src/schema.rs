//! Tables and indexes. Every index leads with the tenant and ends with the key, so that a list by tenant, in any declared order, from any
//! cursor, is one scan that stops after `LIMIT` entries. Names come from checked collections, so they may stand in the text of a statement.

use model::{Collection, collection::Index};

use crate::{Error, Store, transaction::Run};

/// The version of the system tables that this code writes. A database that says more was written by a newer server.
const FORMAT: i64 = 1;

/// What is defined in every database. `SCHEMALESS`, because the types live in our collections and every write is validated before it comes
/// here; `PERMISSIONS NONE` in case somebody connects to the database with less than root.
const SYSTEM_TABLES: [&str; 20] = [
    "_alterations",
    "_collections",
    "_policies",
    "_role_links",
    "_policy_log",
    "_decisions",
    "_plugins",
    "_plugin_versions",
    "_plugin_settings",
    "_rule_order",
    "_outbox",
    "_schedules",
    "_guards",
    "_imports",
    "_cursors",
    "_idempotency",
    "_sessions",
    "_changes",
    "_settings",
    "_versions",
];

/// What a word is: a run of letters or of digits, without accents and in small letters. Nothing that depends on a language.
const ANALYZER: &str = "DEFINE ANALYZER IF NOT EXISTS _words TOKENIZERS blank, class, punct FILTERS ascii, lowercase;";

/// Brings the system tables up to date.
///
/// # Errors
/// [`Error::Open`] when the database was written by a newer server.
pub(crate) async fn migrate(store: &Store) -> Result<(), Error> {
    let tables = SYSTEM_TABLES.map(|table| format!("DEFINE TABLE IF NOT EXISTS {table} SCHEMALESS PERMISSIONS NONE;")).concat();
    let indexes = "DEFINE INDEX IF NOT EXISTS by_collection ON _alterations FIELDS collection, key;
        DEFINE INDEX IF NOT EXISTS by_account ON _sessions FIELDS account;
        DEFINE INDEX IF NOT EXISTS by_expiry ON _decisions FIELDS expires;
        DEFINE INDEX IF NOT EXISTS by_expiry ON _idempotency FIELDS expires;
        DEFINE INDEX IF NOT EXISTS by_due ON _outbox FIELDS state, queue, due;
        DEFINE INDEX IF NOT EXISTS by_turn ON _outbox FIELDS turn, _key;
        DEFINE INDEX IF NOT EXISTS by_state ON _outbox FIELDS state, _key;
        DEFINE INDEX IF NOT EXISTS by_expiry ON _cursors FIELDS expires;
        DEFINE INDEX IF NOT EXISTS by_tenant ON _imports FIELDS tenant, key;
        DEFINE INDEX IF NOT EXISTS by_record ON _changes FIELDS collection, record;";
    store.run(format!("{tables}{indexes}{ANALYZER}"), Vec::new()).await?;
    let found = crate::settings::get(store, "format").await?;
    match found.as_deref().map(str::parse::<i64>) {
        None => crate::settings::put(store, "format", &FORMAT.to_string()).await,
        Some(Ok(format)) if format <= FORMAT => Ok(()),
        Some(_) => Err(Error::Open(format!("the database was written by a newer version (format {found:?}, this server knows {FORMAT})"))),
    }
}

/// Defines the table of a new collection with its indexes.
///
/// # Errors
/// What the database reports.
pub async fn create_table(run: &impl Run, collection: &Collection) -> Result<(), Error> {
    let name = collection.table();
    let mut text = format!(
        "DEFINE TABLE `{name}` SCHEMALESS PERMISSIONS NONE;
         DEFINE INDEX _list ON `{name}` FIELDS _tenant, _key;
         DEFINE INDEX _created ON `{name}` FIELDS _tenant, created, _key;
         DEFINE INDEX _updated ON `{name}` FIELDS _tenant, updated, _key;"
    );
    text.extend(collection.indexes().iter().map(|index| define_index(name, index)));
    text.extend(collection.search().iter().map(|field| define_search(name, field)));
    run.run(text, Vec::new()).await.map(drop)
}

/// Defines the indexes of a collection that its table lacks, which those of earlier servers may. Not in a transaction: the database builds an
/// index from what is committed, and would miss what the transaction has written.
///
/// # Errors
/// [`Error::Unique`] when stored values are not unique, or what the database reports.
pub async fn define_indexes(store: &Store, collection: &Collection) -> Result<(), Error> {
    let indexes = collection.indexes();
    let indexes = indexes.iter().map(|index| define_index(collection.table(), index));
    let text: String = indexes.chain(collection.search().iter().map(|field| define_search(collection.table(), field))).collect();
    if text.is_empty() { Ok(()) } else { store.run(text, Vec::new()).await.map(drop) }
}

/// Removes a table with everything in it.
///
/// # Errors
/// What the database reports.
pub async fn drop_table(run: &impl Run, collection: &Collection) -> Result<(), Error> {
    run.run(format!("REMOVE TABLE `{}`;", collection.table()), Vec::new()).await.map(drop)
}

fn define_index(table: &str, index: &Index) -> String {
    let fields: Vec<String> = index.fields.iter().map(|field| format!("`{field}`")).collect();
    let (key, unique) = if index.unique { ("", " UNIQUE") } else { (", _key", "") };
    format!("DEFINE INDEX IF NOT EXISTS {} ON `{table}` FIELDS _tenant, {}{key}{unique};", index_name(index), fields.join(", "))
}

/// With the places of words, by which they are counted: see `records::search`.
fn define_search(table: &str, field: &str) -> String {
    let name = search_name(field);
    format!("DEFINE INDEX IF NOT EXISTS {name} ON `{table}` FIELDS `{field}` FULLTEXT ANALYZER _words BM25 HIGHLIGHTS;")
}

fn search_name(field: &str) -> String {
    format!("s_{field}")
}

/// The separator cannot begin a field name, but `a__b` is one, so the name of an index counts its fields.
fn index_name(index: &Index) -> String {
    let prefix = if index.unique { "u" } else { "i" };
    format!("{prefix}{}_{}", index.fields.len(), index.fields.join("__"))
}

/// The fields of the unique index that [`Error::Unique`] names.
#[must_use]
pub fn index_fields<'a>(collection: &'a Collection, name: &str) -> Vec<&'a str> {
    let names = |index: &Index| index.fields.iter().filter_map(|field| collection.field(field)).map(|field| field.name.as_str()).collect();
    collection.indexes().iter().find(|index| index_name(index) == name).map_or_else(Vec::new, names)
}
