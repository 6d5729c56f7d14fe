use std::pin::pin;
use std::time::Duration;

use plugins::{Compiler, Limits, LogLevel, Refusal, RejectionKind, Runtime};
use serde_json::json;

use crate::memory::{MemoryRecords, Mood};
use crate::setup::{HOSTILE, all, event, failure, hostile, misbehave, misbehave_on, patch, run};

/// Generous, because tests share two cores; the limits themselves are 150 ms and 3 s.
const SOON: Duration = Duration::from_secs(10);

async fn check(behaviour: &str, code: &str) {
    let records = MemoryRecords::new(Mood::Well).with("notes", "n1", json!({ "text": "kept" }));
    let mut run = misbehave_on(behaviour, records).await;
    assert_eq!(failure(&run).code, code, "{behaviour}: {}", failure(&run).message);
    assert!(run.elapsed < SOON, "{behaviour} took {:?}", run.elapsed);
    assert_eq!(all(&mut run.records, "notes").await, json!([{ "text": "kept" }]), "{behaviour}: records are given back");
}

#[tokio::test]
async fn every_misbehaviour_has_its_code() {
    check("loop", "plugin.timeout").await;
    check("allocate", "plugin.memory").await;
    check("recurse", "plugin.stack").await;
    check("panic", "plugin.trap").await;
    check("host-flood", "plugin.budget").await;
    check("read-forever", "plugin.budget").await;
    check("giant-output", "plugin.output").await;
    check("gigantic-output", "plugin.output").await;
    check("garbage", "plugin.garbage").await;
    check("garbage-pointer", "plugin.garbage").await;
    check("internal", "plugin.internal").await;
}

#[tokio::test]
async fn a_loop_ends_close_to_its_limit() {
    let run = misbehave("loop").await;
    assert!(run.elapsed >= Duration::from_millis(150), "{:?}", run.elapsed);
}

#[tokio::test]
async fn memory_stays_below_its_limit() {
    let run = misbehave("allocate").await;
    assert!(run.memory_bytes <= 32 << 20, "{}", run.memory_bytes);
    assert!(run.memory_bytes > 16 << 20, "{}", run.memory_bytes);
}

#[tokio::test]
async fn a_stuck_host_call_ends_and_gives_the_records_back() {
    let run = misbehave_on("write", MemoryRecords::new(Mood::Stuck)).await;
    assert_eq!(failure(&run).code, "plugin.wall");
    assert!(run.elapsed < SOON, "{:?}", run.elapsed);
    assert_eq!(run.host_calls, 1);
}

#[tokio::test]
async fn a_rule_that_broke_waits_no_longer_for_a_stuck_host() {
    misbehave("panic").await;
    let run = misbehave_on("write", MemoryRecords::new(Mood::Stuck)).await;
    assert_eq!(failure(&run).code, "plugin.wall");
    assert!(run.elapsed < SOON, "{:?}", run.elapsed);
}

/// The rollback itself is the caller's; here it is seen that the write had reached the transaction.
#[tokio::test]
async fn a_trap_after_a_write_is_a_failure() {
    let mut run = misbehave("trap-after-write").await;
    assert_eq!(failure(&run).code, "plugin.trap");
    assert_eq!(all(&mut run.records, "audit").await, json!([{ "note": "half written" }]));
}

#[tokio::test]
async fn a_panic_leaves_its_message_in_the_log() {
    let run = misbehave("panic").await;
    assert_eq!(run.logs.len(), 1);
    assert_eq!(run.logs[0].level, LogLevel::Error);
    assert!(run.logs[0].message.contains("as asked"), "{:?}", run.logs);
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut() {
    let run = misbehave("log-flood").await;
    assert!(run.result.is_ok(), "{:?}", run.result);
    assert_eq!((run.logs.len(), run.logs_dropped), (100, 1900));
    assert_eq!(run.host_calls, 0);
}

#[tokio::test]
async fn a_giant_log_line_is_cut_between_letters() {
    let run = misbehave("giant-log").await;
    assert_eq!(run.logs[0].message.len(), 2048);
}

#[tokio::test]
async fn no_state_leaks_from_call_to_call() {
    for _ in 0..3 {
        assert_eq!(patch(&misbehave("count-global").await), json!({ "count": 1 }));
    }
    check("allocate", "plugin.memory").await;
    assert_eq!(patch(&misbehave("count-global").await), json!({ "count": 1 }));
}

#[tokio::test]
async fn the_same_seed_repeats_the_same_run() {
    let run_with = async |seed| {
        let event = plugins::Event { seed, ..event("hostile", "notes", &json!({ "behaviour": "random" })) };
        let plugin = hostile().await;
        patch(&run(plugin, MemoryRecords::new(Mood::Well), event).await)
    };
    assert_eq!(run_with(1).await, run_with(1).await);
    assert_ne!(run_with(1).await, run_with(2).await);
    assert_eq!(run_with(1).await["now"], json!(1_800_000_000_000_u64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_do_not_keep_others_from_running() {
    let loops: Vec<_> = (0..8).map(|_| tokio::spawn(misbehave("loop"))).collect();
    let calm = tokio::spawn(misbehave("calm")).await.expect("does not panic");
    assert!(calm.result.is_ok(), "{:?}", calm.result);
    for run in loops {
        assert_eq!(failure(&run.await.expect("does not panic")).code, "plugin.timeout");
    }
}

/// More dropped calls than the pool has slots.
#[tokio::test]
async fn a_dropped_call_frees_its_slot() {
    hostile().await;
    for _ in 0..150 {
        let call = misbehave_on("write", MemoryRecords::new(Mood::Stuck));
        tokio::select! {
            biased;
            _ = call => panic!("a stuck call cannot be ready"),
            () = std::future::ready(()) => {}
        }
    }
    assert!(misbehave("calm").await.result.is_ok());
}

#[tokio::test]
async fn a_refusal_keeps_its_violations() {
    match misbehave("refuse").await.result {
        Err(Refusal::Rejected(rejection)) => {
            assert_eq!(rejection.kind, RejectionKind::Invalid);
            assert_eq!(rejection.violations[0].path, "/behaviour");
            assert_eq!(rejection.violations[0].code, "note.refused");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_rule_is_a_failure() {
    let event = event("no-such-rule", "notes", &json!({}));
    let run = run(hostile().await, MemoryRecords::new(Mood::Well), event).await;
    assert_eq!(failure(&run).code, "plugin.internal");
}

#[tokio::test]
async fn a_call_that_finds_no_slot_is_told_so() {
    let limits = Limits { concurrent_calls: 1, wall_ms: 100, ..Limits::default() };
    let runtime = Runtime::new(limits, Compiler::here()).expect("the pool is reserved");
    let plugin = runtime.load(HOSTILE.to_vec()).await.expect("a plugin");
    let call = |mood| {
        let event = event("hostile", "notes", &json!({ "behaviour": "write" }));
        run(&plugin, MemoryRecords::new(mood), event)
    };

    let mut first = pin!(call(Mood::Stuck));
    tokio::select! {
        biased;
        _ = &mut first => panic!("a stuck call cannot be ready"),
        () = std::future::ready(()) => {}
    }
    let mut second = call(Mood::Well).await;
    assert_eq!(failure(&second).code, "plugin.busy");
    assert_eq!(all(&mut second.records, "audit").await, json!([]));
}
