//! Kill -9 at any moment: what was committed is told at least once and in its order, what was not committed never.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;

const WRITERS: i64 = 6;

/// What each writer may number.
const RANGE: i64 = 100_000;

/// Orders that may wait for their webhooks: there should be work at every moment, but not ever more of it.
const AHEAD: usize = 60;

/// How far the writers are, and the receiver.
#[derive(Clone)]
struct Pace {
    written: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<receiver::Received>>>,
}

/// How often the server is killed: `IRONRULE_KILLS`, or a few times.
fn kills() -> u32 {
    std::env::var("IRONRULE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(6)
}

/// What a writer knows: the numbers whose order was accepted, and those whose order was refused.
#[derive(Default)]
struct Known {
    accepted: BTreeSet<i64>,
    refused: BTreeSet<i64>,
    next: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn outbox_kill() {
    let mut post = Post::start_on(Database::Disk).await;
    let url = post.receiver.url("/half");
    let pace = Pace { written: Arc::default(), received: post.receiver.list() };
    let mut known: Vec<Known> = (0..WRITERS).map(|_| Known::default()).collect();
    for round in 0..kills() {
        let tasks: Vec<_> = known
            .into_iter()
            .zip(0..)
            .map(|(known, writer)| tokio::spawn(write(post.admin.clone(), url.clone(), writer, known, pace.clone())))
            .collect();
        // Another moment each time, and always while there is work.
        let wanted = post.receiver.all().len() + 5 + (round as usize * 37) % 60;
        eventually("deliveries arrive", async || (post.receiver.all().len() >= wanted).then_some(())).await;
        post.app.kill9();
        known = Vec::new();
        for task in tasks {
            known.push(task.await.expect("the writer ends"));
        }
        post.app.restart().await;
        post.admin = post.app.admin().await;
    }
    let open = async || {
        let pending = post.admin.query(DELIVERIES, &[("state", "pending"), ("limit", "1")]).await.list();
        let running = post.admin.query(DELIVERIES, &[("state", "running"), ("limit", "1")]).await.list();
        (pending.len() + running.len()).min(1)
    };
    let mut start = (Instant::now(), post.receiver.all().len());
    while open().await > 0 {
        // As long as something happens, it may take its time.
        let arrived = post.receiver.all().len();
        start = if arrived > start.1 { (Instant::now(), arrived) } else { start };
        assert!(start.0.elapsed() < Duration::from_secs(120), "nothing is delivered any more, and something is left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(post.admin.query(DELIVERIES, &[("state", "dead")]).await.list().is_empty(), "something was given up");
    check_webhooks(&post, &known);
    check_notes(&post, &known).await;
}

/// Orders until the server is gone; every fifth order is refused.
async fn write(admin: Client, url: String, writer: i64, mut known: Known, pace: Pace) -> Known {
    loop {
        let number = writer * RANGE + known.next;
        known.next += 1;
        let refused = number % 5 == 4;
        let what = if refused { "refused" } else { "fine" };
        let order = json!({"what": what, "url": url, "key": format!("writer-{writer}"), "number": number});
        let Ok(answer) = admin.request(Method::POST, ORDERS).json(&order).try_send().await else { return known };
        if refused {
            answer.problem(409, "rule.refused");
            known.refused.insert(number);
        } else {
            answer.expect(201);
            known.accepted.insert(number);
            pace.written.fetch_add(1, Ordering::Relaxed);
        }
        while pace.written.load(Ordering::Relaxed) > pace.received.lock().expect("the list").len() + AHEAD {
            if admin.request(Method::GET, "/livez").try_send().await.is_err() {
                return known;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn check_webhooks(post: &Post, known: &[Known]) {
    let mut by_writer: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for received in post.receiver.all().into_iter().filter(|one| one.accepted) {
        by_writer.entry(received.number() / RANGE).or_default().push(received.number());
    }
    for (known, writer) in known.iter().zip(0..) {
        let arrived = by_writer.remove(&writer).unwrap_or_default();
        // Once more is possible after a kill, but only before the next one has gone out.
        assert!(arrived.is_sorted(), "writer {writer}: out of order: {arrived:?}");
        let arrived: BTreeSet<i64> = arrived.into_iter().collect();
        let lost: Vec<_> = known.accepted.difference(&arrived).collect();
        assert!(lost.is_empty(), "writer {writer}: lost {lost:?}");
        let forbidden: Vec<_> = known.refused.intersection(&arrived).collect();
        assert!(forbidden.is_empty(), "writer {writer}: told of what did not happen: {forbidden:?}");
    }
}

/// The rule after the commit has run exactly once for each order that is stored.
async fn check_notes(post: &Post, known: &[Known]) {
    let stored = numbers(&post.admin, ORDERS).await;
    let noted = numbers(&post.admin, "/api/records/notes").await;
    assert_eq!(noted, stored, "each order has one note");
    let accepted: BTreeSet<i64> = known.iter().flat_map(|known| known.accepted.iter().copied()).collect();
    assert!(accepted.is_subset(&stored.into_iter().collect()), "an order was lost");
}

/// The numbers of all records, also those that are there twice.
async fn numbers(admin: &Client, path: &str) -> Vec<i64> {
    let mut numbers = Vec::new();
    let mut next = Some(format!("{path}?limit=1000"));
    while let Some(page) = next {
        let page = admin.get(&page).await.expect(200);
        next = page.header("x-next-cursor").map(|cursor| tests::url(path, &[("limit", "1000"), ("cursor", cursor)]));
        // Ticks of the schedule have none.
        numbers.extend(page.list().iter().filter_map(|record| record["number"].as_i64()));
    }
    numbers.sort_unstable();
    numbers
}
