//! The customers' private address: for themselves only.

use serde_json::{Value, json};
use tests::PASSWORD;

use super::{Shop, open};

const USERS: &str = "/api/records/users";
const ADDRESS: &str = "Secret Lane 7, Hidden Hills";

/// A shop with the customer Cat, whose address is known.
async fn with_cat() -> (Shop, tests::Client) {
    let shop = open().await;
    let body = json!({"email": "cat@shop.example", "password": PASSWORD, "name": "Cat", "address": ADDRESS});
    shop.app.anonymous().post("/api/auth/register", body).await.expect(201);
    let cat = shop.app.login("cat@shop.example", PASSWORD).await;
    (shop, cat)
}

#[tokio::test]
async fn a_customer_sees_the_own_address() {
    let (_shop, cat) = with_cat().await;
    let me = cat.get("/api/auth/me").await.json(200);
    assert_eq!((&me["record"]["name"], &me["record"]["address"]), (&json!("Cat"), &json!(ADDRESS)), "{me}");
}

#[tokio::test]
async fn a_customer_mends_the_own_account_and_no_more() {
    let (shop, cat) = with_cat().await;
    let own = format!("{USERS}/{}", cat.id());
    let changed = cat.patch(&own, json!({"name": "Catherine", "address": "New Lane 8"})).await.json(200);
    assert_eq!((&changed["name"], &changed["address"]), (&json!("Catherine"), &json!("New Lane 8")));
    for body in [json!({"email": "other@shop.example"}), json!({"verified": true})] {
        let problem = cat.patch(&own, body).await.problem(403, "policy.denied");
        assert!(problem.errors.iter().all(|error| error.ends_with(" field.forbidden")), "{}", problem.answer);
    }
    let refused = cat.patch(&format!("{USERS}/{}", shop.ann.id()), json!({"password": "a-password-of-cat-9"})).await.any_problem();
    assert!([403, 404].contains(&refused.answer.status), "{}", refused.answer);
    shop.app.shop_user("ann@shop.example").await;
    cat.delete(&own).await.problem(403, "policy.denied");
}

#[tokio::test]
async fn nobody_else_sees_it_or_asks_about_it() {
    let (shop, cat) = with_cat().await;
    let one = format!("{USERS}/{}", cat.id());
    for client in [&shop.sam, &shop.ann, &shop.app.anonymous()] {
        for path in [USERS.to_owned(), one.clone(), format!("{USERS}?fields=address"), format!("{one}?fields=address")] {
            let answer = client.get(&path).await;
            assert!(!answer.text.contains("Secret Lane"), "{answer}");
        }
        for (name, value) in [("filter", "address.startsWith('S')"), ("filter", "has(address)"), ("sort", "address"), ("sort", "-address")]
        {
            let answer = client.query(USERS, &[(name, value), ("count", "exact")]).await;
            // A customer may ask about the own address; then the answer is about nobody else.
            if answer.is_success() {
                let own = answer.json.as_array().is_some_and(|found| found.iter().all(|record| record["id"] == client.id()));
                assert!(own && client.id() == shop.ann.id(), "{answer}");
            } else {
                assert!([401, 403].contains(&answer.clone().any_problem().answer.status), "{answer}");
            }
        }
        let refused = client.patch(&one, json!({"address": "elsewhere"})).await.any_problem();
        assert!([401, 403, 404].contains(&refused.answer.status), "{}", refused.answer);
    }
    assert_eq!(cat.get("/api/auth/me").await.json(200)["record"]["address"], ADDRESS);
}

#[tokio::test]
async fn a_customer_does_not_see_other_customers() {
    let (shop, cat) = with_cat().await;
    let refused = shop.ann.get(&format!("{USERS}/{}", cat.id())).await.any_problem();
    assert!([403, 404].contains(&refused.answer.status), "{}", refused.answer);
    let listed = shop.ann.query(USERS, &[("count", "exact")]).await;
    if listed.is_success() {
        let own: Vec<&Value> = listed.json.as_array().into_iter().flatten().filter(|record| record["id"] != shop.ann.id()).collect();
        assert!(own.is_empty() && listed.expect_header("x-total-count") == "1", "{listed}");
    }
}

#[tokio::test]
async fn orders_do_not_give_the_customer_away() {
    let (shop, cat) = with_cat().await;
    let tea = super::product(&cat, "TEA-1").await;
    super::order(&cat, &tea, 1, "4.50").await.expect(201);
    let orders = shop.sam.get(super::ORDERS).await.expect(200);
    assert!(!orders.text.contains("Secret Lane") && !orders.text.contains("cat@shop.example"), "{orders}");
    for filter in ["customer.address == 'x'", "customer.email.startsWith('cat')"] {
        shop.sam.query(super::ORDERS, &[("filter", filter)]).await.problem(400, "query.invalid");
    }
}

#[tokio::test]
async fn nobody_takes_a_role_by_registering() {
    let shop = open().await;
    for (name, value) in [("role", json!("staff")), ("roles", json!(["staff"])), ("id", json!(shop.sam.id()))] {
        let body = json!({"email": "eve@shop.example", "password": PASSWORD, name: value});
        let answer = shop.app.anonymous().post("/api/auth/register", body).await;
        if answer.is_success() {
            assert_ne!(answer.json["id"], shop.sam.id());
            let eve = shop.app.login("eve@shop.example", PASSWORD).await;
            eve.post(super::PRODUCTS, json!({"name": "x"})).await.problem(403, "policy.denied");
        }
    }
}
