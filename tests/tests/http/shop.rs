//! The demo shop: products, customers, orders.

mod orders;

mod products;

mod privacy;

mod matrix;

mod rush;

use serde_json::{Value, json};
use tests::{Answer, Client, TestApp};

pub const ORDERS: &str = "/api/records/orders";
pub const PRODUCTS: &str = "/api/records/products";

/// A shop with two customers and somebody of the staff.
pub struct Shop {
    pub app: TestApp,
    pub ann: Client,
    pub ben: Client,
    pub sam: Client,
}

/// A fresh shop.
pub async fn open() -> Shop {
    let app = TestApp::shop().await;
    let (ann, ben, sam) =
        tokio::join!(app.shop_user("ann@shop.example"), app.shop_user("ben@shop.example"), app.shop_user("sam@shop.example"));
    Shop { app, ann, ben, sam }
}

/// A product by its number.
pub async fn product(client: &Client, sku: &str) -> Value {
    let mut found = client.query(PRODUCTS, &[("filter", &format!("sku == '{sku}'"))]).await.list();
    assert_eq!(found.len(), 1, "products `{sku}`: {found:?}");
    found.remove(0)
}

/// How much of a product is left.
pub async fn stock(client: &Client, sku: &str) -> i64 {
    let product = product(client, sku).await;
    product["stock"].as_i64().unwrap_or_else(|| panic!("no stock: {product}"))
}

/// Orders so many pieces of a product for this total.
pub async fn order(client: &Client, product: &Value, quantity: i64, total: &str) -> Answer {
    client.post(ORDERS, json!({"items": [{"product": product["id"], "quantity": quantity}], "total": total})).await
}

#[track_caller]
pub fn id(record: &Value) -> &str {
    record["id"].as_str().unwrap_or_else(|| panic!("no id: {record}"))
}
