//! The products: open to everybody while active, managed by the staff.

use serde_json::{Value, json};

use super::{PRODUCTS, id, open, product};

#[tokio::test]
async fn the_demo_has_three_products() {
    let shop = open().await;
    let products = shop.app.anonymous().get("/api/records/products?sort=sku").await.list();
    let skus: Vec<&str> = products.iter().filter_map(|product| product["sku"].as_str()).collect();
    assert_eq!(skus, ["MUG-1", "POT-1", "TEA-1"]);
    let tea = product(&shop.ann, "TEA-1").await;
    assert_eq!((&tea["price"], &tea["stock"], &tea["active"]), (&json!("4.50"), &json!(60), &json!(true)));
    assert!(products.iter().all(|product| product["name"].as_str().is_some_and(|name| !name.is_empty())), "{products:?}");
}

#[tokio::test]
async fn anybody_reads_active_products_only() {
    let shop = open().await;
    let mug = product(&shop.sam, "MUG-1").await;
    let path = format!("{PRODUCTS}/{}", id(&mug));
    shop.app.anonymous().get(&path).await.expect(200);
    shop.sam.patch(&path, json!({"active": false})).await.expect(200);
    for client in [&shop.app.anonymous(), &shop.ann] {
        client.get(&path).await.problem(404, "record.not_found");
        let listed = client.query(PRODUCTS, &[("count", "exact")]).await.expect(200);
        assert_eq!(listed.expect_header("x-total-count"), "2");
        assert_eq!(listed.list().len(), 2);
        for filter in ["active == false", "!active", "sku == 'MUG-1'", "active != true"] {
            assert_eq!(client.query(PRODUCTS, &[("filter", filter)]).await.list(), Vec::<Value>::new(), "filter `{filter}`");
        }
    }
    shop.sam.get(&path).await.expect(200);
    assert_eq!(shop.sam.get(PRODUCTS).await.list().len(), 3);
}

#[tokio::test]
async fn staff_manages_products() {
    let shop = open().await;
    let body = json!({"name": "Spoon", "sku": "SPOON-1", "price": "1.20", "stock": 5, "active": true});
    let spoon = shop.sam.create("products", body).await;
    let path = format!("{PRODUCTS}/{}", id(&spoon));
    assert_eq!(shop.ann.get(&path).await.json(200), spoon);
    let changed = shop.sam.patch(&path, json!({"price": "1.30"})).await.json(200);
    assert_eq!(changed["price"], "1.30");
    shop.sam.delete(&path).await.expect(200);
    shop.ann.get(&path).await.problem(404, "record.not_found");
}

#[tokio::test]
async fn products_that_cannot_be_are_refused() {
    let shop = open().await;
    let problem = shop.sam.post(PRODUCTS, json!({"price": "-1", "stock": -1, "active": "yes"})).await.problem(422, "record.invalid");
    problem.at("/name").at("/sku").at("/price").at("/stock").at("/active");
    let body = json!({"name": "Tea", "sku": "TEA-1", "price": "1", "stock": 1, "active": true});
    shop.sam.post(PRODUCTS, body).await.problem(409, "record.unique").errors(&["/sku field.unique"]);
    assert_eq!(shop.sam.get(PRODUCTS).await.list().len(), 3);
}

#[tokio::test]
async fn customers_do_not_manage_products() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let path = format!("{PRODUCTS}/{}", id(&tea));
    let body = json!({"name": "Mine", "sku": "MINE-1", "price": "0", "stock": 1, "active": true});
    for (client, status, code) in [(&shop.ann, 403, "policy.denied"), (&shop.app.anonymous(), 401, "auth.required")] {
        client.post(PRODUCTS, body.clone()).await.problem(status, code);
        client.patch(&path, json!({"price": "0.01"})).await.problem(status, code);
        client.put(&path, body.clone()).await.problem(status, code);
        client.delete(&path).await.problem(status, code);
    }
    assert_eq!(product(&shop.ann, "TEA-1").await, tea);
}

#[tokio::test]
async fn staff_manages_the_shop_and_not_the_server() {
    let shop = open().await;
    for path in ["/api/collections", "/api/policies", "/api/roles", "/api/plugins"] {
        shop.sam.get(path).await.problem(403, "policy.denied");
    }
    let own = format!("/api/roles/admin/members/user:{}", shop.sam.id());
    shop.sam.put(&own, json!({})).await.problem(403, "policy.denied");
}
