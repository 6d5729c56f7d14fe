//! Placing, reading and keeping orders.

use serde_json::{Value, json};

use super::{ORDERS, PRODUCTS, id, open, order, product, stock};

#[tokio::test]
async fn a_customer_places_an_order_and_the_stock_goes_down() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let answer = order(&shop.ann, &tea, 1, "4.50").await.expect(201);
    let placed = &answer.json;
    assert_eq!(placed["customer"], shop.ann.id());
    assert_eq!(placed["total"], "4.50");
    assert_eq!(placed["items"], json!([{"product": tea["id"], "quantity": 1}]));
    assert!(placed["status"].is_string(), "{placed}");
    assert_eq!(answer.expect_header("location"), format!("{ORDERS}/{}", id(placed)));
    assert!(answer.header("etag").is_some(), "{answer}");
    assert_eq!(stock(&shop.ann, "TEA-1").await, 59);
    assert_eq!(&shop.ann.get(&format!("{ORDERS}/{}", id(placed))).await.json(200), placed);
    assert_eq!(&shop.ann.get(ORDERS).await.list()[0], placed);
}

#[tokio::test]
async fn the_total_is_computed_and_compared_as_a_number() {
    let shop = open().await;
    let (tea, mug) = (product(&shop.ann, "TEA-1").await, product(&shop.ann, "MUG-1").await);
    let items = json!([{"product": tea["id"], "quantity": 2}]);
    for total in [json!("9"), json!("9.00"), json!("9.000"), json!(9)] {
        let placed = shop.ann.create("orders", json!({"items": items, "total": total})).await;
        assert_eq!(placed["total"].as_str().map(|text| text.trim_end_matches(['0', '.'])), Some("9"), "{placed}");
    }
    let without = shop.ann.create("orders", json!({"items": items})).await;
    assert_eq!(without["total"], "9.00");
    let both = json!([{"product": tea["id"], "quantity": 1}, {"product": mug["id"], "quantity": 3}]);
    let cents = |text: &Value| -> i64 {
        let (whole, fraction) = text.as_str().and_then(|text| text.split_once('.')).unwrap_or_else(|| panic!("no price: {text}"));
        format!("{whole}{fraction:0<2}").parse().expect("a number")
    };
    let placed = shop.ann.create("orders", json!({"items": both})).await;
    assert_eq!(cents(&placed["total"]), 450 + 3 * cents(&mug["price"]), "{placed}");
}

#[tokio::test]
async fn a_wrong_total_is_refused() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    for total in ["4.49", "0", "-4.50", "45.0", "4.500000001"] {
        order(&shop.ann, &tea, 1, total).await.problem(422, "rule.refused").errors(&["/total total.mismatch"]);
    }
    order(&shop.ann, &tea, 1, "cheap").await.problem(422, "rule.refused").at("/total");
    assert_eq!(stock(&shop.ann, "TEA-1").await, 60);
    assert_eq!(shop.sam.get(ORDERS).await.list(), Vec::<Value>::new());
}

#[tokio::test]
async fn more_than_the_stock_is_refused() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let problem = order(&shop.ann, &tea, 61, "274.50").await.problem(422, "rule.refused");
    problem.errors(&["/items/0/quantity stock.insufficient"]);
    assert_eq!(stock(&shop.ann, "TEA-1").await, 60);
    order(&shop.ann, &tea, 60, "270.00").await.expect(201);
    order(&shop.ann, &tea, 1, "4.50").await.problem(422, "rule.refused").errors(&["/items/0/quantity stock.insufficient"]);
    assert_eq!(stock(&shop.ann, "TEA-1").await, 0);
}

#[tokio::test]
async fn an_order_is_taken_whole_or_not_at_all() {
    let shop = open().await;
    let (tea, mug, pot) = (product(&shop.ann, "TEA-1").await, product(&shop.ann, "MUG-1").await, product(&shop.ann, "POT-1").await);
    let items = json!([
        {"product": mug["id"], "quantity": 1},
        {"product": tea["id"], "quantity": 61},
        {"product": pot["id"], "quantity": 1},
        {"product": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "quantity": 1},
        {"product": tea["id"], "quantity": 0},
        {"quantity": 1}
    ]);
    let problem = shop.ann.post(ORDERS, json!({"items": items})).await.problem(422, "rule.refused");
    for pointer in ["/items/1/quantity", "/items/3/product", "/items/4/quantity", "/items/5/product"] {
        assert!(problem.errors.iter().any(|error| error.starts_with(pointer)), "nothing at {pointer}: {}", problem.answer);
    }
    for (sku, before) in [("TEA-1", &tea), ("MUG-1", &mug), ("POT-1", &pot)] {
        assert_eq!(&product(&shop.ann, sku).await, before);
    }
}

#[tokio::test]
async fn the_same_product_twice_counts_together() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let twice =
        |quantity: i64| json!({"items": [{"product": tea["id"], "quantity": quantity}, {"product": tea["id"], "quantity": quantity}]});
    shop.ann.post(ORDERS, twice(31)).await.problem(422, "rule.refused").errors(&["/items/0/quantity stock.insufficient"]);
    shop.ann.post(ORDERS, twice(30)).await.expect(201);
    assert_eq!(stock(&shop.ann, "TEA-1").await, 0);
}

#[tokio::test]
async fn items_that_make_no_sense_are_refused() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let item = |quantity: Value| json!([{"product": tea["id"], "quantity": quantity}]);
    let many: Vec<Value> = (0..101).map(|_| json!({"product": tea["id"], "quantity": 1})).collect();
    let cases = [
        (json!({}), "/items"),
        (json!({"items": []}), "/items"),
        (json!({"items": {}}), "/items"),
        (json!({"items": "tea"}), "/items"),
        (json!({"items": many}), "/items"),
        (json!({"items": [7]}), "/items/0/product"),
        (json!({"items": item(json!(0))}), "/items/0/quantity"),
        (json!({"items": item(json!(-1))}), "/items/0/quantity"),
        (json!({"items": item(json!(1.5))}), "/items/0/quantity"),
        (json!({"items": item(json!("1"))}), "/items/0/quantity"),
        (json!({"items": item(json!(null))}), "/items/0/quantity"),
        (json!({"items": item(json!(9_223_372_036_854_775_807_i64))}), "/items/0/quantity"),
        (json!({"items": [{"product": "nope", "quantity": 1}]}), "/items/0/product"),
        (json!({"items": [{"product": shop.ann.id(), "quantity": 1}]}), "/items/0/product"),
    ];
    for (body, pointer) in cases {
        shop.ann.post(ORDERS, body).await.problem(422, "rule.refused").at(pointer);
    }
    assert_eq!(stock(&shop.ann, "TEA-1").await, 60);
}

#[tokio::test]
async fn what_is_not_for_sale_cannot_be_ordered() {
    let shop = open().await;
    let mug = product(&shop.sam, "MUG-1").await;
    shop.sam.patch(&format!("{PRODUCTS}/{}", id(&mug)), json!({"active": false})).await.expect(200);
    let items = json!([{"product": mug["id"], "quantity": 1}]);
    shop.ann.post(ORDERS, json!({"items": items})).await.problem(422, "rule.refused").errors(&["/items/0/product product.inactive"]);
    assert_eq!(product(&shop.sam, "MUG-1").await["stock"], mug["stock"]);
}

#[tokio::test]
async fn customer_cannot_read_another_customers_order() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let placed = order(&shop.ann, &tea, 1, "4.50").await.json(201);
    let path = format!("{ORDERS}/{}", id(&placed));
    shop.ben.get(&path).await.problem(404, "record.not_found");
    assert_eq!(shop.ben.get(ORDERS).await.list(), Vec::<Value>::new());
    for filter in ["true".to_owned(), format!("id == '{}'", id(&placed)), format!("customer == '{}'", shop.ann.id())] {
        let found = shop.ben.query(ORDERS, &[("filter", &filter), ("count", "exact")]).await.expect(200);
        assert_eq!(found.expect_header("x-total-count"), "0", "filter `{filter}`");
        assert_eq!(found.list(), Vec::<Value>::new());
    }
    shop.app.anonymous().get(&path).await.problem(401, "auth.required");
    shop.app.anonymous().get(ORDERS).await.problem(401, "auth.required");
}

#[tokio::test]
async fn staff_reads_all_orders() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    for customer in [&shop.ann, &shop.ben] {
        order(customer, &tea, 1, "4.50").await.expect(201);
    }
    let orders = shop.sam.query(ORDERS, &[("count", "exact")]).await.expect(200);
    assert_eq!(orders.expect_header("x-total-count"), "2");
    for placed in orders.list() {
        assert_eq!(shop.sam.get(&format!("{ORDERS}/{}", id(&placed))).await.json(200), placed);
    }
    assert_eq!(shop.ann.get(ORDERS).await.list().len(), 1);
    let of_ben = shop.sam.query(ORDERS, &[("filter", &format!("customer == '{}'", shop.ben.id()))]).await.list();
    assert_eq!(of_ben.len(), 1);
}

#[tokio::test]
async fn nobody_orders_for_somebody_else() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let items = json!([{"product": tea["id"], "quantity": 1}]);
    let placed = shop.ann.create("orders", json!({"items": items, "customer": shop.ann.id()})).await;
    assert_eq!(placed["customer"], shop.ann.id());
    for customer in [json!(shop.ben.id()), Value::Null] {
        let answer = shop.ann.post(ORDERS, json!({"items": items, "customer": customer})).await;
        if answer.is_success() {
            assert_eq!(answer.json["customer"], shop.ann.id(), "ordered for {customer}: {answer}");
        } else {
            assert!([403, 422].contains(&answer.clone().any_problem().answer.status), "{answer}");
        }
    }
    assert_eq!(shop.ben.get(ORDERS).await.list(), Vec::<Value>::new());
    let orders = shop.sam.get(ORDERS).await.list().len();
    assert_eq!(stock(&shop.ann, "TEA-1").await, 60 - orders as i64, "a refused order took from the stock");
}

#[tokio::test]
async fn nobody_orders_without_a_name() {
    let shop = open().await;
    let tea = product(&shop.app.anonymous(), "TEA-1").await;
    order(&shop.app.anonymous(), &tea, 1, "4.50").await.problem(401, "auth.required");
    assert_eq!(stock(&shop.ann, "TEA-1").await, 60);
}

#[tokio::test]
async fn a_newly_registered_customer_can_order() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let cat = shop.app.user("cat").await;
    let placed = order(&cat, &tea, 1, "4.50").await.json(201);
    assert_eq!(placed["customer"], cat.id());
    assert_eq!(cat.get(ORDERS).await.list(), [placed]);
}

#[tokio::test]
async fn nobody_deletes_orders() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let placed = order(&shop.ann, &tea, 1, "4.50").await.json(201);
    let path = format!("{ORDERS}/{}", id(&placed));
    let admin = shop.app.admin().await;
    for client in [&shop.ann, &shop.ben, &shop.sam, &admin] {
        client.delete(&path).await.problem(403, "policy.denied");
    }
    shop.app.anonymous().delete(&path).await.problem(401, "auth.required");
    assert_eq!(shop.ann.get(&path).await.json(200), placed);
}

#[tokio::test]
async fn a_placed_order_is_not_changed_by_its_customer() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let placed = order(&shop.ann, &tea, 1, "4.50").await.json(201);
    let path = format!("{ORDERS}/{}", id(&placed));
    for client in [&shop.ann, &shop.ben] {
        for body in [json!({"total": "0.01"}), json!({"customer": shop.ben.id()}), json!({"items": []})] {
            client.patch(&path, body).await.problem(403, "policy.denied");
        }
    }
    assert_eq!(shop.ann.get(&path).await.json(200), placed);
}

#[tokio::test]
async fn a_customer_with_orders_stays() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    order(&shop.ann, &tea, 1, "4.50").await.expect(201);
    let admin = shop.app.admin().await;
    let answer = admin.delete(&format!("/api/records/users/{}", shop.ann.id())).await;
    answer.problem(409, "record.referenced");
    shop.ann.get("/api/auth/me").await.expect(200);
}
