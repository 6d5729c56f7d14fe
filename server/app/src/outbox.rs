//! What is told and done after a commit. Rows are made here and written in the transaction that decides about them; one worker per node takes
//! what is due, one task per row, and says how it went. Webhooks and e-mails happen at least once; a rule's own run is marked in the
//! transaction of what it wrote, so that happens once.

mod row;

mod worker;

mod rules;

mod webhook;

mod guard;

mod email;

mod crowd;

mod schedule;

mod look;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, watch};

use crate::{Error, config::Config};
pub(crate) use look::{Search, Secret, get, list, purge, remove, replay, secret};
pub(crate) use row::{Written, after_commit, effect};
#[cfg(test)]
pub(crate) use schedule::take_slots;
pub(crate) use store::outbox::Row;
pub(crate) use webhook::{SECRET_SETTING, are_secrets as are_webhook_secrets};
pub use worker::run;

/// The longest pause between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(3_600);

/// The outbox of this node: its name, its bell, and the ways out.
pub struct Outbox {
    /// Whose claims are ours; another one after every start.
    worker: String,
    news: Notify,
    stopping: watch::Sender<bool>,
    http: webhook::Sender,
    mail: Option<email::Mailer>,
    crowd: crowd::Crowd,
    /// The last slot of each schedule that is known to be taken care of.
    slots: Mutex<HashMap<String, String>>,
}

impl Outbox {
    /// Reads the settings; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] names the setting that is wrong.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            worker: ulid::Ulid::new().to_string(),
            news: Notify::new(),
            stopping: watch::Sender::new(false),
            http: webhook::Sender::new(&config.webhook_private_hosts),
            mail: email::Mailer::new(config)?,
            crowd: crowd::Crowd::default(),
            slots: Mutex::default(),
        })
    }

    /// Tells the worker that something was committed.
    pub fn wake(&self) {
        self.news.notify_one();
    }

    /// Asks the worker to end what it has begun and to take nothing more.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    fn has_seen(&self, schedule: &str, slot: &str) -> bool {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(schedule).is_some_and(|seen| **seen >= *slot)
    }

    fn saw(&self, schedule: String, slot: String) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).insert(schedule, slot);
    }
}

/// How an attempt went wrong.
enum Failed {
    /// Another attempt may go better.
    Again(String),
    /// Another attempt may go better after a while that the other side has named.
    After(Duration, String),
    /// There was no attempt, because the operator has stopped the plugin: it comes as soon as that is over.
    Held(String),
    /// There was no attempt, because too many others are there already.
    Crowded(String),
    /// No attempt will.
    ForGood(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Again(error.to_string())
    }
}

/// When a row is tried again after so many attempts: 1, 2, 4 ... seconds, an hour at most, give or take a fifth, so that what failed together does
/// not come back together.
fn pause(attempts: u32) -> Duration {
    let seconds = 1_u64 << attempts.saturating_sub(1).min(12);
    let jitter: f64 = rand::random_range(0.8..1.2);
    Duration::from_secs(seconds).mul_f64(jitter).min(RETRY_MAX)
}

type App = Arc<crate::App>;
