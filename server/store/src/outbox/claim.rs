//! Who works on a row. A claim is one statement that compares and sets, so two workers never have the same row; a lease that runs out gives
//! the row of a lost node back. A row of a key is taken only while no earlier one of that key is left: `turn` holds the key until the row has
//! ended, so that looking for earlier ones never reads what is done.

use std::collections::{BTreeMap, BTreeSet};

use surrealdb::types::Value as Stored;

use crate::{
    Error, Store,
    outbox::{Delivery, Queue, delivery},
    row::{Row as Columns, first_row, record_id, rows},
    transaction::{Run, bind},
};

/// Rows that are looked at for one claim: those of a key that wait for an earlier one are put off meanwhile.
const LOOKED_AT: usize = 64;

/// What a worker wants.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Its name.
    pub worker: &'a str,
    /// Of which rows.
    pub queue: Queue,
    /// Only what is due by now, a canonical datetime like the others.
    pub now: &'a str,
    /// Until when its rows are its own.
    pub lease: &'a str,
    /// Until when rows are put off that wait for an earlier one of their key, whose end brings them back.
    pub put_off: &'a str,
    /// How many.
    pub limit: usize,
}

/// What a worker got.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Rows that are its own now.
    pub rows: Vec<Delivery>,
    /// True if there may be more that is due.
    pub more: bool,
}

/// How a row ended.
#[derive(Clone, Copy, Debug)]
pub enum Ended<'a> {
    /// It is done.
    Delivered,
    /// It was given up, for this reason.
    Dead(&'a str),
}

/// Another attempt.
#[derive(Clone, Copy, Debug)]
pub struct Again<'a> {
    /// When, a canonical datetime.
    pub due: &'a str,
    /// Why.
    pub error: Option<&'a str>,
    /// Attempts that count so far.
    pub attempts: u32,
}

/// Takes rows that are due for a worker.
///
/// # Errors
/// [`Error::Conflict`] when another worker was faster, and nothing is taken; or what the database reports.
pub async fn claim(store: &Store, claim: Claim<'_>) -> Result<Claimed, Error> {
    let due = format!("SELECT * FROM _outbox WHERE state = 'pending' AND queue = $queue AND due <= $now ORDER BY due LIMIT {LOOKED_AT}");
    let found = store.run(due, vec![bind("queue", claim.queue.name().to_owned()), bind("now", claim.now.to_owned())]).await?;
    let found: Vec<Delivery> = found.into_iter().flat_map(rows).map(delivery).collect::<Result<_, _>>()?;
    let mut more = found.len() == LOOKED_AT;
    let (mut ready, mut behind, mut heads) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for candidate in found {
        if ready.len() == claim.limit {
            more = true;
            break;
        }
        let (id, key) = (candidate.row.id, candidate.row.key);
        let head = match key {
            None => None,
            Some(key) => match heads.get(&key) {
                Some(head) => Clone::clone(head),
                None => heads.entry(key.clone()).or_insert(head_of(store, &key).await?).clone(),
            },
        };
        match head.filter(|head| *head != id) {
            None => ready.push(record_id("_outbox", &id)),
            Some(head) => drop(behind.insert(id, head)),
        }
    }
    put_off(store, behind, claim.put_off).await?;
    if ready.is_empty() {
        return Ok(Claimed { rows: Vec::new(), more });
    }
    let text = "UPDATE $ids SET state = 'running', worker = $worker, due = $lease, attempts += 1 WHERE state = 'pending' RETURN AFTER";
    let binds = vec![bind("ids", ready), bind("worker", claim.worker.to_owned()), bind("lease", claim.lease.to_owned())];
    let taken = store.run(text.to_owned(), binds).await?;
    Ok(Claimed { rows: taken.into_iter().flat_map(rows).map(delivery).collect::<Result<_, _>>()?, more })
}

/// The first row of a key that has not ended.
async fn head_of(run: &impl Run, key: &str) -> Result<Option<String>, Error> {
    let text = "SELECT _key FROM _outbox WHERE turn = $turn ORDER BY _key LIMIT 1";
    let head = run.run(text.to_owned(), vec![bind("turn", key.to_owned())]).await?.into_iter().next().and_then(first_row);
    head.map(|head| Columns::new(head)?.text("_key")).transpose()
}

/// Puts off rows that wait for an earlier one, so that a key that nobody can deliver does not stand in the way of all others. The earlier ones
/// are locked: when one has ended before this commits, nothing is put off; when it ends later, [`let_next_begin`] sees what was put off.
async fn put_off(store: &Store, behind: BTreeMap<String, String>, until: &str) -> Result<(), Error> {
    if behind.is_empty() {
        return Ok(());
    }
    let transaction = store.begin().await?;
    let heads: BTreeSet<&String> = behind.values().collect();
    // The database locks records that stand alone in a statement.
    let text: String = (0..heads.len()).map(|number| format!("SELECT _key, turn FROM $head{number} FOR UPDATE;")).collect();
    let binds = heads.into_iter().zip(0..).map(|(head, number)| bind(&format!("head{number}"), record_id("_outbox", head))).collect();
    let left = transaction.run(text, binds).await?;
    let mut waited_for = BTreeSet::new();
    for row in left.into_iter().flat_map(rows) {
        let mut row = Columns::new(row)?;
        if row.optional_text("turn").is_some() {
            waited_for.insert(row.text("_key")?);
        }
    }
    let ids: Vec<Stored> = behind.iter().filter(|(_, head)| waited_for.contains(*head)).map(|(id, _)| record_id("_outbox", id)).collect();
    let text = "UPDATE $ids SET due = $due WHERE state = 'pending' RETURN NONE";
    transaction.run(text.to_owned(), vec![bind("ids", ids), bind("due", until.to_owned())]).await?;
    match transaction.commit().await {
        // What has changed meanwhile is looked at once more.
        Ok(()) | Err(Error::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Extends the leases of these rows, as far as the worker still has them.
///
/// # Errors
/// [`Error::Conflict`] when one of them was just changed, and none is extended; or what the database reports.
pub async fn renew(run: &impl Run, worker: &str, ids: &[String], lease: &str) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let text = "UPDATE $ids SET due = $lease WHERE state = 'running' AND worker = $worker RETURN NONE";
    let ids: Vec<Stored> = ids.iter().map(|id| record_id("_outbox", id)).collect();
    let binds = vec![bind("ids", ids), bind("worker", worker.to_owned()), bind("lease", lease.to_owned())];
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Gives back what workers have that were not heard of in time.
///
/// # Errors
/// [`Error::Conflict`] when another node does the same, or what the database reports.
pub async fn recover(run: &impl Run, now: &str) -> Result<(), Error> {
    let text = "UPDATE _outbox SET state = 'pending' WHERE state = 'running' AND due < $now RETURN NONE";
    run.run(text.to_owned(), vec![bind("now", now.to_owned())]).await.map(drop)
}

/// Gives back what anybody has, and brings back what was put off: for the start of a server that has the database for itself. The one before
/// may have died between the end of a row and [`let_next_begin`].
///
/// # Errors
/// What the database reports.
pub async fn recover_all(run: &impl Run, now: &str) -> Result<(), Error> {
    let text = "UPDATE _outbox SET due = not_before WHERE state = 'pending' AND attempts = 0 AND due != not_before RETURN NONE;
        UPDATE _outbox SET state = 'pending', due = $now WHERE state = 'running' RETURN NONE";
    run.run(text.to_owned(), vec![bind("now", now.to_owned())]).await.map(drop)
}

/// Ends a row that the worker has, in the transaction of what was done if there is one. False if the worker has lost it meanwhile: then what
/// was done in the same transaction must not be committed. Once it is, [`let_next_begin`] is due.
///
/// # Errors
/// What the database reports.
pub async fn end(run: &impl Run, worker: &str, row: &Delivery, ended: Ended<'_>, now: &str) -> Result<bool, Error> {
    let (state, error) = match ended {
        Ended::Delivered => ("delivered", None),
        Ended::Dead(error) => ("dead", Some(error.to_owned())),
    };
    let text = "UPDATE $id SET state = $state, error = $error, ended = $now, due = $now, turn = NONE
        WHERE state = 'running' AND worker = $worker AND attempts = $attempts RETURN AFTER";
    let mut binds = owned(worker, row);
    binds.extend([bind("state", state.to_owned()), bind("error", error), bind("now", now.to_owned())]);
    Ok(run.run(text.to_owned(), binds).await?.into_iter().flat_map(rows).next().is_some())
}

/// Has a row that the worker has tried once more.
///
/// # Errors
/// What the database reports.
pub async fn put_back(run: &impl Run, worker: &str, row: &Delivery, again: Again<'_>) -> Result<(), Error> {
    let text = "UPDATE $id SET state = 'pending', error = $error, due = $due, attempts = $counted
        WHERE state = 'running' AND worker = $worker AND attempts = $attempts RETURN NONE";
    let mut binds = owned(worker, row);
    binds.push(bind("error", again.error.map(str::to_owned)));
    binds.push(bind("due", again.due.to_owned()));
    binds.push(bind("counted", i64::from(again.attempts)));
    run.run(text.to_owned(), binds).await.map(drop)
}

/// What shows that a row is the worker's, and in the attempt that it means.
fn owned(worker: &str, row: &Delivery) -> Vec<(String, Stored)> {
    vec![bind("id", record_id("_outbox", &row.row.id)), bind("worker", worker.to_owned()), bind("attempts", i64::from(row.attempts))]
}

/// Lets the next row of a key begin, after the one before it has ended or was removed, and that is committed: in the same transaction it would
/// not see what others put off in that moment. One that was tried before waits for its own time.
///
/// # Errors
/// [`Error::Conflict`] when somebody else changes the row, or what the database reports.
pub async fn let_next_begin(run: &impl Run, key: &str) -> Result<(), Error> {
    let next = "SELECT * FROM _outbox WHERE turn = $turn ORDER BY _key LIMIT 1";
    let next = run.run(next.to_owned(), vec![bind("turn", key.to_owned())]).await?;
    let Some(next) = next.into_iter().next().and_then(first_row).map(delivery).transpose()? else { return Ok(()) };
    if next.attempts > 0 || next.due == next.row.not_before {
        return Ok(());
    }
    let binds = vec![bind("id", record_id("_outbox", &next.row.id)), bind("due", next.row.not_before)];
    run.run("UPDATE $id SET due = $due WHERE state = 'pending' RETURN NONE".to_owned(), binds).await.map(drop)
}

/// When the next row of a queue is due that nobody has; none if there is none.
///
/// # Errors
/// What the database reports.
pub async fn next_due(run: &impl Run, queue: Queue) -> Result<Option<String>, Error> {
    let text = "SELECT due FROM _outbox WHERE state = 'pending' AND queue = $queue ORDER BY due LIMIT 1";
    let row = run.run(text.to_owned(), vec![bind("queue", queue.name().to_owned())]).await?.into_iter().next().and_then(first_row);
    Ok(row.map(Columns::new).transpose()?.and_then(|mut row| row.optional_text("due")))
}
