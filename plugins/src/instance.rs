//! One instance of a plugin, seen from the host: what it may still use, and the functions it calls. Every function spends
//! from the budget, then checks the grant, then asks the records.

use std::time::{Duration, Instant};

use thiserror::Error;
use wasmtime::{ResourceLimiter, Result};

use crate::contract::{host, records, types};
use crate::engine::{TABLE_ELEMENTS, TICK};
use crate::grants::Grants;
use crate::limits::Limits;
use crate::records::{Failure, Records};
use crate::run::{LogLevel, LogLine};

const RANDOM_MAX_BYTES: u32 = 1024;

/// Why the host ended a guest.
#[derive(Debug, Error)]
pub(crate) enum Stop {
    #[error("wanted {wanted} bytes of memory, {allowed} are allowed")]
    Memory { wanted: usize, allowed: usize },
    #[error("made more than {0} host calls")]
    HostCalls(u32),
    #[error("the transaction failed: {}", .0.message)]
    Fatal(Failure),
}

/// The data of a store.
pub(crate) struct Instance {
    pub(crate) records: Box<dyn Records>,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) logs_dropped: u64,
    pub(crate) host_calls: u32,
    pub(crate) memory: Memory,
    grants: Grants,
    limits: Limits,
    now_ms: u64,
    random: u64,
    started: Instant,
    in_host: Duration,
    ticks: u64,
}

/// Bytes of linear memory, all memories of the instance together.
pub(crate) struct Memory {
    pub(crate) used: usize,
    allowed: usize,
}

impl Instance {
    pub(crate) fn new(records: Box<dyn Records>, grants: Grants, limits: Limits, now_ms: u64, seed: u64) -> Self {
        Self {
            records,
            logs: Vec::new(),
            logs_dropped: 0,
            host_calls: 0,
            memory: Memory { used: 0, allowed: limits.memory_max_bytes },
            grants,
            limits,
            now_ms,
            random: seed,
            started: Instant::now(),
            in_host: Duration::ZERO,
            ticks: 0,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Called at most once per tick while the guest computes. Both measures are too high, each in its own way: the ticks
    /// count a slow host call, the clock counts the time that other tasks had the thread. The lower one decides.
    pub(crate) fn has_time_left(&mut self) -> bool {
        self.ticks += 1;
        let allowed = Duration::from_millis(self.limits.call_ms);
        let computing = self.elapsed().saturating_sub(self.in_host);
        computing <= allowed || TICK * u32::try_from(self.ticks).unwrap_or(u32::MAX) <= allowed
    }

    fn spend(&mut self) -> Result<()> {
        if self.host_calls >= self.limits.host_calls {
            return Err(Stop::HostCalls(self.limits.host_calls).into());
        }
        self.host_calls += 1;
        Ok(())
    }

    fn admit_read(&mut self, collection: &str) -> Result<Option<types::Failure>> {
        self.spend()?;
        Ok((!self.grants.reads(collection)).then(|| not_granted("read", collection)))
    }

    fn admit_write(&mut self, collection: &str) -> Result<Option<types::Failure>> {
        self.spend()?;
        Ok((!self.grants.writes(collection)).then(|| not_granted("write", collection)))
    }

    fn answer<T>(&mut self, asked: Instant, answer: Result<T, Failure>) -> Result<Result<T, types::Failure>> {
        self.in_host += asked.elapsed();
        match answer {
            Ok(value) => Ok(Ok(value)),
            Err(failure) if failure.fatal => Err(Stop::Fatal(failure).into()),
            Err(failure) => Ok(Err(failure.into())),
        }
    }
}

impl types::Host for Instance {}

impl records::Host for Instance {
    async fn get(&mut self, collection: String, id: String) -> Result<Result<Option<String>, types::Failure>> {
        if let Some(refusal) = self.admit_read(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = Instant::now();
        let answer = self.records.get(&collection, &id).await;
        self.answer(asked, answer)
    }

    async fn get_many(&mut self, collection: String, ids: Vec<String>) -> Result<Result<Vec<Option<String>>, types::Failure>> {
        if let Some(refusal) = self.admit_read(&collection)? {
            return Ok(Err(refusal));
        }
        if ids.len() > self.limits.many_max {
            let message = format!("{} ids in one call, at most {} are allowed", ids.len(), self.limits.many_max);
            return Ok(Err(Failure::new("limit", message).into()));
        }
        let asked = Instant::now();
        let answer = self.records.get_many(&collection, &ids).await;
        self.answer(asked, answer)
    }

    async fn query(&mut self, collection: String, query: String) -> Result<Result<String, types::Failure>> {
        if let Some(refusal) = self.admit_read(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = Instant::now();
        let answer = self.records.query(&collection, &query).await;
        self.answer(asked, answer)
    }

    async fn create(&mut self, collection: String, content: String) -> Result<Result<String, types::Failure>> {
        if let Some(refusal) = self.admit_write(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = Instant::now();
        let answer = self.records.create(&collection, &content).await;
        self.answer(asked, answer)
    }

    async fn update(&mut self, collection: String, id: String, patch: String) -> Result<Result<String, types::Failure>> {
        if let Some(refusal) = self.admit_write(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = Instant::now();
        let answer = self.records.update(&collection, &id, &patch).await;
        self.answer(asked, answer)
    }

    async fn delete(&mut self, collection: String, id: String) -> Result<Result<(), types::Failure>> {
        if let Some(refusal) = self.admit_write(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = Instant::now();
        let answer = self.records.delete(&collection, &id).await;
        self.answer(asked, answer)
    }
}

impl host::Host for Instance {
    /// Costs no host call, so that a plugin is not ended for talking; what is too much is dropped.
    async fn log(&mut self, level: host::Level, mut message: String, fields: String) -> Result<()> {
        if self.logs.len() >= self.limits.log_lines {
            self.logs_dropped += 1;
            return Ok(());
        }
        message.truncate(message.floor_char_boundary(self.limits.log_line_max_bytes));
        let fields = if fields.len() <= self.limits.log_line_max_bytes { fields } else { "{}".to_owned() };
        self.logs.push(LogLine { level: level.into(), message, fields: object_or_empty(fields) });
        Ok(())
    }

    async fn now(&mut self) -> Result<u64> {
        self.spend()?;
        Ok(self.now_ms)
    }

    async fn random(&mut self, count: u32) -> Result<Vec<u8>> {
        self.spend()?;
        Ok((0..count.min(RANDOM_MAX_BYTES)).map(|_| next_byte(&mut self.random)).collect())
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let wanted = self.used + desired.saturating_sub(current);
        if wanted > self.allowed {
            return Err(Stop::Memory { wanted, allowed: self.allowed }.into());
        }
        self.used = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, fatal: failure.fatal, details: failure.details }
    }
}

impl From<host::Level> for LogLevel {
    fn from(level: host::Level) -> Self {
        match level {
            host::Level::Debug => Self::Debug,
            host::Level::Info => Self::Info,
            host::Level::Warn => Self::Warn,
            host::Level::Error => Self::Error,
        }
    }
}

fn not_granted(what: &str, collection: &str) -> types::Failure {
    Failure::new("not-allowed", format!("no grant to {what} collection `{collection}`")).into()
}

fn object_or_empty(fields: String) -> String {
    match serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(&fields) {
        Ok(_) => fields,
        Err(_) => "{}".to_owned(),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough for what is not a secret.
fn next_byte(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as u8
}
