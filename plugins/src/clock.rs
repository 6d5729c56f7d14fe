//! The clock of running guests: a thread that moves the epoch of the engine every tick while there are calls, and sleeps when there have been none
//! for a while, so that an idle server stays idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use wasmtime::{Engine, Result};

use crate::engine::TICK;

/// Ticks without a call after which the clock stops.
const IDLE_TICKS: u32 = 500;

/// How often the stopped clock looks whether anybody is left who could use it.
const LOOK: Duration = Duration::from_secs(5);

/// Shared by whoever makes calls and the thread.
pub(crate) struct Clock {
    /// There was a call since the last tick.
    used: Arc<AtomicBool>,
    /// The thread sleeps until it is woken.
    stopped: Arc<AtomicBool>,
    /// Microseconds from the tick before the last one to the last one: a thread that sleeps wakes late.
    tick_us: Arc<AtomicU64>,
    thread: Thread,
}

impl Clock {
    /// The thread holds the engine weakly and ends with its last user.
    pub(crate) fn start(engine: &Engine) -> Result<Arc<Self>> {
        let engine = engine.weak();
        let (used, stopped) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let tick_us = Arc::new(AtomicU64::new(TICK.as_micros() as u64));
        let (was_used, has_stopped, last_us) = (Arc::clone(&used), Arc::clone(&stopped), Arc::clone(&tick_us));
        let thread = thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || {
            let (mut idle, mut before) = (0, Instant::now());
            while let Some(engine) = engine.upgrade() {
                let now = Instant::now();
                last_us.store(now.duration_since(before).as_micros() as u64, Ordering::Relaxed);
                before = now;
                engine.increment_epoch();
                drop(engine);
                idle = if was_used.swap(false, Ordering::SeqCst) { 0 } else { idle + 1 };
                if idle < IDLE_TICKS {
                    thread::sleep(TICK);
                    continue;
                }
                // First this, then a last look: a call does it the other way round, so one of both sees the other.
                has_stopped.store(true, Ordering::SeqCst);
                if !was_used.load(Ordering::SeqCst) {
                    thread::park_timeout(LOOK);
                }
                has_stopped.store(false, Ordering::SeqCst);
                (idle, before) = (0, Instant::now());
            }
        })?;
        Ok(Arc::new(Self { used, stopped, tick_us, thread: thread.thread().clone() }))
    }

    /// How long the last tick took.
    pub(crate) fn tick(&self) -> Duration {
        // While the whole process was stopped nobody has computed.
        Duration::from_micros(self.tick_us.load(Ordering::Relaxed)).min(TICK * 4)
    }

    /// A guest runs now, or still.
    pub(crate) fn goes(&self) {
        self.used.store(true, Ordering::SeqCst);
        if self.stopped.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}
