//! Who works on a row. A claim is one statement that compares and sets, so two workers never have the same row; a lease that runs out gives
//! the row of a lost node back. A row of a key is taken only while no earlier one of that key is left: `turn` holds the key until the row has
//! ended, so that looking for earlier ones never reads what is done.

use surrealdb::types::Value as Stored;

use crate::{
    Error,
    outbox::{Delivery, delivery},
    row::{Row as Columns, first_row, record_id, rows},
    transaction::{Run, bind},
};

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

/// Takes up to `limit` rows that are due for a worker, until the lease ends.
///
/// # Errors
/// [`Error::Conflict`] when another worker was faster, and nothing is taken; or what the database reports.
pub async fn claim(run: &impl Run, worker: &str, (now, lease): (&str, &str), limit: usize) -> Result<Claimed, Error> {
    let due = format!("SELECT * FROM _outbox WHERE state = 'pending' AND due <= $now ORDER BY due LIMIT {limit}");
    let found = run.run(due, vec![bind("now", now.to_owned())]).await?;
    let found: Vec<Delivery> = found.into_iter().flat_map(rows).map(delivery).collect::<Result<_, _>>()?;
    let more = found.len() == limit;
    let mut ids = Vec::with_capacity(found.len());
    for candidate in found {
        if is_its_turn(run, &candidate, lease).await? {
            ids.push(record_id("_outbox", &candidate.row.id));
        }
    }
    if ids.is_empty() {
        return Ok(Claimed { rows: Vec::new(), more });
    }
    let text = "UPDATE $ids SET state = 'running', worker = $worker, due = $lease, attempts += 1 WHERE state = 'pending' RETURN AFTER";
    let binds = vec![bind("ids", ids), bind("worker", worker.to_owned()), bind("lease", lease.to_owned())];
    let taken = run.run(text.to_owned(), binds).await?;
    Ok(Claimed { rows: taken.into_iter().flat_map(rows).map(delivery).collect::<Result<_, _>>()?, more })
}

/// True for the first row of its key. One that has to wait is put off, so that the rows of a key that nobody can deliver do not stand in the way
/// of all others; the end of the one before brings it back. Both write the row, so that neither misses the other.
async fn is_its_turn(run: &impl Run, candidate: &Delivery, lease: &str) -> Result<bool, Error> {
    let Some(key) = &candidate.row.key else { return Ok(true) };
    let earlier = "SELECT due FROM _outbox WHERE turn = $turn AND _key < $key ORDER BY _key LIMIT 1";
    let binds = || vec![bind("turn", key.clone()), bind("key", candidate.row.id.clone())];
    let Some(earlier) = run.run(earlier.to_owned(), binds()).await?.into_iter().next().and_then(first_row) else { return Ok(true) };
    let due = Columns::new(earlier)?.optional_text("due").filter(|due| **due > *candidate.due);
    let put_off = "UPDATE $id SET due = $due WHERE state = 'pending'
        AND array::len((SELECT VALUE id FROM _outbox WHERE turn = $turn AND _key < $key LIMIT 1)) > 0 RETURN NONE";
    let mut binds = binds();
    binds.push(bind("id", record_id("_outbox", &candidate.row.id)));
    binds.push(bind("due", due.unwrap_or_else(|| lease.to_owned())));
    match run.run(put_off.to_owned(), binds).await {
        Ok(_) | Err(Error::Conflict) => Ok(false),
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

/// Gives back what anybody has: for the start of a server that has the database for itself.
///
/// # Errors
/// What the database reports.
pub async fn recover_all(run: &impl Run, now: &str) -> Result<(), Error> {
    let text = "UPDATE _outbox SET state = 'pending', due = $now WHERE state = 'running' RETURN NONE";
    run.run(text.to_owned(), vec![bind("now", now.to_owned())]).await.map(drop)
}

/// Ends a row that the worker has, in the transaction of what was done if there is one, and lets the next one of its key begin. False if the
/// worker has lost it meanwhile: then what was done in the same transaction must not be committed.
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
    let ours = run.run(text.to_owned(), binds).await?.into_iter().flat_map(rows).next().is_some();
    if ours && let Some(key) = &row.row.key {
        let_next_begin(run, key).await?;
    }
    Ok(ours)
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

/// The next row of the key may have been put off; one that was tried before waits for its own time.
pub(super) async fn let_next_begin(run: &impl Run, key: &str) -> Result<(), Error> {
    let next = "SELECT * FROM _outbox WHERE turn = $turn ORDER BY _key LIMIT 1";
    let next = run.run(next.to_owned(), vec![bind("turn", key.to_owned())]).await?;
    let Some(next) = next.into_iter().next().and_then(first_row).map(delivery).transpose()? else { return Ok(()) };
    if next.attempts > 0 {
        return Ok(());
    }
    let binds = vec![bind("id", record_id("_outbox", &next.row.id)), bind("due", next.row.not_before)];
    run.run("UPDATE $id SET due = $due WHERE state = 'pending' RETURN NONE".to_owned(), binds).await.map(drop)
}

/// When the next row is due that nobody has; none if there is none.
///
/// # Errors
/// What the database reports.
pub async fn next_due(run: &impl Run) -> Result<Option<String>, Error> {
    let text = "SELECT due FROM _outbox WHERE state = 'pending' ORDER BY due LIMIT 1";
    let row = run.run(text.to_owned(), Vec::new()).await?.into_iter().next().and_then(first_row);
    Ok(row.map(Columns::new).transpose()?.and_then(|mut row| row.optional_text("due")))
}
