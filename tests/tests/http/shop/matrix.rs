//! Who may do what with a record of somebody else, as a table that people review: `matrix.txt`. A change of the demo's policies shows there.

use serde_json::{Value, json};
use tests::{Client, PASSWORD};

use super::{id, open, order, product};

const EXPECTED: &str = include_str!("matrix.txt");

/// A body that makes a valid record, and one that changes it.
fn bodies(collection: &str, number: usize, tea: &Value) -> (Value, Value) {
    match collection {
        "users" => (json!({"email": format!("u{number}@test.example"), "password": PASSWORD}), json!({"name": "changed"})),
        "products" => (json!({"name": "Spoon", "sku": format!("SPOON-{number}"), "price": "1.20", "stock": 5}), json!({"name": "changed"})),
        _ => (json!({"items": [{"product": tea["id"], "quantity": 1}]}), json!({"status": "paid"})),
    }
}

#[tokio::test]
async fn everybody_may_do_what_the_reviewed_table_says() {
    let shop = open().await;
    let admin = shop.app.admin().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let foreign_order = order(&shop.ann, &tea, 1, "4.50").await.json(201);
    let nobody = shop.app.anonymous();
    let callers: [(&str, &Client); 4] = [("nobody", &nobody), ("customer", &shop.ben), ("staff", &shop.sam), ("admin", &admin)];
    let mut found = vec![EXPECTED.lines().next().expect("a heading").to_owned()];
    let mut number = 0;
    for (name, caller) in callers {
        for collection in ["users", "products", "orders"] {
            number += 2;
            let victim = if collection == "orders" {
                foreign_order.clone()
            } else {
                admin.create(collection, bodies(collection, number, &tea).0).await
            };
            let (record, change) = bodies(collection, number + 1, &tea);
            let (all, one) = (format!("/api/records/{collection}"), format!("/api/records/{collection}/{}", id(&victim)));
            let statuses = [
                caller.post(&all, record).await.status,
                caller.get(&all).await.status,
                caller.get(&one).await.status,
                caller.patch(&one, change).await.status,
                caller.delete(&one).await.status,
            ];
            let [create, list, read, update, delete] = statuses;
            found.push(format!("{name:<10}{collection:<12}{create:<8}{list:<6}{read:<6}{update:<8}{delete}"));
        }
    }
    let found = found.join("\n");
    assert_eq!(found.trim(), EXPECTED.trim(), "found:\n{found}");
}
