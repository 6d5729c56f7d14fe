//! The runtime that counts instructions.

use plugins::{Limits, Plugin, Runtime};
use serde_json::json;

use crate::guest::Guest;
use crate::memory::{MemoryRecords, Mood};
use crate::setup::{ORDER_GUARD, event, failure, patch, run, runtime};

fn metered() -> Runtime {
    Runtime::metered(Limits::default()).expect("the engine starts")
}

async fn place(plugin: &Plugin, items: usize) -> plugins::Run {
    let shop = MemoryRecords::new(Mood::Well).with("products", "ink", json!({ "price": "4.50", "stock": 10, "active": true }));
    let item = json!({ "product": "ink", "quantity": 1 });
    run(plugin, shop, event("place-order", "orders", &json!({ "items": vec![item; items] }))).await
}

#[tokio::test]
async fn the_same_call_costs_the_same() {
    let plugin = metered().load(ORDER_GUARD.to_vec()).await.expect("a plugin");
    let (one, again, three) = (place(&plugin, 1).await, place(&plugin, 1).await, place(&plugin, 3).await);
    assert_eq!(patch(&one)["total"], json!("4.50"));
    assert!(one.fuel.is_some_and(|fuel| fuel > 1000), "{:?}", one.fuel);
    assert_eq!(one.fuel, again.fuel);
    assert!(three.fuel > one.fuel);
}

#[tokio::test]
async fn a_loop_ends_by_its_count() {
    let guest = Guest {
        text: Guest::default().text.replace("\"grants\"", "\"limits\":{\"call_ms\":5},\"grants\""),
        ..Guest::runs("(loop (br 0)) (unreachable)")
    };
    let plugin = guest.load(&metered()).await.expect("loads");
    let run = run(&plugin, MemoryRecords::new(Mood::Well), event("r", "notes", &json!({}))).await;
    assert_eq!(failure(&run).code, "plugin.timeout");
    assert!(run.fuel >= Some(50_000_000), "{:?}", run.fuel);
}

#[tokio::test]
async fn other_runtimes_do_not_count() {
    let plugin = Guest::default().load(runtime().await).await.expect("loads");
    assert_eq!(run(&plugin, MemoryRecords::new(Mood::Well), event("r", "notes", &json!({}))).await.fuel, None);
}
