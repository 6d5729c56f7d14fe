//! The clock of running guests: a thread that moves the epoch of the engine every tick while there are calls, and sleeps when there have been none
//! for a while, so that an idle server stays idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

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
    thread: Thread,
}

impl Clock {
    /// The thread holds the engine weakly and ends with its last user.
    pub(crate) fn start(engine: &Engine) -> Result<Arc<Self>> {
        let engine = engine.weak();
        let (used, stopped) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let (was_used, has_stopped) = (Arc::clone(&used), Arc::clone(&stopped));
        let thread = thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || {
            let mut idle = 0;
            while let Some(engine) = engine.upgrade() {
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
                idle = 0;
            }
        })?;
        Ok(Arc::new(Self { used, stopped, thread: thread.thread().clone() }))
    }

    /// A guest runs now, or still.
    pub(crate) fn goes(&self) {
        self.used.store(true, Ordering::SeqCst);
        if self.stopped.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}
