//! The plugins under test, and a call of them.

use std::sync::Arc;

use plugins::{Compiler, Event, Grants, Ground, Hook, Instances, Limits, Plugin, PluginFailure, Records, Refusal, Run, Runtime};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::memory::{MemoryRecords, Mood};

pub const ORDER_GUARD: &[u8] = include_bytes!("../../examples/order-guard/order_guard.wasm");
pub const HOSTILE: &[u8] = include_bytes!("../../examples/hostile/hostile.wasm");

/// One for all tests, as in the server.
pub async fn runtime() -> &'static Runtime {
    static RUNTIME: OnceCell<Runtime> = OnceCell::const_new();
    let limits = Limits { call_ms: 150, wall_ms: 3000, ..Limits::default() };
    RUNTIME.get_or_init(|| async { Runtime::new(limits, Compiler::here()).expect("the pool is reserved") }).await
}

pub async fn order_guard() -> &'static Plugin {
    static PLUGIN: OnceCell<Plugin> = OnceCell::const_new();
    PLUGIN.get_or_init(|| load(ORDER_GUARD)).await
}

pub async fn hostile() -> &'static Plugin {
    static PLUGIN: OnceCell<Plugin> = OnceCell::const_new();
    PLUGIN.get_or_init(|| load(HOSTILE)).await
}

pub async fn load(wasm: &[u8]) -> Plugin {
    runtime().await.load(wasm.to_vec()).await.expect("the artefact is a plugin")
}

pub fn event(rule: &str, collection: &str, after: &Value) -> Event {
    Event {
        rule: rule.to_owned(),
        hook: Hook::BeforeWrite,
        operation: "create".to_owned(),
        collection: collection.to_owned(),
        id: "n1".to_owned(),
        before: None,
        after: Some(after.to_string()),
        context: "{}".to_owned(),
        now_ms: 1_800_000_000_000,
        seed: 7,
        depth: 0,
    }
}

/// Lets the hostile plugin misbehave with what it wishes for granted.
pub async fn misbehave(behaviour: &str) -> Run {
    misbehave_on(behaviour, MemoryRecords::new(Mood::Well)).await
}

pub async fn misbehave_on(behaviour: &str, records: MemoryRecords) -> Run {
    let plugin = hostile().await;
    let event = event("hostile", "notes", &json!({ "behaviour": behaviour }));
    run(plugin, records, event).await
}

/// One call in a transaction of its own, with what the plugin wishes for granted.
pub async fn run(plugin: &Plugin, records: impl Records, event: Event) -> Run {
    plugin.run(&Instances::default(), wishes(plugin), Box::new(records), event).await
}

/// What the plugin wishes for, granted.
pub fn wishes(plugin: &Plugin) -> Ground {
    ground(plugin.manifest().grants.clone())
}

pub fn ground(grants: Grants) -> Ground {
    Ground { grants: Arc::new(grants), ..Ground::default() }
}

pub fn grants(read: &[&str], write: &[&str]) -> Grants {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Grants { read: names(read), write: names(write), ..Grants::default() }
}

pub fn patch(run: &Run) -> Value {
    let outcome = run.result.as_ref().expect("the rule agrees");
    outcome.patch.as_deref().map_or(Value::Null, |patch| serde_json::from_str(patch).expect("a patch is JSON"))
}

pub fn failure(run: &Run) -> &PluginFailure {
    match &run.result {
        Err(Refusal::Failed(failure)) => failure,
        other => panic!("expected a failure of the plugin, got {other:?}"),
    }
}

/// All records of a collection, asked from the records that a run gave back.
pub async fn all(records: &mut Box<dyn Records>, collection: &str) -> Value {
    let text = records.query(collection, "{}").await.expect("the records are well");
    serde_json::from_str(&text).expect("an answer is JSON")
}
