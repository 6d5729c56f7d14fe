//! Transactions, and the one way in which statements are run, inside or outside of one. Snapshot isolation: what a decision read must be
//! locked or written. Conflicts are ours to retry: see [`Attempts`].

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use surrealdb::{
    IndexedResults,
    engine::{any::Any, local::Db},
    method::Transaction as SurrealTransaction,
    types::{Object, SurrealValue, Value},
};

use crate::{
    Error, Store, commitment,
    connection::Connection,
    hot::{HotKey, Turn},
    remote::Remote,
};

/// Bound parameters of a statement.
pub type Binds = Vec<(String, Value)>;

/// Something that runs statements: the store itself (each statement commits alone) or a transaction.
pub trait Run: Sync {
    /// Runs one or several statements and returns the value of each.
    fn run(&self, text: String, binds: Binds) -> impl Future<Output = Result<Vec<Value>, Error>> + Send;

    /// Notes that something was written. Only transactions count.
    fn wrote(&self) {}

    /// Notes that the record is about to be changed on the ground of what is read now. Only transactions care.
    ///
    /// # Errors
    /// [`Error::Conflict`] when others queue for the record: trying would only conflict.
    fn touch(&self, _key: HotKey) -> Result<(), Error> {
        Ok(())
    }
}

impl Run for Store {
    async fn run(&self, text: String, binds: Binds) -> Result<Vec<Value>, Error> {
        let results = match &self.connection {
            Connection::Embedded(surreal) => surreal.query(text).bind(variables(binds)).await?,
            Connection::Remote(remote) => remote.query(text, variables(binds)).await?,
        };
        values(results)
    }
}

/// One attempt to change something. Clones are handles of the same transaction. Dropping the last one rolls back.
#[derive(Clone)]
pub struct Transaction {
    inner: Arc<Inner>,
}

struct Inner {
    /// Taken by commit; what is still here when the last handle goes is rolled back.
    open: Mutex<Option<Open>>,
    store: Store,
    touched: Mutex<BTreeSet<HotKey>>,
    writes: AtomicU64,
    turn: Turn,
}

enum Open {
    Embedded(Arc<SurrealTransaction<Db>>),
    Remote(Remote, Arc<SurrealTransaction<Any>>),
}

impl Open {
    fn handle(&self) -> Open {
        match self {
            Open::Embedded(transaction) => Open::Embedded(Arc::clone(transaction)),
            Open::Remote(remote, transaction) => Open::Remote(remote.clone(), Arc::clone(transaction)),
        }
    }
}

impl Store {
    /// Begins a transaction that is not retried.
    ///
    /// # Errors
    /// [`Error::Database`] when the database refuses.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_with(Turn::default()).await
    }

    async fn begin_with(&self, turn: Turn) -> Result<Transaction, Error> {
        let open = match &self.connection {
            Connection::Embedded(surreal) => Open::Embedded(Arc::new(surreal.clone().begin().await?)),
            Connection::Remote(remote) => Open::Remote(remote.clone(), Arc::new(remote.begin().await?)),
        };
        let inner = Inner { open: Mutex::new(Some(open)), store: self.clone(), touched: Mutex::default(), writes: AtomicU64::new(0), turn };
        Ok(Transaction { inner: Arc::new(inner) })
    }
}

impl Transaction {
    /// Makes everything of this transaction durable and visible, at once. The last handle must be the one that commits.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction came first, and nothing is written; [`Error::Unknown`] when the connection broke;
    /// [`Error::GivenUp`] when nobody waits for it any more.
    pub async fn commit(self) -> Result<(), Error> {
        // Before anything is taken: what may not commit any more is rolled back like everything that is dropped.
        let begun = commitment::begin()?;
        let outcome = self.commit_now().await;
        begun.ended(&outcome);
        outcome
    }

    async fn commit_now(self) -> Result<(), Error> {
        let open = self.inner.open().take().ok_or_else(closed)?;
        match open {
            Open::Embedded(transaction) => Arc::into_inner(transaction).ok_or_else(busy)?.commit().await.map(drop).map_err(Error::from),
            Open::Remote(remote, transaction) => remote.commit(Arc::into_inner(transaction).ok_or_else(busy)?).await,
        }
    }

    /// How many records were written so far. There are no savepoints: what a failed step has written can only be undone with all the rest.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.inner.writes.load(Ordering::Relaxed)
    }

    /// Undoes everything and waits until that is done.
    pub async fn rollback(self) {
        let open = self.inner.open().take();
        if let Some(open) = open {
            roll_back(open).await;
        }
    }

    fn handle(&self) -> Result<Open, Error> {
        self.inner.open().as_ref().map(Open::handle).ok_or_else(closed)
    }
}

impl Run for Transaction {
    async fn run(&self, text: String, binds: Binds) -> Result<Vec<Value>, Error> {
        let handle = self.handle()?;
        let results = match handle {
            Open::Embedded(transaction) => transaction.query(text).bind(variables(binds)).await?,
            Open::Remote(remote, transaction) => remote.query_in(&transaction, text, variables(binds)).await?,
        };
        values(results)
    }

    fn wrote(&self) {
        self.inner.writes.fetch_add(1, Ordering::Relaxed);
    }

    fn touch(&self, key: HotKey) -> Result<(), Error> {
        // Only a first, optimistic attempt gives way at once; a later one runs through to learn of all the records that it needs.
        let conflict = self.inner.turn.is_free() && self.inner.store.hot.is_hot(&key);
        self.inner.touched().insert(key);
        if conflict { Err(Error::Conflict) } else { Ok(()) }
    }
}

impl Inner {
    fn open(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touched(&self) -> std::sync::MutexGuard<'_, BTreeSet<HotKey>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(open) = self.open().take() {
            // The engine keeps a transaction until it is told; a request that was cancelled cannot wait for it.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(roll_back(open));
            }
        }
    }
}

async fn roll_back(open: Open) {
    let outcome = match open {
        Open::Embedded(transaction) => match Arc::into_inner(transaction) {
            Some(transaction) => transaction.cancel().await.map(drop).map_err(Error::from),
            None => return,
        },
        Open::Remote(remote, transaction) => match Arc::into_inner(transaction) {
            Some(transaction) => remote.cancel(transaction).await,
            None => return,
        },
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a transaction was over before it was rolled back");
    }
}

fn closed() -> Error {
    Error::Database("the transaction is over".to_owned())
}

fn busy() -> Error {
    Error::Database("a statement of the transaction is still running".to_owned())
}

fn variables(binds: Binds) -> Object {
    let mut object = Object::new();
    for (name, value) in binds {
        object.insert(name, value);
    }
    object
}

/// The values of all statements. `query` says `Ok` even when a statement failed, so every one is looked at.
fn values(mut results: IndexedResults) -> Result<Vec<Value>, Error> {
    let mut errors = results.take_errors();
    if !errors.is_empty() {
        return Err(first_cause(&mut errors));
    }
    (0..results.num_statements()).map(|index| results.take::<Value>(index).map_err(Error::from)).collect()
}

/// When one statement of several fails, the others report only that they were not run: the cause is the one with something to say.
fn first_cause(errors: &mut std::collections::HashMap<usize, surrealdb::Error>) -> Error {
    let mut indexes: Vec<usize> = errors.keys().copied().collect();
    indexes.sort_unstable();
    let mut first = None;
    for index in indexes {
        let Some(error) = errors.remove(&index) else { continue };
        let not_run = matches!(
            error.details(),
            surrealdb::types::ErrorDetails::Query(Some(
                surrealdb::types::QueryError::NotExecuted | surrealdb::types::QueryError::Cancelled
            ))
        );
        if !not_run {
            return error.into();
        }
        first.get_or_insert(error);
    }
    first.map_or_else(closed, Error::from)
}

/// How often a transaction is tried before the client is told to come back later.
const ATTEMPTS_MAX: u32 = 12;

/// The attempts of one write. The first is optimistic; after a conflict the next waits its turn behind the other writers of the records
/// that the failed one touched.
pub struct Attempts {
    store: Store,
    made: u32,
    last: Option<Arc<Inner>>,
    wanted: BTreeSet<HotKey>,
}

impl Attempts {
    /// No attempt made yet.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), made: 0, last: None, wanted: BTreeSet::new() }
    }

    /// Waits for the turn of the next attempt. What must not be held while waiting is taken between this and [`Attempts::begin`].
    ///
    /// # Errors
    /// [`Error::Conflict`] when there were too many attempts already.
    pub async fn turn(&mut self) -> Result<Turn, Error> {
        if self.made >= ATTEMPTS_MAX {
            return Err(Error::Conflict);
        }
        if let Some(last) = self.last.take() {
            self.wanted.append(&mut last.touched());
            let open = last.open().take();
            if let Some(open) = open {
                roll_back(open).await;
            }
        }
        if self.made > 2 {
            // Conflicts that the queue did not prevent come from another node or from records that were not announced.
            let pause: u32 = 1 << self.made.min(6);
            tokio::time::sleep(Duration::from_millis(u64::from(pause) + u64::from(self.made) % 3)).await;
        }
        self.made += 1;
        Ok(if self.wanted.is_empty() { Turn::default() } else { self.store.hot.turn(self.wanted.clone()).await })
    }

    /// Begins the attempt: what it reads is of this moment.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn begin(&mut self, turn: Turn) -> Result<Transaction, Error> {
        let transaction = self.store.begin_with(turn).await?;
        self.last = Some(Arc::clone(&transaction.inner));
        Ok(transaction)
    }

    /// True if another attempt may be made.
    #[must_use]
    pub fn are_left(&self) -> bool {
        self.made < ATTEMPTS_MAX
    }

    /// How many attempts were begun.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made
    }
}

/// Turns anything that SurrealDB can hold into a parameter.
pub(crate) fn bind(name: &str, value: impl SurrealValue) -> (String, Value) {
    (name.to_owned(), value.into_value())
}
