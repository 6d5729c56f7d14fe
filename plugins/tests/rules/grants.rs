use plugins::{Ground, Instances, Refusal};
use serde_json::json;

use crate::memory::{MemoryRecords, Mood};
use crate::setup::{all, event, failure, grants, ground, hostile, misbehave, order_guard, patch};

#[tokio::test]
async fn a_granted_write_happens() {
    let mut run = misbehave("write").await;
    assert!(run.result.is_ok());
    assert_eq!(run.host_calls, 1);
    assert_eq!(all(&mut run.records, "audit").await, json!([{ "note": "written" }]));
}

#[tokio::test]
async fn a_grant_to_read_is_none_to_write() {
    let mut run = misbehave("write-elsewhere").await;
    assert_eq!(failure(&run).code, "plugin.internal");
    assert!(failure(&run).message.contains("no grant to write collection `notes`"), "{:?}", failure(&run));
    assert_eq!(all(&mut run.records, "notes").await, json!([]));
}

#[tokio::test]
async fn a_wish_is_no_grant() {
    let shop = MemoryRecords::new(Mood::Well).with("products", "p1", json!({ "price": "1", "stock": 5, "active": true }));
    let order = json!({ "items": [{ "product": "p1", "quantity": 1 }] });
    let run =
        order_guard().await.run(&Instances::default(), Ground::default(), Box::new(shop), event("place-order", "orders", &order)).await;
    assert!(failure(&run).message.contains("no grant to read collection `products`"), "{:?}", failure(&run));
}

#[tokio::test]
async fn a_grant_to_write_is_one_to_read() {
    let plugin = hostile().await;
    let event = event("hostile", "notes", &json!({ "behaviour": "read-missing" }));
    let run = plugin.run(&Instances::default(), ground(grants(&[], &["notes"])), Box::new(MemoryRecords::new(Mood::Well)), event).await;
    assert_eq!(patch(&run), json!({ "found": false }));
}

#[test]
fn grants_cover_wishes() {
    let granted = grants(&["a"], &["b"]);
    assert!(granted.cover(&grants(&["a", "b"], &["b"])));
    assert!(!granted.cover(&grants(&["c"], &[])));
    assert!(!granted.cover(&grants(&[], &["a"])));
}

#[tokio::test]
async fn a_lost_transaction_ends_the_guest() {
    let run = crate::setup::misbehave_on("read-forever", MemoryRecords::new(Mood::Lost)).await;
    match run.result {
        Err(Refusal::Host(failure)) => {
            assert_eq!((failure.code.as_str(), failure.fatal), ("conflict", true))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(run.host_calls, 1);
}
