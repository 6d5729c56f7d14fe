//! How close to its limit a rule is stopped, and how many instructions the examples take.

use std::time::{Duration, Instant};

use plugins::{Event, Instances, Limits, Plugin, Refusal, Runtime};
use serde_json::json;

use crate::{
    Plugins, row,
    shop::{Shop, event, granted, note, order},
    times,
};

/// Calls that are stopped; each takes its whole limit.
const STOPPED: usize = 100;

pub async fn measure(plugins: &Plugins, guards: [Vec<u8>; 2], empty: Vec<u8>) {
    let behaves = |behaviour: &str| event("hostile", "notes", &json!({"behaviour": behaviour}));
    let over = overshoot(&plugins.hostile, &behaves("loop"), "plugin.timeout").await;
    times("an endless loop ends so long after its 50 ms: Rust", over, "10 ms");
    let over = overshoot(&plugins.endless, &note("loop"), "plugin.timeout").await;
    times("an endless loop ends so long after its 50 ms: TypeScript", over, "10 ms");
    for (what, behaviour, code) in [
        ("taking all memory", "allocate", "plugin.memory"),
        ("recursing without end", "recurse", "plugin.stack"),
        ("calling the host without end", "read-forever", "plugin.budget"),
        ("panicking", "panic", "plugin.trap"),
    ] {
        times(&format!("{what} ends after"), stopped(&plugins.hostile, &behaves(behaviour), code).await, "60 ms");
    }
    let [rust, script] = guards;
    let metered = Runtime::metered(Limits { call_ms: 1_000, ..Limits::default() }).expect("the engine starts");
    for (what, component, event) in [
        ("order-guard, two products: Rust", rust, order()),
        ("order-guard, two products: TypeScript", script, order()),
        ("empty rule: TypeScript", empty, note("empty")),
    ] {
        let plugin = metered.load(component).await.expect("a plugin");
        let (one, again) = (fuel(&plugin, &event).await, fuel(&plugin, &event).await);
        assert_eq!(one, again, "the same call costs the same");
        row(&format!("instructions of {what}"), one, "", "");
    }
}

async fn stopped(plugin: &Plugin, event: &Event, code: &str) -> Vec<Duration> {
    let mut took = Vec::with_capacity(STOPPED);
    for _ in 0..STOPPED {
        let (event, ground, instances) = (event.clone(), granted(plugin), Instances::default());
        let begin = Instant::now();
        let run = plugin.run(&instances, ground, Box::new(Shop::open()), event).await;
        took.push(begin.elapsed());
        match run.result {
            Err(Refusal::Failed(failure)) if failure.code == code => {}
            other => panic!("expected `{code}`: {other:?}"),
        }
    }
    took
}

async fn overshoot(plugin: &Plugin, event: &Event, code: &str) -> Vec<Duration> {
    let limit = Duration::from_millis(plugin.limits().call_ms);
    stopped(plugin, event, code).await.into_iter().map(|took| took.saturating_sub(limit)).collect()
}

async fn fuel(plugin: &Plugin, event: &Event) -> u64 {
    let run = plugin.run(&Instances::default(), granted(plugin), Box::new(Shop::open()), event.clone()).await;
    assert!(run.result.is_ok(), "{:?}", run.result);
    run.fuel.expect("a metered runtime counts")
}
