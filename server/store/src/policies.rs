//! Policies and role links that were made at run time. The store keeps their columns and does not know what they mean.

use std::ops::Bound;

use surrealdb::types::{RecordId, RecordIdKey, RecordIdKeyRange, SurrealValue, Value as Stored};

use crate::{
    Error,
    row::{Row, record_id, rows},
    transaction::{Run, bind},
};

/// The columns of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns are explained in the policies crate")]
pub struct PolicyRow {
    pub id: String,
    pub subject: String,
    pub domain: String,
    pub object: String,
    pub action: String,
    pub fields: String,
    pub condition: String,
    pub effect: String,
}

/// That a member (a principal or a role) has a role in a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns are explained in the policies crate")]
pub struct RoleRow {
    pub member: String,
    pub role: String,
    pub tenant: String,
}

/// How many rows are read in one go: a million of them at once would need gigabytes.
const PAGE: usize = 10_000;

/// Calls `each` for every policy, in the order of their ids.
///
/// # Errors
/// [`Error::Corrupt`] when one cannot be read; what `each` reports.
pub async fn each<E: From<Error>>(run: &impl Run, mut each: impl FnMut(PolicyRow) -> Result<(), E>) -> Result<(), E> {
    let mut after = None;
    loop {
        let page = page(run, "_policies", after.as_deref()).await?;
        let more = page.len() == PAGE;
        for row in page {
            let row = policy(row)?;
            if more {
                after = Some(row.id.clone());
            }
            each(row)?;
        }
        if !more {
            return Ok(());
        }
    }
}

/// The rows of a table behind an id.
async fn page(run: &impl Run, table: &str, after: Option<&str>) -> Result<Vec<Stored>, Error> {
    let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(RecordIdKey::String(after.to_owned())));
    let key = RecordIdKey::Range(Box::new(RecordIdKeyRange { start, end: Bound::Unbounded }));
    let range = RecordId::new(table, key).into_value();
    let values = run.run(format!("SELECT * FROM $range LIMIT {PAGE}"), vec![bind("range", range)]).await?;
    Ok(values.into_iter().flat_map(rows).collect())
}

/// One policy.
///
/// # Errors
/// [`Error::Corrupt`] when it cannot be read.
pub async fn get(run: &impl Run, id: &str) -> Result<Option<PolicyRow>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id("_policies", id))]).await?;
    values.into_iter().flat_map(rows).next().map(policy).transpose()
}

fn policy(row: Stored) -> Result<PolicyRow, Error> {
    let mut row = Row::new(row)?;
    Ok(PolicyRow {
        id: row.text("key")?,
        subject: row.text("subject")?,
        domain: row.text("domain")?,
        object: row.text("object")?,
        action: row.text("action")?,
        fields: row.text("fields")?,
        condition: row.text("condition")?,
        effect: row.text("effect")?,
    })
}

/// Writes a policy; writing it again changes nothing.
///
/// # Errors
/// What the database reports.
pub async fn put(run: &impl Run, policy: &PolicyRow) -> Result<(), Error> {
    let text = "UPSERT $id CONTENT { key: $key, subject: $subject, domain: $domain, object: $object, action: $action,
        fields: $fields, condition: $condition, effect: $effect } RETURN NONE";
    let binds = vec![
        bind("id", record_id("_policies", &policy.id)),
        bind("key", policy.id.clone()),
        bind("subject", policy.subject.clone()),
        bind("domain", policy.domain.clone()),
        bind("object", policy.object.clone()),
        bind("action", policy.action.clone()),
        bind("fields", policy.fields.clone()),
        bind("condition", policy.condition.clone()),
        bind("effect", policy.effect.clone()),
    ];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Removes a policy; true if it was there.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, id: &str) -> Result<bool, Error> {
    removed(run, record_id("_policies", id)).await
}

/// Calls `each` for every role link.
///
/// # Errors
/// [`Error::Corrupt`] when one cannot be read; what `each` reports.
pub async fn each_link<E: From<Error>>(run: &impl Run, mut each: impl FnMut(RoleRow) -> Result<(), E>) -> Result<(), E> {
    let mut after = None;
    loop {
        let page = page(run, "_role_links", after.as_deref()).await?;
        let more = page.len() == PAGE;
        for row in page {
            let mut row = Row::new(row)?;
            let link = RoleRow { member: row.text("member")?, role: row.text("role")?, tenant: row.text("tenant")? };
            if more {
                after = Some(link_key(&link));
            }
            each(link)?;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Writes a role link; writing it again changes nothing.
///
/// # Errors
/// What the database reports.
pub async fn put_link(run: &impl Run, link: &RoleRow) -> Result<(), Error> {
    let binds = vec![
        bind("id", link_id(link)),
        bind("member", link.member.clone()),
        bind("role", link.role.clone()),
        bind("tenant", link.tenant.clone()),
    ];
    run.run("UPSERT $id CONTENT { member: $member, role: $role, tenant: $tenant } RETURN NONE".to_owned(), binds).await.map(drop)
}

/// Removes a role link; true if it was there.
///
/// # Errors
/// What the database reports.
pub async fn remove_link(run: &impl Run, link: &RoleRow) -> Result<bool, Error> {
    removed(run, link_id(link)).await
}

fn link_id(link: &RoleRow) -> Stored {
    record_id("_role_links", &link_key(link))
}

fn link_key(link: &RoleRow) -> String {
    // The newline stands in none of the three, so the key is unambiguous.
    [link.member.as_str(), &link.role, &link.tenant].join("\n")
}

async fn removed(run: &impl Run, id: Stored) -> Result<bool, Error> {
    let values = run.run("DELETE $id RETURN BEFORE".to_owned(), vec![bind("id", id)]).await?;
    Ok(values.into_iter().flat_map(rows).next().is_some())
}

/// The log of what was changed about policies and role links: one row for each change, in the transaction that makes it.
pub mod log {
    use super::{Bound, Error, PAGE, RecordId, RecordIdKey, RecordIdKeyRange, Row, Run, Stored, SurrealValue, bind, record_id, rows};

    const TABLE: &str = "_policy_log";

    /// One change.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LogRow {
        /// The count of changes that it made.
        pub epoch: u64,
        /// When, a canonical datetime.
        pub at: String,
        /// The principal.
        pub by: String,
        /// The request.
        pub request: String,
        /// Why, in the principal's words; may be empty.
        pub reason: String,
        /// What was added and removed; the store does not know what it means.
        pub change: String,
    }

    /// Appends a change.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn append(run: &impl Run, row: &LogRow) -> Result<(), Error> {
        let text =
            "CREATE $id CONTENT { epoch: $epoch, at: $at, by: $by, request: $request, reason: $reason, change: $change } RETURN NONE";
        let binds = vec![
            bind("id", record_id(TABLE, &key(row.epoch))),
            bind("epoch", i64::try_from(row.epoch).unwrap_or(i64::MAX)),
            bind("at", row.at.clone()),
            bind("by", row.by.clone()),
            bind("request", row.request.clone()),
            bind("reason", row.reason.clone()),
            bind("change", row.change.clone()),
        ];
        run.run(text.to_owned(), binds).await.map(drop)
    }

    /// The changes after one epoch up to another, oldest first; none if there are so many that reading everything anew is quicker.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when one cannot be read.
    pub async fn between(run: &impl Run, after: u64, until: u64) -> Result<Option<Vec<LogRow>>, Error> {
        let rows = range(run, Bound::Excluded(after), Bound::Included(until), "", PAGE).await?;
        Ok(if rows.len() == PAGE { None } else { Some(rows) })
    }

    /// The latest changes before an epoch, newest first.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when one cannot be read.
    pub async fn latest(run: &impl Run, before: Option<u64>, limit: usize) -> Result<Vec<LogRow>, Error> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        range(run, Bound::Unbounded, end, "ORDER BY id DESC", limit).await
    }

    async fn range(run: &impl Run, start: Bound<u64>, end: Bound<u64>, order: &str, limit: usize) -> Result<Vec<LogRow>, Error> {
        let bound = |bound: Bound<u64>| bound.map(|epoch| RecordIdKey::String(key(epoch)));
        let ids = RecordIdKey::Range(Box::new(RecordIdKeyRange { start: bound(start), end: bound(end) }));
        let range = RecordId::new(TABLE, ids).into_value();
        let values = run.run(format!("SELECT * FROM $range {order} LIMIT {limit}"), vec![bind("range", range)]).await?;
        values.into_iter().flat_map(rows).map(row).collect()
    }

    fn row(row: Stored) -> Result<LogRow, Error> {
        let mut row = Row::new(row)?;
        Ok(LogRow {
            epoch: row.integer("epoch")?.unsigned_abs(),
            at: row.text("at")?,
            by: row.text("by")?,
            request: row.text("request")?,
            reason: row.optional_text("reason").unwrap_or_default(),
            change: row.text("change")?,
        })
    }

    /// Texts of one width, so that their order is that of the numbers.
    fn key(epoch: u64) -> String {
        format!("{epoch:020}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Memory, Store};

    async fn store() -> Store {
        Store::open(&Database::Memory, Memory { block_cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20 }).await.expect("a store")
    }

    fn policy(number: usize) -> PolicyRow {
        let (subject, domain, object) = (format!("role:r{number}"), "*".to_owned(), "posts".to_owned());
        let (action, fields, condition) = ("read".to_owned(), "*".to_owned(), String::new());
        PolicyRow { id: format!("{number:016x}"), subject, domain, object, action, fields, condition, effect: "allow".to_owned() }
    }

    /// The tables are read in pages, and nothing may fall between two of them.
    #[tokio::test(flavor = "multi_thread")]
    async fn every_row_is_read_once_and_in_order() {
        let store = store().await;
        for count in [0, 1, PAGE, PAGE + 1] {
            let transaction = store.begin().await.expect("a transaction");
            for number in 0..count {
                put(&transaction, &policy(number)).await.expect("written");
                let link = RoleRow { member: format!("user:u{number:06}"), role: "role:r".to_owned(), tenant: "*".to_owned() };
                put_link(&transaction, &link).await.expect("written");
            }
            transaction.commit().await.expect("committed");
            let (mut policies, mut members) = (Vec::new(), Vec::new());
            each(&store, |row| {
                policies.push(row);
                Ok::<_, Error>(())
            })
            .await
            .expect("read");
            each_link(&store, |row| {
                members.push(row.member);
                Ok::<_, Error>(())
            })
            .await
            .expect("read");
            assert_eq!(policies, (0..count).map(policy).collect::<Vec<_>>());
            assert_eq!(members, (0..count).map(|number| format!("user:u{number:06}")).collect::<Vec<_>>());
        }
        assert_eq!(get(&store, &policy(7).id).await.expect("read"), Some(policy(7)));
        assert!(get(&store, "none").await.expect("read").is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_is_read_from_both_ends() {
        let store = store().await;
        let row = |epoch: u64| log::LogRow {
            epoch,
            at: "2026-01-01T00:00:00.000000Z".to_owned(),
            by: "user:u".to_owned(),
            request: "r".to_owned(),
            reason: String::new(),
            change: "{}".to_owned(),
        };
        for epoch in [2, 9, 10, 100] {
            log::append(&store, &row(epoch)).await.expect("written");
        }
        let epochs = |rows: Vec<log::LogRow>| rows.iter().map(|row| row.epoch).collect::<Vec<_>>();
        let between = async |after, until| epochs(log::between(&store, after, until).await.expect("read").expect("few rows"));
        assert_eq!(between(0, 1_000).await, [2, 9, 10, 100]);
        assert_eq!(between(2, 10).await, [9, 10]);
        assert!(between(100, 1_000).await.is_empty() && between(10, 10).await.is_empty());
        let latest = async |before, limit| epochs(log::latest(&store, before, limit).await.expect("read"));
        assert_eq!(latest(None, 3).await, [100, 10, 9]);
        assert_eq!(latest(Some(10), 3).await, [9, 2]);
        assert_eq!(log::latest(&store, None, 1).await.expect("read"), [row(100)]);
        // The change of an epoch is written once.
        assert!(log::append(&store, &row(9)).await.is_err());
    }
}
