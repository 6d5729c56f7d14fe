//! Requests at random, made from the live document and broken in every way that comes to mind: whatever is asked, the server answers, never
//! with 5xx, and every refusal is a problem with a code. `IRONRULE_RANDOM_REQUESTS` (3000) says how many, `IRONRULE_RANDOM_SEED` (1) which; a
//! failure names the seed of its server.

mod operations;

mod values;

use std::{
    env,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use futures_util::future::join_all;
use tests::{Answer, Client, Database, Options, TestApp};

use super::agreement::random::Random;
use operations::{Asked, Operations};
use values::Values;

/// Requests of one server at most: then it is so full of what was written, and so empty of what was deleted, that a fresh one finds more. It
/// comes earlier if somebody who asks has lost its account.
const OF_ONE_SERVER: usize = 5_000;

/// How many are under way at once.
const AT_ONCE: usize = 8;

fn setting(name: &str, otherwise: usize) -> usize {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: `{text}`")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_answered_with_a_fault_of_the_server() {
    let (total, seed) = (setting("IRONRULE_RANDOM_REQUESTS", 3_000), setting("IRONRULE_RANDOM_SEED", 1) as u64);
    let start = Instant::now();
    let mut counts = std::collections::BTreeMap::<u16, usize>::new();
    let mut done = 0;
    for round in 0.. {
        let count = OF_ONE_SERVER.min(total - done);
        if count == 0 {
            break;
        }
        for status in server(seed + round, count).await {
            *counts.entry(status).or_default() += 1;
            done += 1;
        }
    }
    println!("{done} requests in {:?}: {counts:?}", start.elapsed());
    let served = counts.iter().filter(|(status, _)| **status < 300).map(|(_, count)| count).sum::<usize>();
    assert!(served * 20 > done, "too few requests were good for anything: {counts:?}");
}

/// Asks one server so many times. Returns the statuses.
async fn server(seed: u64, count: usize) -> Vec<u16> {
    // Nobody waits for a minute because a guess was made ten times.
    let settings = [("LOGIN_ATTEMPTS", "0"), ("LOGIN_ATTEMPTS_OF_ALL", "0"), ("RATE_AUTH_PER_MINUTE", "0")];
    let environment = settings.map(|(name, value)| (format!("IRONRULE_{name}"), value.to_owned())).to_vec();
    let app = TestApp::start_with(Options { shop: true, database: Database::Memory, environment, ..Options::default() }).await;
    let document = app.anonymous().get("/openapi.json").await.json(200);
    let operations = Operations::of(&document);
    let callers = [app.admin().await, app.shop_user("sam@shop.example").await, app.shop_user("ann@shop.example").await, app.anonymous()];
    let values = Mutex::new(Values::default());
    let statuses = Mutex::new(Vec::with_capacity(count));
    let spent = AtomicBool::new(false);
    let worker = async |worker: usize| {
        let mut random = Random::new(seed * 1_000 + worker as u64);
        for number in (worker..count).step_by(AT_ONCE) {
            if spent.load(Ordering::Relaxed) {
                break;
            }
            let asked = operations.request(&mut random, &values.lock().expect("no panic"));
            let caller = match random.below(10) {
                0..=4 => &callers[0],
                5 | 6 => &callers[1],
                7 | 8 => &callers[2],
                _ => &callers[3],
            };
            let answer = send(caller, &asked).await.unwrap_or_else(|| panic!("server {seed}, request {number} got no answer: {asked:?}"));
            check(&answer, &asked, seed, number);
            if answer.json["code"] == "auth.invalid_token" {
                spent.store(true, Ordering::Relaxed);
            }
            values.lock().expect("no panic").learn(&answer.json);
            statuses.lock().expect("no panic").push(answer.status);
        }
    };
    join_all((0..AT_ONCE).map(worker)).await;
    app.anonymous().get("/readyz").await.expect(200);
    let output = app.output();
    assert!(!output.contains("panicked at"), "server {seed} panicked:\n{output}");
    statuses.into_inner().expect("no panic")
}

/// Sends it; what reqwest itself does not let through was no request.
async fn send(caller: &Client, asked: &Asked) -> Option<Answer> {
    let mut request = caller.request(asked.method.clone(), &asked.target);
    for (name, value) in &asked.headers {
        request = request.header(name, value);
    }
    if let Some((kind, body)) = &asked.body {
        request = request.body(kind, body.clone());
    }
    match request.try_send().await {
        Ok(answer) => Some(answer),
        Err(error) => {
            println!("{error:?}");
            None
        }
    }
}

fn check(answer: &Answer, asked: &Asked, seed: u64, number: usize) {
    let context = || format!("server {seed}, request {number}: {asked:?}\n{answer}");
    assert!(answer.status < 500, "{}", context());
    if answer.status >= 400 && asked.method != tests::Method::HEAD {
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "{}", context());
        answer.clone().any_problem();
    }
    assert!(answer.header("x-request-id").is_some(), "{}", context());
}
