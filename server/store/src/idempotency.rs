//! What was answered to writes that clients may send again: kept in the transaction of the write, found by the key of the client, forgotten
//! after a day.

use surrealdb::types::{Bytes, Value as Stored};

use crate::{
    Error,
    row::{Row, first_row, record_id, rows},
    transaction::{Run, bind},
};

const TABLE: &str = "_idempotency";

/// How many expired answers are removed at once: each may be large.
const REMOVED_AT_ONCE: usize = 200;

/// An answer that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptRow {
    /// Tells this from every other key of everybody: a digest.
    pub id: String,
    /// The digest of the request that was answered.
    pub request: String,
    /// What kind of success it was; the store does not know what it means.
    pub outcome: String,
    /// The entity tag.
    pub etag: Option<String>,
    /// Where the new record is.
    pub location: Option<String>,
    /// The body, as the caller packs it.
    pub body: Vec<u8>,
    /// When it may be forgotten, a canonical datetime.
    pub expires: String,
}

/// The answer under an id, expired or not.
///
/// # Errors
/// [`Error::Corrupt`] when it cannot be read, or what the database reports.
pub async fn get(run: &impl Run, id: &str) -> Result<Option<KeptRow>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id(TABLE, id))]).await?;
    let row = values.into_iter().next().and_then(first_row);
    row.map(|row| {
        let mut row = Row::new(row)?;
        Ok(KeptRow {
            id: id.to_owned(),
            request: row.text("request")?,
            outcome: row.text("outcome")?,
            etag: row.optional_text("etag"),
            location: row.optional_text("location"),
            body: row.bytes("body")?,
            expires: row.text("expires")?,
        })
    })
    .transpose()
}

/// Keeps an answer, in place of one that has expired. Of two transactions that do so under one id, one conflicts.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, row: KeptRow) -> Result<(), Error> {
    let text =
        "UPSERT $id CONTENT { request: $request, outcome: $outcome, etag: $etag, location: $location, body: $body, expires: $expires }
        RETURN NONE";
    let binds = vec![
        bind("id", record_id(TABLE, &row.id)),
        bind("request", row.request),
        bind("outcome", row.outcome),
        bind("etag", row.etag),
        bind("location", row.location),
        ("body".to_owned(), Stored::Bytes(Bytes::from(row.body))),
        bind("expires", row.expires),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Forgets what is kept under the id of this row, if its outcome is that of the row too.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, row: &KeptRow) -> Result<(), Error> {
    let binds = vec![bind("id", record_id(TABLE, &row.id)), bind("outcome", row.outcome.clone())];
    run.run("DELETE $id WHERE outcome = $outcome RETURN NONE".to_owned(), binds).await.map(drop)
}

/// Forgets what has expired, a few at a time.
///
/// # Errors
/// What the database reports.
pub async fn remove_expired(run: &impl Run, now: &str) -> Result<(), Error> {
    loop {
        let text = format!("SELECT VALUE id FROM {TABLE} WHERE expires <= $now LIMIT {REMOVED_AT_ONCE}");
        let values = run.run(text, vec![bind("now", now.to_owned())]).await?;
        let ids: Vec<Stored> = values.into_iter().flat_map(rows).collect();
        let last = ids.len() < REMOVED_AT_ONCE;
        if !ids.is_empty() {
            run.run("DELETE $ids RETURN NONE".to_owned(), vec![("ids".to_owned(), Stored::Array(ids.into()))]).await?;
        }
        if last {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Memory, Store};

    async fn store() -> Store {
        Store::open(&Database::Memory, Memory { block_cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20 }).await.expect("a store")
    }

    fn row(number: usize, expires: &str) -> KeptRow {
        let expires = expires.to_owned();
        KeptRow {
            id: format!("key {number}"),
            request: "r".to_owned(),
            outcome: "done".to_owned(),
            body: vec![0, 255],
            expires,
            ..KeptRow::default()
        }
    }

    #[tokio::test]
    async fn what_is_kept_comes_back_until_it_expires() {
        let store = store().await;
        let later = KeptRow { etag: Some("\"1\"".to_owned()), location: Some("a/b".to_owned()), ..row(0, "2026-01-02") };
        put(&store, later.clone()).await.expect("kept");
        for number in 1..REMOVED_AT_ONCE * 2 {
            put(&store, row(number, "2026-01-01")).await.expect("kept");
        }
        assert_eq!(get(&store, "key 7").await.expect("read"), Some(row(7, "2026-01-01")));
        remove_expired(&store, "2026-01-01").await.expect("removed");
        assert_eq!(get(&store, "key 7").await.expect("read"), None);
        assert_eq!(get(&store, "key 0").await.expect("read"), Some(later));
        remove_expired(&store, "2026-01-02").await.expect("removed");
        assert_eq!(get(&store, "key 0").await.expect("read"), None);
    }

    #[tokio::test]
    async fn only_what_has_this_outcome_is_removed() {
        let store = store().await;
        put(&store, row(1, "2026-01-01")).await.expect("kept");
        remove(&store, &KeptRow { outcome: "another".to_owned(), ..row(1, "2026-01-01") }).await.expect("looked for");
        assert_eq!(get(&store, "key 1").await.expect("read"), Some(row(1, "2026-01-01")));
        remove(&store, &row(1, "2026-01-01")).await.expect("removed");
        assert_eq!(get(&store, "key 1").await.expect("read"), None);
    }

    #[tokio::test]
    async fn of_two_who_keep_under_one_key_at_once_one_conflicts() {
        let store = store().await;
        let (one, other) = (store.begin().await.expect("begun"), store.begin().await.expect("begun"));
        for transaction in [&one, &other] {
            assert_eq!(get(transaction, "key 1").await.expect("read"), None);
        }
        put(&one, row(1, "2026-01-01")).await.expect("written");
        one.commit().await.expect("committed");
        let outcome = match put(&other, row(1, "2026-01-02")).await {
            Ok(()) => other.commit().await,
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(Error::Conflict)), "{outcome:?}");
        assert_eq!(get(&store, "key 1").await.expect("read"), Some(row(1, "2026-01-01")));
    }
}
