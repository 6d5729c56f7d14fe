//! The order guard, in Rust and in TypeScript: 64 clients order from 20 products, more than there is, and the server is killed in between.
//! Nothing is oversold, no stock is lost, every total is right. `IRONRULE_ORDERS` (600) and `IRONRULE_ORDER_KILLS` (2) say how much of it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Answer, Client, Method, eventually};
use tokio::task::JoinHandle;

use super::{all, example, paste, size};
use crate::shop::{ORDERS, Shop, id, open};

const CLIENTS: usize = 64;
const PRODUCTS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guard_in_rust_sells_what_there_is_and_no_more() {
    let shop = open().await;
    sell_out(shop, "rust").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guard_in_typescript_sells_what_there_is_and_no_more() {
    let shop = open().await;
    let text = String::from_utf8(example("order-guard-ts/dist/order-guard.js")).expect("JavaScript is text");
    let before = digest(&shop).await;
    let installed = paste(&shop.app.admin().await, text).await;
    assert_eq!((&installed["name"], &installed["versions"][0]["javascript"]), (&json!("order-guard"), &json!(true)), "{installed}");
    assert_ne!(digest(&shop).await, before, "the one in Rust still runs");
    sell_out(shop, "typescript").await;
}

/// Which code guards the orders.
async fn digest(shop: &Shop) -> String {
    let plugin = shop.app.admin().await.get("/api/plugins/order-guard").await.json(200);
    assert_eq!(plugin["state"], "running", "{plugin}");
    plugin["digest"].as_str().expect("a digest").to_owned()
}

async fn sell_out(mut shop: Shop, language: &str) {
    let (orders, kills) = (size("IRONRULE_ORDERS", 600), size("IRONRULE_ORDER_KILLS", 2));
    let (guard, begin) = (digest(&shop).await, Instant::now());
    let sale = Arc::new(Sale::open(&shop, orders).await);
    for kill in 1..=kills {
        let clients = sale.start(&shop);
        let wanted = orders * kill / (kills + 1);
        eventually("enough orders are answered", async || (sale.answered.load(Relaxed) >= wanted).then_some(())).await;
        shop.app.kill9();
        join_all(clients).await.into_iter().for_each(|client| client.expect("a client does not panic"));
        shop = again(shop).await;
        assert_eq!(digest(&shop).await, guard, "another guard runs after the crash");
        sale.check(&shop).await;
    }
    join_all(sale.start(&shop)).await.into_iter().for_each(|client| client.expect("a client does not panic"));
    sale.check(&shop).await;

    let tally = sale.tally.lock().expect("nobody panicked");
    println!("{language}: {orders} orders, {kills} kills, {:?}: {tally}", begin.elapsed());
    assert!(kills == 0 || tally.unanswered > 0, "no order was under way when the server was killed");
    assert!(!tally.accepted.is_empty() && tally.out_of_stock > 0 && tally.wrong_total > 0, "not everything happened: {tally}");
    assert!(tally.accepted.len() + tally.out_of_stock + tally.wrong_total + tally.unanswered == orders, "orders are missing: {tally}");
}

/// The same shop after a crash.
async fn again(shop: Shop) -> Shop {
    let mut app = shop.app;
    app.restart().await;
    let (ann, ben, sam) =
        tokio::join!(app.shop_user("ann@shop.example"), app.shop_user("ben@shop.example"), app.shop_user("sam@shop.example"));
    Shop { app, ann, ben, sam }
}

/// What became of the orders.
#[derive(Default)]
struct Tally {
    accepted: HashSet<String>,
    out_of_stock: usize,
    wrong_total: usize,
    /// Sent, and nobody knows.
    unanswered: usize,
    /// Asked to come again, because too many wanted the same.
    again: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { accepted, out_of_stock, wrong_total, unanswered, again } = self;
        let accepted = accepted.len();
        write!(
            formatter,
            "{accepted} accepted, {out_of_stock} out of stock, {wrong_total} wrong totals, {unanswered} without an answer, "
        )?;
        write!(formatter, "{again} told to come again")
    }
}

/// The products of the sale, and how far it has come.
struct Sale {
    products: Vec<(String, i64)>,
    stock: i64,
    orders: usize,
    next: AtomicUsize,
    answered: AtomicUsize,
    tally: Mutex<Tally>,
}

impl Sale {
    /// With less in stock than will be ordered.
    async fn open(shop: &Shop, orders: usize) -> Self {
        let stock = (orders / 8) as i64;
        let mut products = Vec::new();
        for number in 0..PRODUCTS {
            let (cents, sku) = (101 + 37 * number as i64, format!("SALE-{number}"));
            let product = json!({"name": sku, "sku": sku, "price": shown(cents), "stock": stock, "active": true});
            products.push((id(&shop.sam.create("products", product).await).to_owned(), cents));
        }
        Self { products, stock, orders, next: AtomicUsize::new(0), answered: AtomicUsize::new(0), tally: Mutex::default() }
    }

    /// Lets the clients order until nothing is left to do or the server is gone.
    fn start(self: &Arc<Self>, shop: &Shop) -> Vec<JoinHandle<()>> {
        let client = |number: usize| {
            let (sale, customer) = (Arc::clone(self), if number.is_multiple_of(2) { shop.ann.clone() } else { shop.ben.clone() });
            tokio::spawn(async move { sale.order_on(&customer).await })
        };
        (0..CLIENTS).map(client).collect()
    }

    async fn order_on(&self, customer: &Client) {
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if number >= self.orders {
                return;
            }
            let order = Order::new(self, number);
            loop {
                match customer.request(Method::POST, ORDERS).json(&order.body).try_send().await {
                    Ok(answer) if answer.status == 409 => {
                        answer.problem(409, "write.conflict");
                        self.tally().again += 1;
                    }
                    Ok(answer) => break self.note(&order, answer),
                    Err(_) => return self.tally().unanswered += 1,
                }
            }
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().expect("nobody panicked")
    }

    fn note(&self, order: &Order, answer: Answer) {
        self.answered.fetch_add(1, Relaxed);
        if answer.status == 201 {
            assert!(!order.is_wrong, "a wrong total was accepted: {answer}");
            assert_eq!(cents(&answer.json["total"]), order.total, "{answer}");
            assert!(self.tally().accepted.insert(id(&answer.json).to_owned()), "the same id twice: {answer}");
            return;
        }
        let problem = answer.problem(422, "rule.refused");
        let short = |error: &str| error.starts_with("/items/") && error.ends_with("/quantity stock.insufficient");
        assert!(problem.errors.iter().all(|error| short(error) || error == "/total total.mismatch"), "{}", problem.answer);
        let wrong = problem.errors.iter().any(|error| error == "/total total.mismatch");
        assert!(order.is_wrong || !wrong, "a right total was refused: {}", problem.answer);
        let mut tally = self.tally();
        *(if wrong { &mut tally.wrong_total } else { &mut tally.out_of_stock }) += 1;
    }

    /// What is stored is what was answered, and the stock is what it leaves.
    async fn check(&self, shop: &Shop) {
        let stored = all(&shop.sam, "orders").await;
        let mut sold: BTreeMap<&str, i64> = BTreeMap::new();
        for order in &stored {
            let items = order["items"].as_array().expect("items");
            let lines =
                items.iter().map(|item| (item["product"].as_str().expect("a product"), item["quantity"].as_i64().expect("a number")));
            let mut total = 0;
            for (product, quantity) in lines {
                *sold.entry(product).or_default() += quantity;
                total += quantity * self.products.iter().find(|(id, _)| id == product).expect("a product of the sale").1;
            }
            assert_eq!(cents(&order["total"]), total, "{order}");
        }
        for product in all(&shop.sam, "products").await.iter().filter(|product| self.products.iter().any(|(one, _)| one == id(product))) {
            let left = product["stock"].as_i64().expect("a stock");
            let sold = sold.get(id(product)).copied().unwrap_or_default();
            assert!(left >= 0, "oversold: {product}");
            assert_eq!(left + sold, self.stock, "stock came or went: {product}, {sold} sold");
        }
        let tally = self.tally();
        let kept: HashSet<String> = stored.iter().map(|order| id(order).to_owned()).collect();
        let lost: Vec<_> = tally.accepted.difference(&kept).collect();
        assert!(lost.is_empty(), "accepted orders were lost: {lost:?}");
        assert!(kept.len() <= tally.accepted.len() + tally.unanswered, "orders came from nowhere: {} kept, {tally}", kept.len());
    }
}

/// What one client wants, the same in every run.
struct Order {
    body: Value,
    total: i64,
    /// The customer has reckoned wrongly.
    is_wrong: bool,
}

impl Order {
    fn new(sale: &Sale, number: usize) -> Self {
        let mixed = |salt: usize| ((number * 8 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 33;
        let lines =
            (0..1 + mixed(0) % 3).map(|line| (&sale.products[mixed(2 * line + 1) % PRODUCTS], 1 + (mixed(2 * line + 2) % 3) as i64));
        let lines: Vec<_> = lines.collect();
        let total: i64 = lines.iter().map(|((_, cents), quantity)| cents * quantity).sum();
        let items: Vec<_> = lines.iter().map(|((product, _), quantity)| json!({"product": product, "quantity": quantity})).collect();
        let is_wrong = number % 4 == 1;
        let body = match number % 4 {
            0 => json!({"items": items, "total": shown(total)}),
            1 => json!({"items": items, "total": shown(total - 1)}),
            _ => json!({"items": items}),
        };
        Self { body, total, is_wrong }
    }
}

fn shown(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// The cents of a decimal number that is a text.
fn cents(decimal: &Value) -> i64 {
    let text = decimal.as_str().unwrap_or_else(|| panic!("no decimal number: {decimal}"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<2}").parse().unwrap_or_else(|_| panic!("no cents: {text}"))
}
