//! The hostile corpus: each class of misbehaviour as a guest of a few instructions, stopped with its own code, with the
//! records given back and the runtime none the worse.

use std::time::Duration;

use plugins::{Error, Grants, Instances, Run};
use serde_json::json;

use crate::guest::{CALLS, Guest};
use crate::memory::{MemoryRecords, Mood};
use crate::setup::{all, event, failure, run, runtime};

/// Generous, because tests share the processors; the limits themselves are 150 ms and 3 s.
const SOON: Duration = Duration::from_secs(10);

async fn misbehave(guest: &Guest) -> Run {
    let plugin = guest.load(runtime().await).await.expect("loads");
    let records = MemoryRecords::new(Mood::Well).with("notes", "n1", json!({ "text": "kept" }));
    run(&plugin, records, event("r", "notes", &json!({ "text": "new" }))).await
}

async fn check(class: &str, guest: Guest, code: &str) {
    let mut run = misbehave(&guest).await;
    assert_eq!(failure(&run).code, code, "{class}: {}", failure(&run).message);
    assert!(run.elapsed < SOON, "{class} took {:?}", run.elapsed);
    assert_eq!(all(&mut run.records, "notes").await, json!([{ "text": "kept" }]), "{class}: records are given back");
    let calm = misbehave(&Guest::default()).await;
    assert!(calm.result.is_ok(), "after {class}: {:?}", calm.result);
}

#[tokio::test]
async fn endless_computing() {
    check("a loop", Guest::runs("(loop (br 0)) (unreachable)"), "plugin.timeout").await;
    let called = Guest::with_members("(call $a) (call $accept)", "(func $a (loop (call $b) (br 0))) (func $b)");
    check("a loop of calls", called, "plugin.timeout").await;
    let fill = "(loop (memory.fill (i32.const 65536) (i32.const 7) (i32.const 900000)) (br 0)) (unreachable)";
    check("filling memory", Guest::runs(fill), "plugin.timeout").await;
    let copy = "(loop (memory.copy (i32.const 65536) (i32.const 65537) (i32.const 900000)) (br 0)) (unreachable)";
    check("copying memory", Guest::runs(copy), "plugin.timeout").await;
    let init = "(loop (table.fill (i32.const 0) (ref.func $a) (i32.const 10000)) (br 0)) (unreachable)";
    let table = "(table 10000 funcref) (func $a) (elem declare func $a)";
    check("filling a table", Guest::with_members(init, table), "plugin.timeout").await;
    let division = "(local $n f64) (loop (local.set $n (f64.sqrt (f64.add (local.get $n) (f64.const 1)))) (br 0)) (unreachable)";
    check("floating point", Guest::runs(division), "plugin.timeout").await;
}

#[tokio::test]
async fn memory_bombs() {
    check("growing page by page", Guest::runs("(loop (drop (memory.grow (i32.const 1))) (br 0)) (unreachable)"), "plugin.memory").await;
    check("growing at once", Guest::runs("(drop (memory.grow (i32.const 60000))) (call $accept)"), "plugin.memory").await;
    check("beyond 4 GiB", Guest::runs("(drop (memory.grow (i32.const -1))) (call $accept)"), "plugin.memory").await;
    // A table that cannot grow says so to the guest; it stays within its 20,000 entries and then runs out of time.
    let table = "(table 1 funcref)";
    let grow = "(loop (drop (table.grow (ref.null func) (i32.const 1000))) (br 0)) (unreachable)";
    check("growing a table", Guest::with_members(grow, table), "plugin.timeout").await;
    let refused = "(if (i32.ne (table.grow (ref.null func) (i32.const 10000000)) (i32.const -1)) (then (unreachable))) (call $accept)";
    assert!(misbehave(&Guest::with_members(refused, table)).await.result.is_ok());
}

#[tokio::test]
async fn recursion() {
    let locals = "(local i64 i64 i64 i64)";
    let deep = format!("(func $deep (param i32) (result i32) {locals} (i32.add (call $deep (local.get 0)) (i32.const 1)))");
    check("recursion", Guest::with_members("(call $deep (i32.const 1))", &deep), "plugin.stack").await;
    let table = "(table 1 funcref) (elem (i32.const 0) func $a) (type $t (func (result i32)))
        (func $a (type $t) (i32.add (call_indirect (type $t) (i32.const 0)) (i32.const 1)))";
    check("recursion through a table", Guest::with_members("(call $a)", table), "plugin.stack").await;
}

#[tokio::test]
async fn traps() {
    check("unreachable", Guest::runs("(unreachable)"), "plugin.trap").await;
    check("division by zero", Guest::runs("(i32.div_u (local.get $event) (i32.const 0))"), "plugin.trap").await;
    check("overflow", Guest::runs("(i32.trunc_f64_s (f64.const 1e300))"), "plugin.trap").await;
    check("memory out of bounds", Guest::runs("(i32.load (i32.const -4))"), "plugin.trap").await;
    check("a null call", Guest::with_members("(call_indirect (result i32) (i32.const 0))", "(table 1 funcref)"), "plugin.trap").await;
    let wrong = "(table 1 funcref) (func $f (result f64) (f64.const 1)) (elem (i32.const 0) func $f)";
    check("a call of the wrong type", Guest::with_members("(call_indirect (result i32) (i32.const 0))", wrong), "plugin.trap").await;
}

/// The transaction of the caller is rolled back; here it is seen that nothing but the code tells where it happened.
#[tokio::test]
async fn a_trap_after_each_host_call() {
    for (name, call) in CALLS {
        check(&format!("a trap after `{name}`"), Guest::runs(&format!("{call} (unreachable)")), "plugin.trap").await;
    }
}

#[tokio::test]
async fn host_call_floods() {
    for (name, call) in CALLS.iter().filter(|(name, _)| *name != "log") {
        let run = misbehave(&Guest::runs(&format!("(loop {call} (br 0)) (unreachable)"))).await;
        assert_eq!(failure(&run).code, "plugin.budget", "{name}: {}", failure(&run).message);
        let effects = *name == "enqueue";
        assert_eq!(run.host_calls, if effects { 17 } else { 64 }, "{name}");
        assert!(failure(&run).message.contains(if effects { "16 effects" } else { "64 host calls" }), "{name}");
    }
}

#[tokio::test]
async fn log_floods() {
    let run = misbehave(&Guest::runs("(loop (call $log (i32.const 1) @notes @object) (br 0)) (unreachable)")).await;
    assert_eq!(failure(&run).code, "plugin.timeout");
    assert_eq!(run.logs.len(), 100);
    assert!(run.logs_dropped > 0);
    let giant = Guest::runs("(call $log (i32.const 1) (i32.const 131072) (i32.const 900000) @object) (call $accept)");
    assert_eq!(misbehave(&giant).await.logs[0].message.len(), 2048);
}

#[tokio::test]
async fn giant_texts() {
    let big = |run: &str| Guest { pages: 100, ..Guest::runs(run) };
    check("a giant patch", big("(call $patch (i32.const 131072) (i32.const 600000))"), "plugin.output").await;
    check("a gigantic patch", big("(call $patch (i32.const 131072) (i32.const 5000000))"), "plugin.output").await;
    check("giant details", big("(call $details (i32.const 131072) (i32.const 600000))"), "plugin.output").await;
    check("a giant id", big("(call $get @notes (i32.const 131072) (i32.const 5000000) @answer) (call $accept)"), "plugin.output").await;
    check(
        "a giant log line",
        big("(call $log (i32.const 0) (i32.const 131072) (i32.const 5000000) @object) (call $accept)"),
        "plugin.output",
    )
    .await;
    let many = "(call $get-many @notes (i32.const 131072) (i32.const 700000) @answer) (call $accept)";
    check("a million ids", big(many), "plugin.output").await;
    let violations = "(call $reject (i32.const 176) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 100000))";
    check("a hundred thousand violations", big(violations), "plugin.output").await;
}

#[tokio::test]
async fn lies_about_memory() {
    check("a text beyond the memory", Guest::runs("(call $patch (i32.const 1048570) (i32.const 100))"), "plugin.trap").await;
    check("an answer beyond the memory", Guest::runs("(i32.const -4)"), "plugin.trap").await;
    check("an answer between two words", Guest::runs("(i32.const 513)"), "plugin.trap").await;
    check("room beyond the memory", Guest { realloc: "(i32.const -8)".to_owned(), ..Guest::default() }, "plugin.trap").await;
    check("room between two words", Guest { realloc: "(i32.const 65537)".to_owned(), ..Guest::default() }, "plugin.trap").await;
    check("room never", Guest { realloc: "(loop (br 0)) (unreachable)".to_owned(), ..Guest::default() }, "plugin.timeout").await;
    check("an answer of no kind", Guest::runs("(i32.store8 (i32.const 512) (i32.const 9)) (i32.const 512)"), "plugin.trap").await;
    check("a level of no kind", Guest::runs("(call $log (i32.const 99) @notes @object) (call $accept)"), "plugin.trap").await;
}

#[tokio::test]
async fn garbage() {
    let put = |bytes: &str, run: &str| Guest::with_members(run, &format!("(data (i32.const 4096) \"{bytes}\")"));
    check("a patch that is not UTF-8", put(r"\ff\fe\80", "(call $patch (i32.const 4096) (i32.const 3))"), "plugin.trap").await;
    check(
        "an id that is not UTF-8",
        put(r"\c3\28", "(call $get @notes (i32.const 4096) (i32.const 2) @answer) (call $accept)"),
        "plugin.trap",
    )
    .await;
    check("a patch that is not JSON", Guest::runs("(call $patch @notes)"), "plugin.garbage").await;
    check("a patch that is a list", put("[]", "(call $patch (i32.const 4096) (i32.const 2))"), "plugin.garbage").await;
    check("details that are not JSON", Guest::runs("(call $details @notes)"), "plugin.garbage").await;
    check("a kind that does not exist", Guest::runs("(call $reject @notes @n1 (i32.const 0))"), "plugin.garbage").await;
    let violation = "(call $reject (i32.const 176) (i32.const 7) @n1 (i32.const 1))";
    check("a violation without a code", put("", violation), "plugin.garbage").await;
    let nested = format!("(data (i32.const 8192) \"{}\")", "[".repeat(10_000));
    check("deeply nested JSON", Guest::with_members("(call $details (i32.const 8192) (i32.const 10000))", &nested), "plugin.garbage").await;
}

#[tokio::test]
async fn calls_that_the_contract_does_not_offer() {
    // `fields` is no JSON, an effect is no JSON, a query is no JSON: none of it is more than a failure that the rule sees
    let run = misbehave(&Guest::runs("(call $log (i32.const 1) @notes @notes) (call $accept)")).await;
    assert_eq!(run.logs[0].fields, "{}");
    check("an effect of no kind", Guest::runs("(call $enqueue @notes @work @object @answer) (call $tell)"), "plugin.internal").await;
    check("an effect that is not JSON", Guest::runs("(call $enqueue @job @notes @object @answer) (call $tell)"), "plugin.internal").await;
    let run = misbehave(&Guest::runs("(call $random (i32.const -1) @answer) (call $details (i32.const 16) (i32.const 2))")).await;
    assert!(run.result.is_ok(), "random numbers are cut to 1024 bytes: {:?}", run.result);
}

async fn refused(class: &str, guest: Guest, expected: fn(&Error) -> bool) {
    match guest.load(runtime().await).await {
        Ok(_) => panic!("{class} was loaded"),
        Err(error) => assert!(expected(&error), "{class}: {error}"),
    }
}

#[tokio::test]
async fn a_bad_manifest_is_not_loaded() {
    let manifest = |manifest: &str| Guest { manifest: manifest.to_owned(), ..Guest::default() };
    let says = |class, guest, part: &'static str| async move {
        match guest_error(class, guest).await {
            Error::NoManifest(why) => assert!(why.contains(part), "{class}: {why} lacks {part}"),
            other => panic!("{class}: {other}"),
        }
    };
    says("a loop", manifest("(loop (br 0)) (unreachable)"), "plugin.timeout").await;
    says("a trap", manifest("(unreachable)"), "plugin.trap").await;
    for (name, call) in CALLS.iter().filter(|(name, _)| *name != "log") {
        says(name, manifest(&format!("{call} (i32.const 256)")), "plugin.budget").await;
    }
    let giant = "(i32.store (i32.const 256) (i32.const 131072)) (i32.store (i32.const 260) (i32.const 600000)) (i32.const 256)";
    says("a giant text", manifest(giant), "plugin.output").await;
    says("a start without end", Guest::with_members("(call $accept)", "(func $s (loop (br 0))) (start $s)"), "plugin.timeout").await;
    says("a start that reads", Guest::with_members("(call $accept)", &format!("(func $s {}) (start $s)", CALLS[0].1)), "plugin.budget")
        .await;
    refused("no JSON", Guest { text: "garbage".to_owned(), ..Guest::default() }, |error| matches!(error, Error::Manifest(_))).await;
    refused("no UTF-8", manifest("(i32.store (i32.const 256) (i32.const 65536)) (i32.store8 (i32.const 65536) (i32.const 255)) (i32.store (i32.const 260) (i32.const 1)) (i32.const 256)"), |error| {
        matches!(error, Error::NoManifest(_))
    })
    .await;
}

async fn guest_error(class: &str, guest: Guest) -> Error {
    match guest.load(runtime().await).await {
        Ok(_) => panic!("{class} was loaded"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn what_does_not_fit_is_not_loaded() {
    let too_much = |error: &Error| matches!(error, Error::Invalid(_) | Error::Contract(_) | Error::NoManifest(_));
    refused("a memory of 4 GiB", Guest { pages: 65536, ..Guest::default() }, too_much).await;
    refused("a memory above the limit", Guest { pages: 600, ..Guest::default() }, too_much).await;
    refused("a giant table", Guest::with_members("(call $accept)", "(table 10000000 funcref)"), too_much).await;
    let many = format!("(core module $empty) {}", "(core instance (instantiate $empty))".repeat(5000));
    refused("five thousand instances", Guest { imports: many, ..Guest::default() }, too_much).await;
    let memories = "(core module $m (memory 1)) ".to_owned() + &"(core instance (instantiate $m))".repeat(300);
    refused("three hundred memories", Guest { imports: memories, ..Guest::default() }, too_much).await;
}

/// While a component that wants more than its share is refused, the pool has room for the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_the_whole_pool_takes_nothing_from_others() {
    let memories = "(core module $m (memory 1)) ".to_owned() + &"(core instance (instantiate $m))".repeat(200);
    let greedy = async {
        for _ in 0..20 {
            let error = guest_error("two hundred memories", Guest { imports: memories.clone(), ..Guest::default() }).await;
            assert!(error.to_string().contains("exceeds the configured maximum"), "{error}");
        }
    };
    let calm = async {
        let plugin = Guest::default().load(runtime().await).await.expect("loads");
        for _ in 0..200 {
            let run = run(&plugin, MemoryRecords::new(Mood::Well), event("r", "notes", &json!({}))).await;
            assert!(run.result.is_ok(), "{:?}", run.result);
        }
    };
    tokio::join!(greedy, calm);
}

#[tokio::test]
async fn only_what_is_granted_is_touched() {
    let plugin = Guest::runs("(call $create @audit @object @answer) (call $tell)").load(runtime().await).await.expect("loads");
    let records = MemoryRecords::new(Mood::Well);
    let ground = crate::setup::ground(Grants::default());
    let mut run = plugin.run(&Instances::default(), ground, Box::new(records), event("r", "notes", &json!({}))).await;
    assert!(failure(&run).message.contains("no grant to write collection `audit`"), "{:?}", failure(&run));
    assert_eq!(all(&mut run.records, "audit").await, json!([]));
}
