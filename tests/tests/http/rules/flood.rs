//! Hostile calls without number: each ends with its code, nothing is written, the memory of the server is what it was, and honest callers are
//! served all the time. `IRONRULE_HOSTILE_CALLS` (600) says how many.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Client, Database, Options, TestApp};

use super::{
    NOTES, all, example,
    hostile::{RULES, STOPPED},
    notes, paste, process, resident_bytes, size,
};

/// Hostile calls at a time.
const CLIENTS: usize = 32;

/// Of so many honest calls the first writes, and the others read what it wrote.
const READS: usize = 50;

/// What allocators keep at their own discretion.
const SLACK_BYTES: usize = 96 << 20;

/// Milliseconds that a rule may compute here: less than usual, so that more calls fit into the time.
const CALL_MS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_calls_write_nothing_end_nobody_and_leave_no_memory() {
    let calls = size("IRONRULE_HOSTILE_CALLS", 600);
    // Long runs take longer than a token usually lasts.
    let environment = [("IRONRULE_PLUGIN_CALL_MS", CALL_MS), ("IRONRULE_ACCESS_TOKEN_SECONDS", 86_400)];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_string())).to_vec();
    // On disk: a database in memory keeps what honest callers write there, 27 KiB for each.
    let app = TestApp::start_with(Options { database: Database::Disk, environment, ..Options::default() }).await;
    let admin = app.admin().await;
    notes(&admin).await;
    admin.collection("things", json!([{"name": "number", "type": "integer"}])).await;
    admin.upload(example("hostile/hostile.wasm"), "all").await.expect(201);
    paste(&admin, RULES).await;
    let process_before = process(&app);

    // What is only allocated once is allocated now.
    storm(&admin, (calls / 4).min(5_000)).await;
    let (before, begin) = (resident_bytes(process_before), Instant::now());
    let (codes, honest) = storm(&admin, calls).await;
    let (after, took) = (resident_bytes(process_before), begin.elapsed());

    println!("{calls} hostile calls and {honest} honest ones in {took:?}, {} MiB became {} MiB: {codes:?}", before >> 20, after >> 20);
    assert_eq!(process(&app), process_before, "the server ended");
    assert!(after < before + SLACK_BYTES, "{before} bytes became {after}");
    assert!(honest > 0, "nobody else was served");
    assert_eq!((all(&admin, "notes").await, all(&admin, "audit").await), (Vec::<Value>::new(), Vec::new()), "something was written");
    assert!(admin.get("/api/deliveries").await.list().is_empty(), "an effect of a call that failed was kept");
}

/// So many hostile calls, and honest ones beside them until they end. Answers how often which code came, and how many honest calls there were.
async fn storm(admin: &Client, calls: usize) -> (BTreeMap<String, usize>, usize) {
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let codes = Arc::new(Mutex::new(BTreeMap::new()));
    let hostile = async {
        join_all((0..CLIENTS).map(|_| async {
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= calls {
                    break;
                }
                let (behaviour, expected) = STOPPED[number % STOPPED.len()];
                let problem = admin.post(NOTES, json!({"behaviour": behaviour})).await.any_problem();
                // On a busy machine the time may be over before anything else.
                let code = problem.code().to_owned();
                assert!([expected, "plugin.timeout", "plugin.wall"].contains(&code.as_str()), "{behaviour}: {}", problem.answer);
                *codes.lock().expect("nobody panicked").entry(code).or_default() += 1;
            }
        }))
        .await;
        over.store(true, Relaxed);
    };
    let honest = async {
        let (mut honest, mut path) = (0, String::new());
        while !over.load(Relaxed) {
            let number = honest / READS * READS;
            let thing = match honest % READS {
                // Few, because what they keep in the memory of the server is no trace of the hostile ones.
                0 => admin.create("things", json!({"number": number})).await,
                _ => admin.get(&path).await.json(200),
            };
            assert_eq!(thing["number"], number);
            path = format!("/api/records/things/{}", thing["id"].as_str().expect("an id"));
            honest += 1;
        }
        honest
    };
    let ((), honest) = tokio::join!(hostile, honest);
    let codes = codes.lock().expect("nobody panicked").clone();
    (codes, honest)
}
