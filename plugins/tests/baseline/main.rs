//! Memory after many hostile calls is what it was before. In a process of its own, because every other test moves it too.

#[allow(dead_code)] // another test uses the rest of it
#[path = "../rules/guest.rs"]
mod guest;
#[allow(dead_code)] // another test uses the rest of it
#[path = "../rules/memory.rs"]
mod memory;
#[allow(dead_code)] // another test uses the rest of it
#[path = "../rules/setup.rs"]
mod setup;

use std::fs;

use plugins::Plugin;
use serde_json::json;

use guest::{CALLS, Guest};
use memory::{MemoryRecords, Mood};
use setup::{event, failure, run, runtime};

const PAGE_BYTES: usize = 4096;
/// What allocators keep at their own discretion.
const SLACK_BYTES: usize = 24 << 20;

fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * PAGE_BYTES
}

async fn hostile() -> Vec<Plugin> {
    let floods = CALLS.iter().map(|(_, call)| format!("(loop {call} (br 0)) (unreachable)"));
    let traps = CALLS.iter().map(|(_, call)| format!("{call} (unreachable)"));
    let others = [
        "(loop (drop (memory.grow (i32.const 1))) (br 0)) (unreachable)",
        "(drop (memory.grow (i32.const 60000))) (call $accept)",
        "(memory.fill (i32.const 65536) (i32.const 1) (i32.const 900000)) (unreachable)",
        "(call $patch (i32.const 131072) (i32.const 900000))",
        "(call $log (i32.const 1) (i32.const 131072) (i32.const 900000) @object) (unreachable)",
        "(call $reject (i32.const 176) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 25000))",
    ];
    let mut plugins = Vec::new();
    for instructions in floods.chain(traps).chain(others.map(str::to_owned)) {
        // endless ones end after 10 ms
        let text = Guest::default().text.replace("\"grants\"", "\"limits\":{\"call_ms\":5},\"grants\"");
        plugins.push(Guest { text, ..Guest::runs(&instructions) }.load(runtime().await).await.expect("loads"));
    }
    plugins
}

async fn rounds(plugins: &[Plugin], rounds: usize) {
    for _ in 0..rounds {
        for plugin in plugins {
            let records = MemoryRecords::new(Mood::Well).with("notes", "n1", json!({ "text": "x".repeat(10_000) }));
            let run = run(plugin, records, event("r", "notes", &json!({}))).await;
            assert!(failure(&run).code.starts_with("plugin."));
        }
    }
}

#[tokio::test]
async fn hostile_calls_leave_no_memory_behind() {
    let plugins = hostile().await;
    rounds(&plugins, 20).await;
    let before = resident();
    rounds(&plugins, 100).await;
    let after = resident();
    assert!(after < before + SLACK_BYTES, "{before} bytes became {after}");
}
