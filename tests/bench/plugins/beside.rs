//! What honest callers feel of hostile rules: they come at a fixed rate, half of them with a rule of their own in JavaScript, and in every second
//! phase 32 hostile calls are under way all the time. Both kinds of phase are part of one run and take turns.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::json;
use tests::{Client, Database, Options, TestApp};
use tokio::{task::JoinHandle, time::sleep_until};

use crate::{example, quantiles, shown};

const HOSTILE: usize = 32;

/// What the hostile ones do, in turns.
const BEHAVIOURS: [(&str, &str); 3] = [("loop", "plugin.timeout"), ("allocate", "plugin.memory"), ("host-flood", "plugin.budget")];

/// Honest requests per second: one read, one create, and so on.
const RATE: u32 = 100;

const ROUNDS: usize = 3;

const PHASE: Duration = Duration::from_secs(4);

/// `honest_rule` is one for creates of `things`.
pub async fn measure(honest_rule: Vec<u8>) {
    let environment = vec![("IRONRULE_POLICY_MODE".to_owned(), "plan".to_owned())];
    let app = TestApp::start_with(Options { database: Database::Disk, environment, ..Options::default() }).await;
    let admin = app.admin().await;
    let text = |name: &str| json!({"name": name, "type": "text"});
    admin.collection("notes", json!([text("behaviour"), text("text")])).await;
    admin.collection("audit", json!([text("note")])).await;
    admin.collection("things", json!([text("name")])).await;
    admin.upload(example("hostile/hostile.wasm"), "all").await.expect(201);
    admin.upload(honest_rule, "all").await.expect(201);
    let thing = admin.create("things", json!({"name": "a thing"})).await;
    let path = format!("/api/records/things/{}", thing["id"].as_str().expect("an id"));
    honest(&admin, &path, PHASE / 4).await;

    let (mut quiet, mut beside, mut hostile) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        quiet.extend(honest(&admin, &path, PHASE).await);
        let (over, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        let measured = async {
            let took = honest(&admin, &path, PHASE).await;
            over.store(true, Relaxed);
            took
        };
        let (took, _) = tokio::join!(measured, join_all((0..HOSTILE).map(|number| storm(&admin, number, &over, &calls))));
        beside.extend(took);
        hostile += calls.load(Relaxed);
    }
    let seconds = PHASE.as_secs_f64() * ROUNDS as f64;
    println!(
        "\n{RATE} honest requests a second, half of them creates; {HOSTILE} hostile calls at a time, {:.0} a second.\n",
        hostile as f64 / seconds
    );
    println!("| honest requests | p50 | p99 | asked for |\n|---|--:|--:|---|");
    let ([quiet_p50, quiet_p99], [p50, p99]) = (quantiles(quiet), quantiles(beside));
    println!("| alone | {} | {} | |", shown(quiet_p50), shown(quiet_p99));
    println!("| beside hostile calls | {} | {} | |", shown(p50), shown(p99));
    let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    println!("| ratio | {:.2} | {:.2} | 1.25 |", ratio(p50, quiet_p50), ratio(p99, quiet_p99));
}

/// Requests at their times, whether or not those before have been answered. What each took, from the moment when it was due.
async fn honest(admin: &Client, path: &str, phase: Duration) -> Vec<Duration> {
    let (begin, total) = (Instant::now(), (phase.as_secs_f64() * f64::from(RATE)) as u32);
    let request = |number: u32| -> JoinHandle<Duration> {
        let (admin, path, due) = (admin.clone(), path.to_owned(), begin + Duration::from_secs(1) * number / RATE);
        tokio::spawn(async move {
            sleep_until(due.into()).await;
            match number % 2 {
                0 => drop(admin.get(&path).await.expect(200)),
                _ => drop(admin.create("things", json!({"name": "another thing"})).await),
            }
            due.elapsed()
        })
    };
    let took = join_all((0..total).map(request)).await;
    took.into_iter().map(|took| took.expect("every request is answered")).collect()
}

async fn storm(admin: &Client, number: usize, over: &AtomicBool, calls: &AtomicUsize) {
    let (behaviour, code) = BEHAVIOURS[number % BEHAVIOURS.len()];
    while !over.load(Relaxed) {
        let problem = admin.post("/api/records/notes", json!({"behaviour": behaviour})).await.any_problem();
        // On a machine with so much to do the time may be over first.
        assert!([code, "plugin.timeout", "plugin.wall"].contains(&problem.code()), "{}", problem.answer);
        calls.fetch_add(1, Relaxed);
    }
}
