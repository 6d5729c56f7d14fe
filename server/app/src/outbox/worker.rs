//! The worker of a node: takes what is due, one task per row, keeps its leases, and retries or gives up.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use model::time::datetime_text;
use store::outbox::{self, Again, Claim, Claimed, Delivery, Ended, Queue};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Instant,
};

use super::{App, Failed, email, pause, rules, schedule, webhook};
use crate::Error;

/// How long a row belongs to a worker that is not heard of, and how often a worker says that it is there.
const LEASE: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// How long a row of another node, or a tick of a schedule, may wait unnoticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Until when a row is put off that waits for an earlier one of its key. The end of that one brings it back; this is in case that is missed.
const PUT_OFF_FOR: Duration = Duration::from_secs(120);

/// Rows that one node works on at the same time: rules compute, messages wait for answers.
const INSIDE_AT_ONCE: usize = 8;
const OUTSIDE_AT_ONCE: usize = 64;

/// How long the row of a plugin waits that the operator has stopped before it is looked at again.
const HELD_FOR: Duration = Duration::from_secs(10);

/// Seconds that a row waits which has found no room at its place.
const CROWDED_SECONDS: std::ops::Range<f64> = 2.0..10.0;

/// Pauses before what could not be noted is tried once more: conflicts are with the renewal of leases and with writers of the same key.
const NOTE_AGAIN_AFTER_MS: [u64; 8] = [1, 5, 20, 50, 100, 300, 1_000, 3_000];

/// Bytes of an error that are kept.
const ERROR_MAX_BYTES: usize = 2_000;

/// Works until [`Outbox::stop`](super::Outbox::stop), then ends what it has begun.
pub async fn run(app: App) {
    let mut stopping = app.outbox.stopping.subscribe();
    let mut worker = Worker::new(app);
    worker.begin().await;
    while !*stopping.borrow_and_update() {
        worker.look_around().await;
        if worker.take().await {
            continue;
        }
        tokio::select! {
            () = worker.rest() => {}
            _ = stopping.changed() => {}
        }
    }
    worker.drain().await;
}

struct Worker {
    app: App,
    slots: [(Queue, Arc<Semaphore>); 2],
    tasks: JoinSet<()>,
    in_hand: InHand,
    renewed: Instant,
    looked: Option<Instant>,
}

/// The rows that this node works on at this moment.
type InHand = Arc<Mutex<BTreeSet<String>>>;

impl Worker {
    fn new(app: App) -> Self {
        let slots = [(Queue::Inside, INSIDE_AT_ONCE), (Queue::Outside, OUTSIDE_AT_ONCE)];
        let slots = slots.map(|(queue, count)| (queue, Arc::new(Semaphore::new(count))));
        Self { app, slots, tasks: JoinSet::new(), in_hand: InHand::default(), renewed: Instant::now(), looked: None }
    }

    /// A database on disk belongs to one process: whoever had a row before is gone, and there is no need to wait for the end of a lease.
    async fn begin(&self) {
        if !matches!(self.app.config.database(), Ok(store::Database::Remote { .. })) {
            report("take back what was begun", outbox::recover_all(&self.app.store, &now()).await);
        }
    }

    /// What has to be done now and then: leases, lost nodes, schedules.
    async fn look_around(&mut self) {
        if self.renewed.elapsed() >= RENEW_EVERY {
            self.renew().await;
            report("take over from lost nodes", outbox::recover(&self.app.store, &now()).await);
        }
        // Not after every commit: reckoning with calendars takes its time.
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.looked = Some(Instant::now());
            schedule::look(&self.app).await;
        }
    }

    async fn renew(&mut self) {
        self.renewed = Instant::now();
        let (app, all) = (&self.app, &self.in_hand);
        let renewal = || async move {
            let ids: Vec<String> = in_hand(all).iter().cloned().collect();
            outbox::renew(&app.store, &app.outbox.worker, &ids, &after(LEASE)).await
        };
        report("keep its leases", noted(renewal).await);
    }

    /// Takes what is due, as far as there are free slots. True if there may be more, and a slot for it.
    async fn take(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        let mut more = false;
        for (queue, slots) in self.slots.clone() {
            more |= self.take_of(queue, &slots).await;
        }
        more
    }

    async fn take_of(&mut self, queue: Queue, slots: &Arc<Semaphore>) -> bool {
        let limit = slots.available_permits();
        if limit == 0 {
            return false;
        }
        let (now, lease, put_off) = (now(), after(LEASE), after(PUT_OFF_FOR));
        let worker = &self.app.outbox.worker;
        let claim = Claim { worker, queue, now: &now, lease: &lease, put_off: &put_off, limit };
        let Claimed { rows, more } = match outbox::claim(&self.app.store, claim).await {
            Ok(claimed) => claimed,
            // Another node was faster; what it has left comes next.
            Err(store::Error::Conflict) => return true,
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read");
                return false;
            }
        };
        for delivery in rows {
            // There are as many as were asked for, and nobody else takes any.
            let Ok(slot) = Arc::clone(slots).acquire_owned().await else { break };
            self.start(delivery, slot);
        }
        more && slots.available_permits() > 0
    }

    fn start(&mut self, delivery: Delivery, slot: OwnedSemaphorePermit) {
        let app = Arc::clone(&self.app);
        let held = Held::new(&self.in_hand, &delivery.row.id);
        self.tasks.spawn(async move {
            work(&app, delivery).await;
            drop((held, slot));
            // The next one of the same key may be waiting, or one for the slot.
            app.outbox.wake();
        });
    }

    /// Until there are news or the next row is due, and never longer than rows of other nodes may wait.
    async fn rest(&self) {
        let mut left = LOOK_EVERY;
        for (queue, slots) in &self.slots {
            // Without a free slot nothing can be taken before somebody is done, and that rings.
            if slots.available_permits() > 0 {
                left = left.min(self.until_due(*queue).await);
            }
        }
        let _ = tokio::time::timeout(left, self.app.outbox.news.notified()).await;
    }

    async fn until_due(&self, queue: Queue) -> Duration {
        let due = outbox::next_due(&self.app.store, queue).await.ok().flatten();
        let due = due.and_then(|due| chrono::DateTime::parse_from_rfc3339(&due).ok());
        // One that is due already has become so a moment ago, or could not be taken: there is no hurry then.
        let left = due.map(|due| (due.with_timezone(&Utc) - Utc::now()).to_std().unwrap_or(Duration::from_millis(10)));
        left.unwrap_or(LOOK_EVERY).clamp(Duration::from_millis(1), LOOK_EVERY)
    }

    /// Ends what was begun; the leases go on as long as that takes.
    async fn drain(&mut self) {
        while !self.tasks.is_empty() {
            if tokio::time::timeout(RENEW_EVERY, self.tasks.join_next()).await.is_err() || self.renewed.elapsed() >= RENEW_EVERY {
                self.renew().await;
            }
        }
    }
}

/// That a row is in hand; gone with the task that works on it, also when that panics.
struct Held {
    in_hand: InHand,
    id: String,
}

impl Held {
    fn new(all: &InHand, id: &str) -> Self {
        in_hand(all).insert(id.to_owned());
        Self { in_hand: Arc::clone(all), id: id.to_owned() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        in_hand(&self.in_hand).remove(&self.id);
    }
}

fn in_hand(all: &InHand) -> MutexGuard<'_, BTreeSet<String>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How an attempt went well.
pub(super) enum Done {
    /// It is out, and the row does not say so yet.
    Sent,
    /// The row says so already.
    Marked,
}

/// One attempt at one row.
async fn work(app: &App, delivery: Delivery) {
    let noted = match attempt(app, &delivery).await {
        Ok(Done::Marked) => Ok(()),
        Ok(Done::Sent) => end(app, &delivery, Ended::Delivered).await,
        Err(failed) => retry_or_give_up(app, &delivery, failed).await,
    };
    // What cannot be noted is found when its lease has ended, and done once more.
    report("note how a delivery went", noted);
    if let Some(key) = &delivery.row.key {
        report("go on with a key", self::noted(|| outbox::let_next_begin(&app.store, key)).await);
    }
}

async fn attempt(app: &App, delivery: &Delivery) -> Result<Done, Failed> {
    let row = &delivery.row;
    // Only a process that dies begins more attempts than there are, and this may be why it did.
    if delivery.attempts > row.attempts_max {
        return Err(Failed::ForGood(delivery.error.clone().unwrap_or_else(|| "the server ended during the last attempt".to_owned())));
    }
    let world = app.world();
    let Some(installed) = world.plugins.get(&row.plugin) else {
        return Err(Failed::ForGood(format!("the plugin `{}` is not installed any more", row.plugin)));
    };
    if !installed.enabled {
        return Err(Failed::Held("the plugin is disabled".to_owned()));
    }
    match row.kind.as_str() {
        "webhook" => webhook::deliver(app, installed, delivery).await,
        "email" => email::deliver(app, installed, delivery).await,
        _ => rules::deliver(app, installed, delivery).await,
    }
}

async fn retry_or_give_up(app: &App, delivery: &Delivery, failed: Failed) -> Result<(), store::Error> {
    let (row, attempts) = (&delivery.row, delivery.attempts);
    let left = attempts < row.attempts_max;
    let (mut error, again, attempts) = match failed {
        Failed::Held(reason) => (reason, Some(HELD_FOR), attempts.saturating_sub(1)),
        Failed::Crowded(reason) => (reason, Some(Duration::from_secs_f64(rand::random_range(CROWDED_SECONDS))), attempts.saturating_sub(1)),
        Failed::Again(error) => (error, left.then(|| pause(attempts)), attempts),
        Failed::After(pause, error) => (error, left.then_some(pause), attempts),
        Failed::ForGood(error) => (error, None, attempts),
    };
    // Secrets first: half of one would not be found.
    if let Some(secrets) = app.world().plugins.secrets(&row.plugin) {
        error = secrets.without(error).0;
    }
    error.truncate(error.floor_char_boundary(ERROR_MAX_BYTES));
    let Some(again) = again else {
        tracing::error!(delivery = row.id, plugin = row.plugin, kind = row.kind, attempts, error, "a delivery was given up");
        return end(app, delivery, Ended::Dead(&error)).await;
    };
    match attempts == delivery.attempts {
        true => {
            tracing::warn!(delivery = row.id, plugin = row.plugin, kind = row.kind, attempts, again_in = ?again, error, "a delivery failed")
        }
        false => tracing::debug!(delivery = row.id, plugin = row.plugin, kind = row.kind, again_in = ?again, error, "a delivery waits"),
    }
    let due = after(again);
    let again = Again { due: &due, error: Some(&error), attempts };
    noted(|| outbox::put_back(&app.store, &app.outbox.worker, delivery, again)).await
}

/// Notes the end of a row.
async fn end(app: &App, delivery: &Delivery, ended: Ended<'_>) -> Result<(), store::Error> {
    let ending = || async move { outbox::end(&app.store, &app.outbox.worker, delivery, ended, &now()).await.map(drop) };
    noted(ending).await
}

/// Tries to note something until no other writer of the same rows comes first.
async fn noted<F: Future<Output = Result<(), store::Error>>>(note: impl Fn() -> F) -> Result<(), store::Error> {
    for pause in NOTE_AGAIN_AFTER_MS {
        match note().await {
            Err(store::Error::Conflict) => tokio::time::sleep(Duration::from_millis(pause)).await,
            outcome => return outcome,
        }
    }
    note().await
}

pub(super) fn now() -> String {
    datetime_text(Utc::now())
}

fn after(time: Duration) -> String {
    datetime_text(Utc::now() + TimeDelta::from_std(time).unwrap_or_default())
}

pub(super) fn report(what: &str, result: Result<(), impl Into<Error>>) {
    match result.map_err(Into::into) {
        Ok(()) => {}
        Err(error) if error.is_conflict() => tracing::debug!(what, "the outbox was changed meanwhile"),
        Err(error) => tracing::error!(%error, "the outbox cannot {what}"),
    }
}
