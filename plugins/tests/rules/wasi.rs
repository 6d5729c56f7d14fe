//! The world of components whose runtime needs WASI: there is nothing in it.

use plugins::{Event, Plugin};
use serde_json::{Value, json};

use crate::guest::Guest;
use crate::memory::{MemoryRecords, Mood};
use crate::setup::{event, failure, patch, run, runtime};

/// A guest with a clock, random numbers and an environment, as a language runtime would have them.
fn guest(instructions: &str) -> Guest {
    Guest {
        imports: r#"
            (import "wasi:clocks/wall-clock@0.2.3" (instance $clock
              (type $t (record (field "seconds" u64) (field "nanoseconds" u32)))
              (export "datetime" (type $datetime (eq $t)))
              (export "now" (func (result $datetime)))))
            (import "wasi:clocks/monotonic-clock@0.2.3" (instance $monotonic (export "now" (func (result u64)))))
            (import "wasi:random/random@0.2.3" (instance $dice
              (export "get-random-u64" (func (result u64)))
              (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
            (import "wasi:cli/environment@0.2.3" (instance $environment
              (export "get-environment" (func (result (list (tuple string string)))))
              (export "get-arguments" (func (result (list string))))))
            (core func $clock (canon lower (func $clock "now") (memory $memory)))
            (core func $monotonic (canon lower (func $monotonic "now")))
            (core func $dice (canon lower (func $dice "get-random-u64")))
            (core func $bytes (canon lower (func $dice "get-random-bytes") (memory $memory) (realloc $realloc)))
            (core func $environment (canon lower (func $environment "get-environment") (memory $memory) (realloc $realloc)))
            (core func $arguments (canon lower (func $environment "get-arguments") (memory $memory) (realloc $realloc)))"#
            .to_owned(),
        module_imports: r#"
            (import "host" "clock" (func $clock (param i32)))
            (import "host" "monotonic" (func $monotonic (result i64)))
            (import "host" "dice" (func $dice (result i64)))
            (import "host" "bytes" (func $bytes (param i64 i32)))
            (import "host" "environment" (func $environment (param i32)))
            (import "host" "arguments" (func $arguments (param i32)))"#
            .to_owned(),
        with: r#"(export "clock" (func $clock)) (export "monotonic" (func $monotonic)) (export "dice" (func $dice))
            (export "bytes" (func $bytes)) (export "environment" (func $environment)) (export "arguments" (func $arguments))"#
            .to_owned(),
        ..Guest::runs(instructions)
    }
}

async fn load(instructions: &str) -> Plugin {
    guest(instructions).load(runtime().await).await.expect("loads")
}

async fn seeded(plugin: &Plugin, seed: u64) -> Value {
    let event = Event { seed, ..event("r", "notes", &json!({})) };
    patch(&run(plugin, MemoryRecords::new(Mood::Well), event).await)
}

#[tokio::test]
async fn the_clock_is_that_of_the_transaction() {
    let plugin = load(
        "(call $clock (i32.const 768))
         (if (i64.ne (i64.load (i32.const 768)) (i64.const 1800000000)) (then (unreachable)))
         (if (i32.ne (i32.load (i32.const 776)) (i32.const 0)) (then (unreachable)))
         (if (i64.ne (call $monotonic) (i64.const 0)) (then (unreachable)))
         (call $accept)",
    )
    .await;
    let run = run(&plugin, MemoryRecords::new(Mood::Well), event("r", "notes", &json!({}))).await;
    assert!(run.result.is_ok(), "{:?}", run.result);
}

#[tokio::test]
async fn nothing_is_in_the_environment() {
    let plugin = load(
        "(call $environment (i32.const 768))
         (if (i32.load (i32.const 772)) (then (unreachable)))
         (call $arguments (i32.const 768))
         (if (i32.load (i32.const 772)) (then (unreachable)))
         (call $accept)",
    )
    .await;
    let run = run(&plugin, MemoryRecords::new(Mood::Well), event("r", "notes", &json!({}))).await;
    assert!(run.result.is_ok(), "{:?}", run.result);
}

#[tokio::test]
async fn random_numbers_repeat_with_their_seed() {
    let plugin = load("(call $count (i32.wrap_i64 (i64.and (call $dice) (i64.const 7))))").await;
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let first = seeded(&plugin, seed).await;
        assert_eq!(first, seeded(&plugin, seed).await);
        seen.insert(first.to_string());
    }
    assert!(seen.len() > 2, "{seen:?}");
}

/// The host would have to hold them before it hands them over.
#[tokio::test]
async fn a_flood_of_random_bytes_is_a_trap() {
    let plugin = load("(call $bytes (i64.const 50000000) (i32.const 768)) (call $accept)").await;
    let run = run(&plugin, MemoryRecords::new(Mood::Well), event("r", "notes", &json!({}))).await;
    assert_eq!(failure(&run).code, "plugin.trap");
}
