//! A plugin that misbehaves on demand, for the tests of the server: each record of the collection `notes` says in its
//! field `behaviour` what goes wrong. Do not install it anywhere else.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use ironrule_rules::host;
use ironrule_rules::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Note {
    #[serde(default)]
    behaviour: String,
}

fn plugin() -> Plugin {
    Plugin::new("hostile", env!("CARGO_PKG_VERSION"))
        .reads(["notes"])
        .writes(["audit"])
        .rule(Rule::before_write("hostile", "notes").on([Create]), misbehave)
}

ironrule_rules::export!(plugin);

fn misbehave(event: &Event) -> Answer {
    let note: Note = event.after()?;
    match note.behaviour.as_str() {
        "loop" => loop_for_ever(),
        "allocate" => allocate_without_end(),
        "recurse" => patch(json!({ "depth": recurse(1) })),
        "panic" => panic!("as asked"),
        "trap-after-write" => trap_after_write(),
        "write" => write(),
        "write-elsewhere" => write_elsewhere(),
        "host-flood" => host_flood(event),
        "log-flood" => log_flood(),
        "giant-log" => giant_log(),
        "giant-output" => patch(json!({ "text": "x".repeat(600_000) })),
        "gigantic-output" => patch(json!({ "text": "x".repeat(3_000_000) })),
        // not an object; an invalid pointer; an unknown kind
        "garbage" => patch(json!("a patch must be an object")),
        "garbage-pointer" => Err(Rejection::invalid().violation("no-pointer", "x", "x")),
        "internal" => Err(Rejection::internal("as asked")),
        "retry" => Err(Rejection::retry("as asked")),
        "count-global" => patch(json!({ "count": count_global() })),
        "random" => patch(json!({ "random": host::random(8), "now": host::now_ms() })),
        "read-missing" => patch(json!({ "found": records::get::<Value>("notes", "missing")?.is_some() })),
        "read-forever" => read_forever(),
        "refuse" => Err(Rejection::invalid().violation("/behaviour", "note.refused", "as asked")),
        _ => accept(),
    }
}

fn loop_for_ever() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn allocate_without_end() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { recurse(depth + 1) + black_box(1) }
}

fn trap_after_write() -> Answer {
    records::create("audit", &json!({ "note": "half written" }))?;
    panic!("after the first write");
}

fn write() -> Answer {
    records::create("audit", &json!({ "note": "written" }))?;
    accept()
}

fn write_elsewhere() -> Answer {
    records::update("notes", "n1", &json!({ "text": "not granted" }))?;
    accept()
}

fn host_flood(event: &Event) -> Answer {
    loop {
        records::get::<Value>("notes", event.id())?;
    }
}

/// Swallows every failure: the host has to end this.
fn read_forever() -> ! {
    loop {
        let _ = records::get::<Value>("notes", "n1");
    }
}

fn log_flood() -> Answer {
    for line in 0..2_000 {
        log!("line {line} {}", "x".repeat(500));
    }
    accept()
}

fn giant_log() -> Answer {
    log!("{}", "é".repeat(200_000));
    accept()
}

fn count_global() -> u32 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}
