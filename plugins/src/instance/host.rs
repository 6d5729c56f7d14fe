//! The host calls for everything but records and effects: the log, the clock, random numbers, settings.

use wasmtime::Result;

use super::Instance;
use crate::contract::host;
use crate::run::LogLevel;
use crate::transcript::{Id, input};

const RANDOM_MAX_BYTES: u32 = 1024;

impl host::Host for Instance {
    /// Costs no host call, so that a plugin is not ended for talking; what is too much is dropped.
    async fn log(&mut self, level: host::Level, message: String, fields: String) -> Result<()> {
        let fields = if fields.len() <= self.limits().log_line_max_bytes { object_or_empty(fields) } else { "{}".to_owned() };
        self.call.log(&self.terms.limits, level.into(), message, fields);
        Ok(())
    }

    async fn now(&mut self) -> Result<u64> {
        self.spend()?;
        Ok(self.call.now_ms)
    }

    async fn random(&mut self, count: u32) -> Result<Vec<u8>> {
        self.spend()?;
        Ok((0..count.min(RANDOM_MAX_BYTES)).map(|_| next_byte(&mut self.call.random)).collect())
    }

    /// What the manifest does not declare is not there, even if somebody has set it.
    async fn setting(&mut self, name: String) -> Result<Option<String>> {
        self.spend()?;
        let declared = self.terms.settings.get(&name);
        let value = declared.and_then(|default| self.call.ground.settings.get(&name).or(default.as_ref())).cloned();
        if let Some(recorder) = &mut self.call.recorder {
            recorder.note("host.setting", input::setting(&name), Ok(&value.clone().map(Id)));
        }
        Ok(value)
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

fn object_or_empty(fields: String) -> String {
    match serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(&fields) {
        Ok(_) => fields,
        Err(_) => "{}".to_owned(),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough for what is not a secret.
pub(crate) fn next_byte(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as u8
}
