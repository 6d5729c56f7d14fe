//! A hundred clients want the last sixty pieces at once. `ROUNDS` says how often that is tried (10).

use std::{collections::HashSet, env, sync::Arc};

use serde_json::{Value, json};
use tests::{Answer, Client, Method};
use tokio::{
    sync::{Barrier, mpsc},
    task::JoinHandle,
};

use super::{ORDERS, PRODUCTS, Shop, id, open, stock};

const CLIENTS: usize = 100;
const STOCK: i64 = 60;

fn rounds() -> usize {
    env::var("ROUNDS").ok().map_or(10, |rounds| rounds.parse().expect("ROUNDS is a number"))
}

/// The product of a round: `TEA-1` in the first one.
async fn stocked(shop: &Shop, round: usize) -> Value {
    if round == 0 {
        return super::product(&shop.sam, "TEA-1").await;
    }
    let sku = format!("TEA-1-{round}");
    shop.sam.create("products", json!({"name": "Tea", "sku": sku, "price": "4.50", "stock": STOCK, "active": true})).await
}

/// Orders that were sent all at the same moment.
struct Rush {
    orders: Vec<JoinHandle<Option<Answer>>>,
    answered: mpsc::UnboundedReceiver<()>,
}

impl Rush {
    fn start(customers: &[&Client], product: &Value) -> Self {
        let start = Arc::new(Barrier::new(CLIENTS));
        let (sender, answered) = mpsc::unbounded_channel();
        let body = json!({"items": [{"product": product["id"], "quantity": 1}], "total": "4.50"});
        let orders = (0..CLIENTS).map(|number| {
            let request = customers[number % customers.len()].request(Method::POST, ORDERS).json(&body);
            let (start, sender) = (Arc::clone(&start), sender.clone());
            tokio::spawn(async move {
                start.wait().await;
                let answer = request.try_send().await.ok();
                let _ = sender.send(());
                answer
            })
        });
        Self { orders: orders.collect(), answered }
    }

    /// Waits until so many have an answer.
    async fn wait(&mut self, answers: usize) {
        for _ in 0..answers {
            self.answered.recv().await.expect("every order is answered or fails");
        }
    }

    /// All answers; none for an order that got none.
    async fn end(self) -> Vec<Option<Answer>> {
        let orders = futures_util::future::join_all(self.orders).await;
        orders.into_iter().map(|order| order.expect("the order was sent")).collect()
    }
}

/// The ids of all stored orders of a product.
async fn stored(client: &Client, product: &Value) -> HashSet<String> {
    let mut ids = HashSet::new();
    let mut cursor = String::new();
    loop {
        let mut query = vec![("limit", "500"), ("sort", "id")];
        if !cursor.is_empty() {
            query.push(("cursor", &cursor));
        }
        let page = client.query(ORDERS, &query).await.expect(200);
        let next = page.header("x-next-cursor").map(str::to_owned);
        ids.extend(page.list().iter().filter(|order| order["items"][0]["product"] == product["id"]).map(|order| id(order).to_owned()));
        match next {
            Some(next) => cursor = next,
            None => return ids,
        }
    }
}

#[tokio::test]
async fn a_product_is_never_oversold() {
    let shop = open().await;
    for round in 0..rounds() {
        let tea = stocked(&shop, round).await;
        let answers = Rush::start(&[&shop.ann, &shop.ben], &tea).end().await;
        let (mut accepted, mut refused) = (HashSet::new(), 0);
        for answer in answers {
            let answer = answer.expect("every order gets an answer");
            if answer.status == 201 {
                accepted.insert(id(&answer.json).to_owned());
            } else {
                answer.problem(422, "rule.refused").errors(&["/items/0/quantity stock.insufficient"]);
                refused += 1;
            }
        }
        assert_eq!((accepted.len(), refused), (60, 40), "round {round}");
        assert_eq!(stock(&shop.ann, tea["sku"].as_str().expect("a sku")).await, 0, "round {round}");
        assert_eq!(stored(&shop.sam, &tea).await, accepted, "round {round}");
    }
}

#[tokio::test]
async fn a_crash_in_the_rush_loses_nothing_and_sells_nothing_twice() {
    let mut shop = open().await;
    let mut killed_in_the_middle = 0;
    for round in 0..rounds() {
        let tea = stocked(&shop, round).await;
        let sku = tea["sku"].as_str().expect("a sku").to_owned();
        let mut rush = Rush::start(&[&shop.ann, &shop.ben], &tea);
        rush.wait(1 + 9 * round % 90).await;
        shop.app.kill9();
        let answers = rush.end().await;
        shop.app.restart().await;
        let app = shop.app;
        let (ann, ben, sam) =
            tokio::join!(app.shop_user("ann@shop.example"), app.shop_user("ben@shop.example"), app.shop_user("sam@shop.example"));
        shop = Shop { app, ann, ben, sam };

        let unanswered = answers.iter().filter(|answer| answer.is_none()).count();
        killed_in_the_middle += usize::from(unanswered > 0);
        let acknowledged: HashSet<String> =
            answers.iter().flatten().filter(|answer| answer.status == 201).map(|answer| id(&answer.json).to_owned()).collect();
        let kept = stored(&shop.sam, &tea).await;
        let left = stock(&shop.ann, &sku).await;
        assert!(acknowledged.is_subset(&kept), "round {round}: acknowledged orders were lost");
        assert!(kept.len() <= acknowledged.len() + unanswered, "round {round}: orders came from nowhere");
        assert_eq!(kept.len() as i64, STOCK - left, "round {round}: orders kept and stock taken differ");
        sell_out(&shop, &tea, left).await;
    }
    assert!(killed_in_the_middle * 2 >= rounds(), "only {killed_in_the_middle} crashes came while orders were under way");
}

/// What is left after the crash can still be sold, to the last piece and no further.
async fn sell_out(shop: &Shop, tea: &Value, left: i64) {
    let path = format!("{PRODUCTS}/{}", id(tea));
    for _ in 0..left.min(3) {
        super::order(&shop.ann, tea, 1, "4.50").await.expect(201);
    }
    let rest = left - left.min(3);
    if rest > 0 {
        let items = json!([{"product": tea["id"], "quantity": rest}]);
        shop.ben.post(ORDERS, json!({"items": items})).await.expect(201);
    }
    super::order(&shop.ann, tea, 1, "4.50").await.problem(422, "rule.refused").errors(&["/items/0/quantity stock.insufficient"]);
    assert_eq!(shop.sam.get(&path).await.json(200)["stock"], 0);
}
