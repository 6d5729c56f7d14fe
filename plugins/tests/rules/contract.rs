//! A component that was built against contract 1.0.0 when it was new, and is never built again: whatever is added to the
//! contract, this one must load and run.

use serde_json::json;

use crate::memory::{MemoryRecords, Mood};
use crate::setup::{all, event, load, patch, run};

const FIRST: &[u8] = include_bytes!("../fixtures/contract_1_0_0.wasm");
const DIGEST: &str = "00205a20f4435477c778259c9b0305dfcca9d0039440a380f9f2b2965c872329";

#[tokio::test]
async fn the_first_component_still_runs() {
    let plugin = load(FIRST).await;
    assert_eq!(plugin.digest(), DIGEST, "this file is never changed");
    assert_eq!((plugin.name(), plugin.version()), ("order-guard", "1.0.0"));
    let shop = MemoryRecords::new(Mood::Well).with("products", "ink", json!({ "price": "4.50", "stock": 10, "active": true }));
    let order = json!({ "items": [{ "product": "ink", "quantity": 2 }] });
    let mut run = run(&plugin, shop, event("place-order", "orders", &order)).await;
    assert_eq!(patch(&run), json!({ "total": "9.00", "status": "placed" }));
    assert_eq!(all(&mut run.records, "products").await[0]["stock"], json!(8));
}
