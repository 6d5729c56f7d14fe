//! What one call of a rule may use. The server sets the ceiling; a manifest may wish for less, never for more.

use serde::{Deserialize, Serialize};

use crate::manifest::WishedLimits;

/// Limits of one call, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Milliseconds that the guest computes; host calls do not count. Kept to about 10 ms. Default 50.
    pub call_ms: u64,
    /// Milliseconds of the whole call, with its host calls. Default 2000.
    pub wall_ms: u64,
    /// Bytes of linear memory, at most 64 MiB. Default 32 MiB.
    pub memory_max_bytes: usize,
    /// Host calls, without log lines. Default 64.
    pub host_calls: u32,
    /// Bytes of an answer (patch, violations, details). Default 256 KiB.
    pub output_max_bytes: usize,
    /// Bytes that a guest hands to the host in one call. Default 1 MiB.
    pub transfer_max_bytes: usize,
    /// Ids of one `get-many`. Default 1000.
    pub many_max: usize,
    /// Effects that are enqueued. Default 16.
    pub effects: u32,
    /// Bytes of an effect, payload and options together. Default 64 KiB.
    pub effect_max_bytes: usize,
    /// Log lines that are kept; the rest is dropped. Default 100.
    pub log_lines: usize,
    /// Bytes of a log line that are kept. Default 2048.
    pub log_line_max_bytes: usize,
    /// Bytes of a component that is loaded. Default 25 MiB.
    pub component_max_bytes: usize,
    /// Calls that run at the same time; more of them wait, at most `wall_ms`. At most 100. Default 100.
    pub concurrent_calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_ms: 50,
            wall_ms: 2000,
            memory_max_bytes: 32 << 20,
            host_calls: 64,
            output_max_bytes: 256 << 10,
            transfer_max_bytes: 1 << 20,
            many_max: 1000,
            effects: 16,
            effect_max_bytes: 64 << 10,
            log_lines: 100,
            log_line_max_bytes: 2 << 10,
            component_max_bytes: 25 << 20,
            concurrent_calls: 100,
        }
    }
}

impl Limits {
    /// These limits where the wish is higher or absent, the wish where it is lower.
    pub(crate) fn lowered_to(&self, wish: &WishedLimits) -> Self {
        Self {
            call_ms: self.call_ms.min(wish.call_ms.unwrap_or(u64::MAX)),
            memory_max_bytes: self.memory_max_bytes.min(wish.memory_max_bytes.unwrap_or(usize::MAX)),
            host_calls: self.host_calls.min(wish.host_calls.unwrap_or(u32::MAX)),
            effects: self.effects.min(wish.effects.unwrap_or(u32::MAX)),
            ..self.clone()
        }
    }

    /// The limits of the call that asks for the manifest: no host call, no effect, no log line.
    pub(crate) fn of_manifest(&self) -> Self {
        Self { host_calls: 0, effects: 0, log_lines: 0, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_lowers_and_never_raises() {
        let wish = WishedLimits { call_ms: Some(5), memory_max_bytes: Some(usize::MAX), host_calls: None, effects: Some(0) };
        let limits = Limits::default().lowered_to(&wish);
        let expected = Limits { call_ms: 5, effects: 0, ..Limits::default() };
        assert_eq!(limits, expected);
    }
}
