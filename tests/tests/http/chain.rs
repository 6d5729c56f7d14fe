//! The chain of a write, in its order: authenticate, parse, authorize, load, rules, validate, check, write. Each step refuses on its own,
//! before the next one is asked, and whatever refuses, nothing is written.

use serde_json::{Value, json};
use tests::Method;

use crate::shop::{ORDERS, PRODUCTS, Shop, id, open, order, product, stock};

async fn nothing_happened(shop: &Shop) {
    assert_eq!(stock(&shop.sam, "TEA-1").await, 60, "the stock was taken");
    assert_eq!(shop.sam.get(ORDERS).await.list(), Vec::<Value>::new(), "an order was written");
    assert_eq!(shop.sam.get(PRODUCTS).await.list().len(), 3, "a product was written");
}

#[tokio::test]
async fn first_the_caller_is_authenticated() {
    let shop = open().await;
    let liar = shop.ann.with_token("nope");
    // Malformed, denied, refused, invalid: none of it matters yet.
    for body in ["{", "[]", "{}", r#"{"nope":1}"#] {
        let request = liar.request(Method::POST, ORDERS).body("application/json", body);
        request.send().await.problem(401, "auth.invalid_token");
        let request = liar.request(Method::POST, PRODUCTS).body("application/json", body);
        request.send().await.problem(401, "auth.invalid_token");
    }
    liar.delete(&format!("{ORDERS}/nope")).await.problem(401, "auth.invalid_token");
    let tea = product(&shop.ann, "TEA-1").await;
    order(&shop.app.anonymous(), &tea, 1, "4.50").await.problem(401, "auth.required");
    nothing_happened(&shop).await;
}

#[tokio::test]
async fn then_the_body_is_parsed() {
    let shop = open().await;
    // Ann may create orders and no products; a body that is none is refused alike, before that is looked at.
    for path in [ORDERS, PRODUCTS] {
        let send = async |body: String| shop.ann.request(Method::POST, path).body("application/json", body).send().await;
        send("{".to_owned()).await.problem(400, "body.malformed");
        send(r#"{"items":[],"items":[]}"#.to_owned()).await.problem(400, "body.malformed");
        send(format!(r#"{{"items":{}1{}}}"#, "[".repeat(60), "]".repeat(60))).await.problem(400, "body.malformed");
        send("[]".to_owned()).await.problem(400, "body.shape");
        send("null".to_owned()).await.problem(400, "body.shape");
    }
    nothing_happened(&shop).await;
}

#[tokio::test]
async fn then_the_policies_are_asked() {
    let shop = open().await;
    // Not a valid product and a taken sku; the schema is not revealed to somebody who may not write.
    for body in [json!({}), json!({"nope": 1}), json!({"sku": "TEA-1", "price": "x"})] {
        let problem = shop.ann.post(PRODUCTS, body).await.problem(403, "policy.denied");
        assert!(problem.errors.iter().all(|error| !error.contains("field.required")), "{}", problem.answer);
    }
    shop.ann.delete(&format!("{PRODUCTS}/{}", id(&product(&shop.ann, "TEA-1").await))).await.problem(403, "policy.denied");
    nothing_happened(&shop).await;
}

#[tokio::test]
async fn then_the_stored_record_is_looked_for() {
    let shop = open().await;
    let missing = format!("{PRODUCTS}/01ARZ3NDEKTSV4RRFFQ69G5FAV");
    let request = shop.sam.request(Method::PATCH, &missing).header("if-match", "\"old\"").json(&json!({"price": "x", "nope": 1}));
    request.send().await.problem(404, "record.not_found");
    nothing_happened(&shop).await;
}

#[tokio::test]
async fn then_its_version_must_match() {
    let shop = open().await;
    let tea = product(&shop.sam, "TEA-1").await;
    let path = format!("{PRODUCTS}/{}", id(&tea));
    let request = shop.sam.request(Method::PATCH, &path).header("if-match", "\"old\"").json(&json!({"price": "x", "nope": 1}));
    request.send().await.problem(412, "record.version_mismatch");
    nothing_happened(&shop).await;
    assert_eq!(product(&shop.sam, "TEA-1").await, tea);
}

#[tokio::test]
async fn then_the_plugin_decides() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    // The unknown field would be refused by validation, which comes later.
    let body = json!({"items": [{"product": tea["id"], "quantity": 61}], "nope": 1});
    shop.ann.post(ORDERS, body).await.problem(422, "rule.refused").errors(&["/items/0/quantity stock.insufficient"]);
    let body = json!({"items": [{"product": tea["id"], "quantity": 1}], "total": "1.00", "nope": 1});
    shop.ann.post(ORDERS, body).await.problem(422, "rule.refused").errors(&["/total total.mismatch"]);
    nothing_happened(&shop).await;
}

#[tokio::test]
async fn then_every_field_is_validated_and_what_the_plugin_did_is_undone() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let body = json!({"items": [{"product": tea["id"], "quantity": 1}], "total": "4.50", "status": "nonsense", "nope": 1, "also": 2});
    let problem = shop.ann.post(ORDERS, body).await.problem(422, "record.invalid");
    problem.errors(&["/status field.choice", "/nope field.unknown", "/also field.unknown"]);
    nothing_happened(&shop).await;
}

#[tokio::test]
async fn then_the_result_is_checked_and_what_the_plugin_did_is_undone() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let body = json!({"items": [{"product": tea["id"], "quantity": 1}], "total": "4.50", "customer": shop.ben.id()});
    let answer = shop.ann.post(ORDERS, body).await;
    if answer.is_success() {
        assert_eq!(answer.json["customer"], shop.ann.id());
    } else {
        answer.problem(403, "policy.denied");
        nothing_happened(&shop).await;
    }
}

#[tokio::test]
async fn then_unique_values_are_kept() {
    let shop = open().await;
    let body = json!({"name": "Another tea", "sku": "TEA-1", "price": "1.00", "stock": 1, "active": true});
    shop.sam.post(PRODUCTS, body).await.problem(409, "record.unique").errors(&["/sku field.unique"]);
    let mug = product(&shop.sam, "MUG-1").await;
    let taken = shop.sam.patch(&format!("{PRODUCTS}/{}", id(&mug)), json!({"sku": "TEA-1", "stock": 1})).await;
    taken.problem(409, "record.unique").errors(&["/sku field.unique"]);
    assert_eq!(product(&shop.sam, "MUG-1").await, mug);
    nothing_happened(&shop).await;
}

#[tokio::test]
async fn and_then_it_is_written() {
    let shop = open().await;
    let tea = product(&shop.ann, "TEA-1").await;
    let before = shop.sam.get(&format!("{PRODUCTS}/{}", id(&tea))).await;
    order(&shop.ann, &tea, 2, "9.00").await.expect(201);
    let after = shop.sam.get(&format!("{PRODUCTS}/{}", id(&tea))).await;
    assert_eq!(after.json["stock"], 58);
    // The plugin's own write is a write like any other: it makes a new version.
    assert_ne!(after.expect_header("etag"), before.expect_header("etag"));
}

#[tokio::test]
async fn the_plugins_writes_are_seen_by_who_holds_an_older_version() {
    let shop = open().await;
    let tea = product(&shop.sam, "TEA-1").await;
    let path = format!("{PRODUCTS}/{}", id(&tea));
    let tag = shop.sam.get(&path).await.expect_header("etag").to_owned();
    order(&shop.ann, &tea, 1, "4.50").await.expect(201);
    let stale = shop.sam.request(Method::PATCH, &path).header("if-match", &tag).json(&json!({"stock": 60}));
    stale.send().await.problem(412, "record.version_mismatch");
    assert_eq!(stock(&shop.sam, "TEA-1").await, 59);
}
