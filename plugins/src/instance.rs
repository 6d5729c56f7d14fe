//! One instance of a plugin, seen from the host: the world it lives in, and what the running call may still use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use thiserror::Error;
use wasmtime::Result;

use crate::apart;
use crate::contract::types;
use crate::limits::Limits;
use crate::records::{Failure, NoRecords, Records};
use crate::run::{Event, Ground, LogLevel, LogLine};
use crate::transcript::{Recorder, Written};
use crate::wasi::Wasi;

pub(crate) use host::next_byte;
pub(crate) use memory::Memory;

mod effects;
mod host;
mod memory;
mod records;

/// Why the host ended a guest.
#[derive(Debug, Error)]
pub(crate) enum Stop {
    #[error("wanted {wanted} bytes of memory, {allowed} are allowed")]
    Memory { wanted: usize, allowed: usize },
    #[error("made more than {0} host calls")]
    HostCalls(u32),
    #[error("enqueued more than {0} effects")]
    Effects(u32),
    #[error("the transaction failed: {}", .0.message)]
    Fatal(Failure),
}

/// What holds for every call of a plugin.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub(crate) limits: Limits,
    /// Names of the after-commit rules.
    pub(crate) jobs: BTreeSet<String>,
    /// Declared settings and their defaults.
    pub(crate) settings: BTreeMap<String, Option<String>>,
}

/// The data of a store.
pub(crate) struct Instance {
    pub(crate) call: Call,
    pub(crate) memory: Memory,
    terms: Arc<Terms>,
    wasi: Option<Box<Wasi>>,
}

/// The running call.
pub(crate) struct Call {
    pub(crate) records: Box<dyn Records>,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) logs_dropped: u64,
    pub(crate) host_calls: u32,
    /// Time inside host calls.
    pub(crate) in_host: Duration,
    pub(crate) recorder: Option<Recorder>,
    ground: Ground,
    effects: u32,
    now_ms: u64,
    random: u64,
    started: Instant,
    /// The ticks in which the guest has computed, all together.
    ticked: Duration,
    progress: Arc<Progress>,
}

/// How far a call has come, for whoever polls it.
#[derive(Default)]
pub(crate) struct Progress {
    /// The guest has computed for so long that it has to go elsewhere.
    pub(crate) go: AtomicBool,
    /// It goes on apart, where it waits for its turn.
    pub(crate) apart: AtomicBool,
    /// Microseconds after its beginning at which it asked the host what is not answered yet; else 0.
    asked_us: AtomicU64,
}

impl Progress {
    /// How long a call that began so long ago has waited for an answer of the host.
    pub(crate) fn waited(&self, elapsed: Duration) -> Duration {
        match self.asked_us.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            asked => elapsed.saturating_sub(Duration::from_micros(asked)),
        }
    }
}

impl Call {
    pub(crate) fn new(records: Box<dyn Records>, ground: Ground, event: &Event) -> Self {
        Self::at(records, ground, event.now_ms, event.seed)
    }

    /// No call: nothing is granted, and there are no records.
    pub(crate) fn none() -> Self {
        static NOTHING: LazyLock<Ground> = LazyLock::new(Ground::default);
        Self::at(Box::new(NoRecords), NOTHING.clone(), 0, 0)
    }

    fn at(records: Box<dyn Records>, ground: Ground, now_ms: u64, seed: u64) -> Self {
        Self {
            records,
            logs: Vec::new(),
            logs_dropped: 0,
            host_calls: 0,
            in_host: Duration::ZERO,
            recorder: ground.record.then(Recorder::default),
            ground,
            effects: 0,
            now_ms,
            random: seed,
            started: Instant::now(),
            ticked: Duration::ZERO,
            progress: Arc::default(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    fn log(&mut self, limits: &Limits, level: LogLevel, mut message: String, fields: String) {
        if self.logs.len() >= limits.log_lines {
            self.logs_dropped += 1;
            return;
        }
        message.truncate(message.floor_char_boundary(limits.log_line_max_bytes));
        self.logs.push(LogLine { level, message, fields });
    }
}

impl Instance {
    pub(crate) fn new(terms: Arc<Terms>, call: Call) -> Self {
        Self { memory: Memory::new(terms.limits.memory_max_bytes), call, terms, wasi: None }
    }

    /// The next call of a live instance.
    pub(crate) fn begin(&mut self, call: Call) {
        if let Some(wasi) = &self.wasi {
            wasi.set_clock(call.now_ms);
        }
        self.call = call;
    }

    /// The call that has ended. What the guest wrote to its standard streams goes to its log; the text of standard error
    /// is given back too, for it is where a language runtime says why it gave up.
    pub(crate) fn end(&mut self) -> (Call, String) {
        let mut call = std::mem::replace(&mut self.call, Call::none());
        let (out, err) = self.wasi.as_mut().map(|wasi| wasi.written()).unwrap_or_default();
        for (text, level) in [(&out, LogLevel::Info), (&err, LogLevel::Warn)] {
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                call.log(&self.terms.limits, level, line.to_owned(), "{}".to_owned());
            }
        }
        (call, err)
    }

    /// Called at most once per tick while the guest computes, with how long that tick took. Both measures are too high, each in its own way:
    /// the ticks count a slow host call, the clock counts the time that other tasks had the thread. The lower one decides.
    pub(crate) fn has_time_left(&mut self, tick: Duration) -> bool {
        let call = &mut self.call;
        call.ticked += tick;
        let computing = call.elapsed().saturating_sub(call.in_host).min(call.ticked);
        if computing > apart::AFTER {
            call.progress.go.store(true, Ordering::Relaxed);
        }
        computing <= Duration::from_millis(self.terms.limits.call_ms)
    }

    pub(crate) fn wasi(&mut self) -> &mut Wasi {
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(self.call.now_ms, self.call.random)))
    }

    fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    fn spend(&mut self) -> Result<()> {
        let allowed = self.limits().host_calls;
        if self.call.host_calls >= allowed {
            return Err(Stop::HostCalls(allowed).into());
        }
        self.call.host_calls += 1;
        Ok(())
    }

    /// Begins a host call that asks the records.
    fn ask(&self) -> Instant {
        let now = Instant::now();
        let asked = now.duration_since(self.call.started).as_micros();
        self.call.progress.asked_us.store(u64::try_from(asked).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        now
    }

    /// Ends a host call: what it took, the transcript, and whether the guest hears of a failure or is ended by it.
    fn answer<T: Written>(
        &mut self,
        asked: Instant,
        (call, input): (&'static str, impl FnOnce() -> serde_json::Value),
        answer: Result<T, Failure>,
    ) -> Result<Result<T, types::Failure>> {
        self.call.in_host += asked.elapsed();
        self.call.progress.asked_us.store(0, Ordering::Relaxed);
        if let Some(recorder) = &mut self.call.recorder {
            recorder.note(call, input(), answer.as_ref());
        }
        match answer {
            Ok(value) => Ok(Ok(value)),
            Err(failure) if failure.fatal => Err(Stop::Fatal(failure).into()),
            Err(failure) => Ok(Err(failure.into())),
        }
    }
}

impl types::Host for Instance {}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, fatal: failure.fatal, details: failure.details }
    }
}
