//! One live instance for a transaction and a plugin: what is kept between calls, and what is not.

use std::sync::Arc;
use std::time::Duration;

use plugins::{BoxFuture, Compiler, Effect, Event, Failure, Grants, Ground, Instances, Limits, Plugin, Records, Run, Runtime};
use serde_json::{Value, json};

use crate::guest::Guest;
use crate::memory::{MemoryRecords, Mood};
use crate::setup::{event, failure, patch, run, runtime, wishes};

/// Counts its calls in a global, and traps on the third.
fn counter() -> Guest {
    Guest::with_members(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (if (i32.eq (global.get $calls) (i32.const 3)) (then (unreachable)))
         (call $count (global.get $calls))",
        "(global $calls (mut i32) (i32.const 0))",
    )
}

async fn count(plugin: &Plugin, instances: &Instances) -> Run {
    plugin.run(instances, wishes(plugin), Box::new(MemoryRecords::new(Mood::Well)), event("r", "notes", &json!({}))).await
}

#[tokio::test]
async fn a_transaction_keeps_its_instance_and_no_other_sees_it() {
    let plugin = counter().load(runtime().await).await.expect("loads");
    for _ in 0..10 {
        let instances = Instances::default();
        let first = count(&plugin, &instances).await;
        assert_eq!(patch(&first), json!({ "count": 1 }));
        assert!(first.instantiate.is_some());
        let second = count(&plugin, &instances).await;
        assert_eq!(patch(&second), json!({ "count": 2 }));
        assert_eq!(second.instantiate, None);
        assert_eq!(instances.idle(), 1);
    }
}

#[tokio::test]
async fn an_instance_that_trapped_is_gone() {
    let plugin = counter().load(runtime().await).await.expect("loads");
    let instances = Instances::default();
    for expected in [Some(1), Some(2), None, Some(1), Some(2)] {
        let run = count(&plugin, &instances).await;
        match expected {
            Some(expected) => assert_eq!(patch(&run), json!({ "count": expected })),
            None => {
                assert_eq!(failure(&run).code, "plugin.trap");
                assert_eq!(instances.idle(), 0);
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_keeps_the_instance() {
    let refuse = "(call $reject (i32.const 176) (i32.const 7) @n1 (i32.const 0))";
    let plugin = Guest::runs(refuse).load(runtime().await).await.expect("loads");
    let instances = Instances::default();
    assert!(count(&plugin, &instances).await.result.is_err());
    assert_eq!(instances.idle(), 1);
}

#[tokio::test]
async fn each_call_has_the_whole_budget_and_its_own_log() {
    let calls = "(call $get @notes @n1 @answer)".repeat(60);
    let plugin = Guest::runs(&format!("{calls} (call $log (i32.const 1) @notes @object) (call $accept)"));
    let plugin = plugin.load(runtime().await).await.expect("loads");
    let instances = Instances::default();
    for _ in 0..3 {
        let run = count(&plugin, &instances).await;
        assert!(run.result.is_ok(), "{:?}", run.result);
        assert_eq!((run.host_calls, run.logs.len()), (60, 1));
    }
}

/// The rule creates a record, whose rule is this one again, down to a depth.
struct Reentrant {
    plugin: Plugin,
    instances: Arc<Instances>,
    depth: usize,
    deepest: usize,
    counts: Vec<Value>,
    inner: MemoryRecords,
}

impl Reentrant {
    fn new(plugin: &Plugin, instances: &Arc<Instances>, depth: usize, deepest: usize) -> Self {
        let inner = MemoryRecords::new(Mood::Well);
        Self { plugin: plugin.clone(), instances: Arc::clone(instances), depth, deepest, counts: Vec::new(), inner }
    }

    async fn again(&mut self) -> Result<String, Failure> {
        // whatever a transaction waits for, so that others run meanwhile
        tokio::task::yield_now().await;
        if self.depth >= self.deepest {
            return Err(Failure::new("limit", "deep enough"));
        }
        let deeper = Self::new(&self.plugin, &self.instances, self.depth + 1, self.deepest);
        let run = call(deeper).await;
        match &run.result {
            Ok(_) => self.counts.push(patch(&run)),
            Err(refusal) => return Err(Failure::fatal("conflict", format!("{refusal:?}"))),
        }
        Ok("{}".to_owned())
    }
}

fn call(records: Reentrant) -> BoxFuture<'static, Run> {
    Box::pin(async move {
        let (plugin, instances) = (records.plugin.clone(), Arc::clone(&records.instances));
        let event = Event { depth: records.depth, ..event("r", "notes", &json!({})) };
        plugin.run(&instances, wishes(&plugin), Box::new(records), event).await
    })
}

impl Records for Reentrant {
    fn get<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        self.inner.get(collection, id)
    }

    fn get_many<'a>(&'a mut self, collection: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<String>>, Failure>> {
        self.inner.get_many(collection, ids)
    }

    fn query<'a>(&'a mut self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        let counts = json!(self.counts).to_string();
        Box::pin(async { Ok(counts) })
    }

    fn create<'a>(&'a mut self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(self.again())
    }

    fn update<'a>(&'a mut self, collection: &'a str, id: &'a str, patch: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        self.inner.update(collection, id, patch)
    }

    fn delete<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.inner.delete(collection, id)
    }

    fn enqueue<'a>(&'a mut self, effect: Effect) -> BoxFuture<'a, Result<String, Failure>> {
        self.inner.enqueue(effect)
    }
}

/// Creates a record, and counts its calls before that.
fn reentrant() -> Guest {
    Guest::with_members(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (call $create @audit @object @answer)
         (call $count (global.get $calls))",
        "(global $calls (mut i32) (i32.const 0))",
    )
}

#[tokio::test]
async fn a_rule_that_triggers_itself_has_a_second_instance() {
    let plugin = reentrant().load(runtime().await).await.expect("loads");
    let instances = Arc::new(Instances::default());
    let mut run = call(Reentrant::new(&plugin, &instances, 0, 1)).await;
    assert_eq!(patch(&run), json!({ "count": 1 }));
    assert_eq!(crate::setup::all(&mut run.records, "").await, json!([{ "count": 1 }]), "the inner call is the first of its own instance");
    assert_eq!(instances.idle(), 2);

    let mut run = call(Reentrant::new(&plugin, &instances, 0, 1)).await;
    assert_eq!(patch(&run), json!({ "count": 2 }));
    assert_eq!(crate::setup::all(&mut run.records, "").await, json!([{ "count": 2 }]));
    assert_eq!(instances.idle(), 2);
}

/// Each transaction holds a slot on every level; with as few slots as there are, they would wait for each other for ever if
/// an idle or an outer instance could keep what an inner call waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_calls_never_wait_for_each_other_in_a_circle() {
    let limits = Limits { concurrent_calls: 2, wall_ms: 20_000, ..Limits::default() };
    let runtime = Runtime::new(limits, Compiler::here()).expect("the pool is reserved");
    let plugin = reentrant().load(&runtime).await.expect("loads");
    let transactions: Vec<_> = (0..50)
        .map(|_| {
            let (plugin, instances) = (plugin.clone(), Arc::new(Instances::default()));
            tokio::spawn(async move {
                for _ in 0..4 {
                    let run = call(Reentrant::new(&plugin, &instances, 0, 4)).await;
                    assert!(run.result.is_ok(), "{:?}", run.result);
                }
            })
        })
        .collect();
    let all = async {
        for transaction in transactions {
            transaction.await.expect("all calls succeed");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("nobody waits for ever");
}

#[tokio::test]
async fn who_waits_for_a_slot_gives_its_idle_ones_back() {
    let limits = Limits { concurrent_calls: 2, wall_ms: 5000, ..Limits::default() };
    let runtime = Runtime::new(limits, Compiler::here()).expect("the pool is reserved");
    let plugin = counter().load(&runtime).await.expect("loads");
    let stuck = Guest::runs("(call $create @audit @object @answer) (call $accept)").load(&runtime).await.expect("loads");
    let other = Guest::runs("(call $count (i32.const 7))").load(&runtime).await.expect("loads");

    let instances = Instances::default();
    count(&plugin, &instances).await;
    assert_eq!(instances.idle(), 1, "one of two slots is kept");
    let mut held = std::pin::pin!(run(&stuck, MemoryRecords::new(Mood::Stuck), event("r", "notes", &json!({}))));
    tokio::select! {
        biased;
        _ = &mut held => panic!("a stuck call cannot be ready"),
        () = std::future::ready(()) => {}
    }
    let run = count(&other, &instances).await;
    assert_eq!(patch(&run), json!({ "count": 7 }));
    assert_eq!(instances.idle(), 0, "nothing is kept while there is no slot for others");
}

#[tokio::test]
async fn settings_and_grants_are_those_of_the_call() {
    let plugin = Guest::runs("(call $get @notes @n1 @answer) (call $tell)").load(runtime().await).await.expect("loads");
    let instances = Instances::default();
    for grants in [plugin.manifest().grants.clone(), Grants::default(), plugin.manifest().grants.clone()] {
        let allowed = grants.reads("notes");
        let ground = Ground { grants: Arc::new(grants), ..Ground::default() };
        let run = plugin.run(&instances, ground, Box::new(MemoryRecords::new(Mood::Well)), event("r", "notes", &json!({}))).await;
        assert_eq!(run.result.is_ok(), allowed);
    }
}
