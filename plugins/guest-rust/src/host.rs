//! The plugin's log, the transaction's clock and its random numbers.

use crate::bindings::ironrule::rules::host;

pub use host::Level;

/// Writes one line to the plugin's log; see also `log!`.
pub fn log(level: Level, message: &str) {
    host::log(level, message, "{}");
}

/// The transaction's time in milliseconds since 1970.
pub fn now_ms() -> u64 {
    host::now()
}

/// At most 1024 bytes, the same again when the transaction is run again. Not for keys and passwords.
pub fn random(count: u32) -> Vec<u8> {
    host::random(count)
}

/// Writes one line of level info to the plugin's log, with the arguments of `format!`.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::host::log($crate::host::Level::Info, &::std::format!($($argument)*))
    };
}
