//! What is to be told and done after a commit. A row is written in the transaction that decides about it, claimed by one worker under a lease,
//! and kept for a while after it is done, for people to look at.

mod claim;

pub mod slots;

use serde::Serialize;
use surrealdb::types::Value as Stored;

use crate::{
    Error, Store,
    row::{Row as Columns, first_row, record_id, rows},
    transaction::{Run, bind},
};

pub use claim::{Again, Claim, Claimed, Ended, claim, end, let_next_begin, next_due, put_back, recover, recover_all, renew};

const TABLE: &str = "_outbox";

const PURGED_AT_ONCE: usize = 500;

/// What is known about a row that is not written yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// A ULID: ascending in the order of the commits of one node, for one key.
    pub id: String,
    /// `webhook`, `email`, `job`, `after-commit` or `scheduled`.
    pub kind: String,
    /// Who works on it.
    pub queue: Queue,
    /// The plugin, by name.
    pub plugin: String,
    /// The version that asked for it, as `name@version#digest`.
    pub version: String,
    /// The rule that asked for it, or that is to run.
    pub rule: String,
    /// What is to be done: JSON that the app understands.
    pub payload: String,
    /// Rows of one key are done one after the other, in the order of their ids.
    pub key: Option<String>,
    /// The tenant of the write.
    pub tenant: String,
    /// Who wrote, as JSON that the app understands.
    pub caller: String,
    /// The request, as in the log.
    pub request: String,
    /// When it was written, a canonical datetime.
    pub created: String,
    /// Not before this moment, a canonical datetime.
    pub not_before: String,
    /// How often it is tried.
    pub attempts_max: u32,
    /// How many rules wrote before this, each because of the one before.
    pub depth: u8,
}

/// Who works on a row. What waits for others must not hold up what does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Queue {
    /// Work of this server itself.
    Inside,
    /// Messages to somebody else, who may take long to answer.
    Outside,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Queue; 2] = [Queue::Inside, Queue::Outside];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Queue::Inside => "inside",
            Queue::Outside => "outside",
        }
    }
}

/// How far a row has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its time or its turn.
    Pending,
    /// A worker has it.
    Running,
    /// It is done.
    Delivered,
    /// It was given up.
    Dead,
}

/// A stored row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// What was asked for.
    #[serde(flatten)]
    pub row: Row,
    /// How far it has come.
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, or was tried last.
    pub due: String,
    /// What went wrong the last time.
    pub error: Option<String>,
    /// When it was done or given up.
    pub ended: Option<String>,
}

impl State {
    /// Every state.
    pub const ALL: [State; 4] = [State::Pending, State::Running, State::Delivered, State::Dead];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Running => "running",
            State::Delivered => "delivered",
            State::Dead => "dead",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<State> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Writes a row.
///
/// # Errors
/// What the database reports.
pub async fn insert(run: &impl Run, row: &Row) -> Result<(), Error> {
    let text =
        "CREATE $id CONTENT { _key: $key, kind: $kind, queue: $queue, plugin: $plugin, version: $version, rule: $rule, payload: $payload,
        ordered: $turn, turn: $turn, tenant: $tenant, caller: $caller, request: $request, created: $created, not_before: $due, due: $due,
        attempts_max: $max, depth: $depth, attempts: 0, state: 'pending' } RETURN NONE";
    let binds = vec![
        bind("id", record_id(TABLE, &row.id)),
        bind("key", row.id.clone()),
        bind("kind", row.kind.clone()),
        bind("queue", row.queue.name().to_owned()),
        bind("plugin", row.plugin.clone()),
        bind("version", row.version.clone()),
        bind("rule", row.rule.clone()),
        bind("payload", row.payload.clone()),
        bind("turn", row.key.clone()),
        bind("tenant", row.tenant.clone()),
        bind("caller", row.caller.clone()),
        bind("request", row.request.clone()),
        bind("created", row.created.clone()),
        bind("due", row.not_before.clone()),
        bind("max", i64::from(row.attempts_max)),
        bind("depth", i64::from(row.depth)),
    ];
    run.wrote();
    run.run(text.to_owned(), binds).await.map(drop)
}

/// Which rows to list.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this plugin.
    pub plugin: Option<String>,
    /// Only those of this kind.
    pub kind: Option<String>,
    /// Only those with a smaller id: the next page of the newest first.
    pub below: Option<String>,
    /// How many.
    pub limit: usize,
}

/// The rows, the newest first, all of one moment.
///
/// # Errors
/// [`Error::Corrupt`] when one cannot be read.
pub async fn list(store: &Store, search: &Search) -> Result<Vec<Delivery>, Error> {
    // One scan for each state, because only an equality in front lets a scan stop at the limit. One transaction for all of
    // them, or a row that changes its state in between would be found twice, or never.
    let transaction = store.begin().await?;
    let mut found = Vec::new();
    for state in State::ALL.into_iter().filter(|state| search.state.is_none_or(|wanted| wanted == *state)) {
        found.extend(list_state(&transaction, search, state).await?);
    }
    transaction.rollback().await;
    found.sort_by(|one, other| other.row.id.cmp(&one.row.id));
    found.truncate(search.limit);
    Ok(found)
}

async fn list_state(run: &impl Run, search: &Search, state: State) -> Result<Vec<Delivery>, Error> {
    let (mut wanted, mut binds) = (vec!["state = $state"], vec![bind("state", state.name().to_owned())]);
    let mut narrow = |text: &'static str, name: &str, value: &Option<String>| {
        if let Some(value) = value {
            wanted.push(text);
            binds.push(bind(name, value.clone()));
        }
    };
    narrow("_key < $below", "below", &search.below);
    narrow("plugin = $plugin", "plugin", &search.plugin);
    narrow("kind = $kind", "kind", &search.kind);
    let text = format!("SELECT * FROM {TABLE} WHERE {} ORDER BY _key DESC LIMIT {}", wanted.join(" AND "), search.limit);
    run.run(text, binds).await?.into_iter().flat_map(rows).map(delivery).collect()
}

/// One row.
///
/// # Errors
/// [`Error::Corrupt`] when it cannot be read.
pub async fn get(run: &impl Run, id: &str) -> Result<Option<Delivery>, Error> {
    let values = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", record_id(TABLE, id))]).await?;
    values.into_iter().next().and_then(first_row).map(delivery).transpose()
}

/// Has a row that is done or given up done once more, from its first attempt; true if there was one.
///
/// # Errors
/// What the database reports.
pub async fn replay(run: &impl Run, id: &str, now: &str) -> Result<bool, Error> {
    let text = "UPDATE $id SET state = 'pending', attempts = 0, due = $now, not_before = $now, ended = NONE, turn = ordered
        WHERE state IN ['delivered', 'dead'] RETURN AFTER";
    let binds = vec![bind("id", record_id(TABLE, id)), bind("now", now.to_owned())];
    Ok(run.run(text.to_owned(), binds).await?.into_iter().flat_map(rows).next().is_some())
}

/// Removes a row that nobody works on; true if there was one. Then [`let_next_begin`] is due.
///
/// # Errors
/// What the database reports.
pub async fn remove(run: &impl Run, id: &str) -> Result<bool, Error> {
    let text = "DELETE $id WHERE state != 'running' RETURN BEFORE";
    let values = run.run(text.to_owned(), vec![bind("id", record_id(TABLE, id))]).await?;
    Ok(values.into_iter().flat_map(rows).next().is_some())
}

/// Removes the rows in this state that ended before a moment, and says how many.
///
/// # Errors
/// What the database reports; what was removed until then stays removed.
pub async fn purge(run: &impl Run, state: State, before: &str) -> Result<usize, Error> {
    let mut purged = 0;
    for queue in Queue::ALL {
        loop {
            // An ended row is due when it ended. Not all at once: a transaction of a million rows would hold up everybody else.
            let removed = purge_some(run, queue, state, before).await?;
            purged += removed;
            if removed < PURGED_AT_ONCE {
                break;
            }
        }
    }
    Ok(purged)
}

async fn purge_some(run: &impl Run, queue: Queue, state: State, before: &str) -> Result<usize, Error> {
    let which = "state = $state AND queue = $queue AND due < $before";
    let text = format!("SELECT VALUE id FROM {TABLE} WHERE {which} ORDER BY due LIMIT {PURGED_AT_ONCE}");
    let state = bind("state", state.name().to_owned());
    let binds = vec![state.clone(), bind("queue", queue.name().to_owned()), bind("before", before.to_owned())];
    let ids: Vec<Stored> = run.run(text, binds).await?.into_iter().flat_map(rows).collect();
    // One that is replayed in this moment is not removed.
    let removed = run.run("DELETE $ids WHERE state = $state RETURN BEFORE".to_owned(), vec![bind("ids", ids), state]).await?;
    Ok(removed.into_iter().flat_map(rows).count())
}

fn delivery(row: Stored) -> Result<Delivery, Error> {
    let mut row = Columns::new(row)?;
    let number = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    let state = row.text("state")?;
    Ok(Delivery {
        state: State::named(&state).ok_or_else(|| Error::Corrupt(format!("`{state}` is no state of the outbox")))?,
        attempts: number(row.integer("attempts")?),
        due: row.text("due")?,
        error: row.optional_text("error"),
        ended: row.optional_text("ended"),
        row: Row {
            id: row.text("_key")?,
            kind: row.text("kind")?,
            queue: if row.text("queue")? == Queue::Inside.name() { Queue::Inside } else { Queue::Outside },
            plugin: row.text("plugin")?,
            version: row.text("version")?,
            rule: row.text("rule")?,
            payload: row.text("payload")?,
            key: row.optional_text("ordered"),
            tenant: row.text("tenant")?,
            caller: row.text("caller")?,
            request: row.text("request")?,
            created: row.text("created")?,
            not_before: row.text("not_before")?,
            attempts_max: number(row.integer("attempts_max")?),
            depth: u8::try_from(row.integer("depth").unwrap_or_default()).unwrap_or(u8::MAX),
        },
    })
}

#[cfg(test)]
mod tests;
