use plugins::{Refusal, Run};
use serde_json::{Value, json};

use crate::memory::{MemoryRecords, Mood};
use crate::setup::{all, event, order_guard, patch, run};

fn shop() -> MemoryRecords {
    MemoryRecords::new(Mood::Well)
        .with("products", "ink", json!({ "price": "4.50", "stock": 10, "active": true }))
        .with("products", "nib", json!({ "price": "0.1", "stock": 3, "active": true }))
        .with("products", "old", json!({ "price": "9.99", "stock": 5, "active": false }))
}

async fn place(order: &Value) -> Run {
    let plugin = order_guard().await;
    run(plugin, shop(), event("place-order", "orders", order)).await
}

fn item(product: &str, quantity: i64) -> Value {
    json!({ "product": product, "quantity": quantity })
}

fn order(items: &[Value]) -> Value {
    json!({ "items": items })
}

/// Expects these violations, written `pointer code`, in this order; and the stock as it was.
async fn check(order: Value, expected: &[&str]) {
    let mut run = place(&order).await;
    let Err(Refusal::Rejected(rejection)) = &run.result else { panic!("{order}: {:?}", run.result) };
    let violations: Vec<String> = rejection.violations.iter().map(|it| format!("{} {}", it.path, it.code)).collect();
    assert_eq!(violations, expected, "{order}");
    let untouched = json!([
        { "price": "4.50", "stock": 10, "active": true },
        { "price": "0.1", "stock": 3, "active": true },
        { "price": "9.99", "stock": 5, "active": false },
    ]);
    assert_eq!(all(&mut run.records, "products").await, untouched, "{order}");
}

#[tokio::test]
async fn a_good_order_is_completed_and_takes_the_stock_down() {
    let mut run = place(&order(&[item("ink", 2), item("nib", 3)])).await;
    assert_eq!(patch(&run), json!({ "total": "9.30", "status": "placed" }));
    assert_eq!(run.host_calls, 3);
    assert_eq!(run.logs[0].message, "placed order `n1` of 2 products for 9.30");
    let products = all(&mut run.records, "products").await;
    assert_eq!((&products[0]["stock"], &products[1]["stock"]), (&json!(8), &json!(0)));
}

#[tokio::test]
async fn the_same_product_twice_is_added_up() {
    let mut run = place(&order(&[item("ink", 4), item("nib", 1), item("ink", 6)])).await;
    assert_eq!(patch(&run)["total"], json!("45.10"));
    assert_eq!(all(&mut run.records, "products").await[0]["stock"], json!(0));

    check(order(&[item("ink", 5), item("nib", 1), item("ink", 6)]), &["/items/0/quantity stock.insufficient"]).await;
}

#[tokio::test]
async fn a_right_total_and_a_status_are_left_alone() {
    for total in [json!("9.00"), json!("9"), json!("9.000"), json!(9)] {
        let run = place(&json!({ "items": [item("ink", 2)], "total": total, "status": "draft" })).await;
        assert_eq!(patch(&run), Value::Null, "{total}");
    }
}

#[tokio::test]
async fn a_wrong_total_is_refused_with_the_right_one() {
    let wrong = json!({ "items": [item("ink", 2)], "total": "9.01" });
    check(wrong.clone(), &["/total total.mismatch"]).await;
    let Err(Refusal::Rejected(rejection)) = place(&wrong).await.result else { panic!("accepted") };
    assert_eq!(rejection.violations[0].message, "the items add up to 9.00, not to 9.01");
    assert_eq!(rejection.violations[0].params.get(), r#"{"expected":"9.00"}"#);

    for malformed in [json!("9,00"), json!(""), json!("1e3"), json!("9."), json!(".5"), json!("--1"), json!([]), json!(true)] {
        check(json!({ "items": [item("ink", 2)], "total": malformed }), &["/total total.malformed"]).await;
    }
}

#[tokio::test]
async fn all_problems_are_told_at_once() {
    let bad = [item("none", 1), item("old", 1), item("nib", 4), item("ink", 0), item("ink", 1)];
    check(
        json!({ "items": bad, "total": "many" }),
        &[
            "/items/3/quantity item.malformed",
            "/items/0/product product.unknown",
            "/items/1/product product.inactive",
            "/items/2/quantity stock.insufficient",
            "/total total.malformed",
        ],
    )
    .await;
    check(order(&[item("none", 1), item("none", 2)]), &["/items/0/product product.unknown", "/items/1/product product.unknown"]).await;
}

#[tokio::test]
async fn items_must_be_well_formed() {
    for none in [json!({}), json!({ "items": null }), json!({ "items": [] }), json!({ "items": {} }), json!({ "items": "ink" })] {
        check(none, &["/items items.missing"]).await;
    }
    check(order(&vec![item("ink", 1); 101]), &["/items items.too-many"]).await;
    for product in [json!(null), json!(7), json!("")] {
        check(order(&[json!({ "product": product, "quantity": 1 })]), &["/items/0/product item.malformed"]).await;
    }
    for quantity in [json!(null), json!("1"), json!(0), json!(-1), json!(1001), json!(1.5), json!(1e30)] {
        check(order(&[json!({ "product": "ink", "quantity": quantity })]), &["/items/0/quantity item.malformed"]).await;
    }
    check(order(&[json!("ink")]), &["/items/0/product item.malformed", "/items/0/quantity item.malformed"]).await;
}

#[tokio::test]
async fn a_price_that_is_no_number_is_a_failure() {
    let plugin = order_guard().await;
    let shop = MemoryRecords::new(Mood::Well).with("products", "ink", json!({ "price": "cheap", "stock": 1, "active": true }));
    let event = event("place-order", "orders", &order(&[item("ink", 1)]));
    let run = crate::setup::run(plugin, shop, event).await;
    assert_eq!(crate::setup::failure(&run).code, "plugin.internal");
}
