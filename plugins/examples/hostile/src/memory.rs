//! What an instance remembers from call to call: nothing that another transaction may ever see.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use ironrule_rules::prelude::*;
use serde_json::json;

static CALLS: AtomicU32 = AtomicU32::new(0);
static SECRET: Mutex<String> = Mutex::new(String::new());

/// How often this instance was asked to count.
pub fn count() -> u32 {
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

/// Keeps the text of a record for whoever comes next.
pub fn remember(text: Option<&str>) -> Answer {
    *secret()? = text.unwrap_or_default().to_owned();
    accept()
}

/// Tells what the one before has left.
pub fn recall() -> Answer {
    patch(json!({ "text": *secret()? }))
}

fn secret() -> Result<std::sync::MutexGuard<'static, String>, Rejection> {
    SECRET.lock().map_err(|_| Rejection::internal("the secret is poisoned"))
}
