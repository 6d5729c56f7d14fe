//! The plugin's log and settings, the transaction's clock and its random numbers.

use std::panic::PanicHookInfo;

use serde_json::{Value, json};

use crate::Rejection;
use crate::bindings::ironrule::rules::host;

pub use host::Level;

/// Writes one line to the plugin's log; see also `log!`.
pub fn log(level: Level, message: &str) {
    host::log(level, message, "{}");
}

/// Writes one line with values for programs; `fields` is a JSON object.
pub fn log_with(level: Level, message: &str, fields: &Value) {
    host::log(level, message, &fields.to_string());
}

/// The transaction's time in milliseconds since 1970.
pub fn now_ms() -> u64 {
    host::now()
}

/// At most 1024 bytes, the same again when the transaction is run again. Not for keys and passwords.
pub fn random(count: u32) -> Vec<u8> {
    host::random(count)
}

/// A setting that the manifest declares: what the operator set, or its default. None without either.
pub fn setting(name: &str) -> Option<String> {
    host::setting(name)
}

/// A setting without which the rule cannot decide.
///
/// # Errors
/// An internal rejection, whose message is for the operator, if it has no value.
pub fn required_setting(name: &str) -> Result<String, Rejection> {
    setting(name).filter(|value| !value.is_empty()).ok_or_else(|| Rejection::internal(format!("the setting `{name}` has no value")))
}

/// A panic ends the instance; without this its message would be lost with it.
pub(crate) fn log_panic(panic: &PanicHookInfo) {
    let payload = panic.payload();
    let said = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let said = said.unwrap_or("a panic without a message");
    match panic.location() {
        Some(at) => {
            let fields = json!({ "file": at.file(), "line": at.line(), "column": at.column() });
            log_with(Level::Error, &format!("panicked at {}:{}:{}: {said}", at.file(), at.line(), at.column()), &fields);
        }
        None => log(Level::Error, &format!("panicked: {said}")),
    }
}

/// Writes one line of level info to the plugin's log, with the arguments of `format!`.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::host::log($crate::host::Level::Info, &::std::format!($($argument)*))
    };
}
