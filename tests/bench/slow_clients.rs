//! What honest clients notice of thousands of slow ones: half of a head, a body that drips, nothing at all. `make bench` runs it; the server is
//! the binary of `IRONRULE_BIN` or of the same build. Baseline and crowd are measured in turns, so that noise of the machine meets both.
//!
//! `BENCH_SLOW_CLIENTS` (5000), `BENCH_ROUNDS` (3) and `BENCH_SECONDS` (5) of each measurement.

use std::{
    env, fs,
    process::ExitCode,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::json;
use tests::{Database, Options, Raw, TestApp, request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    time::timeout,
};

type Fault = Box<dyn std::error::Error + Send + Sync>;

const HONEST: usize = 16;

/// How long a slow client waits before its next byte.
const DRIP: Duration = Duration::from_secs(4);

/// What one measurement found.
struct Sample {
    /// Microseconds.
    latencies: Histogram<u64>,
    failed: u64,
    handles: usize,
}

/// The slow clients, on a thread of their own. They are gone when this is dropped.
struct Crowd {
    end: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
    thread: Option<thread::JoinHandle<()>>,
}

fn main() -> ExitCode {
    match Builder::new_current_thread().enable_all().build().map_err(Fault::from).and_then(|runtime| runtime.block_on(bench())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-slow-clients: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench() -> Result<(), Fault> {
    let slow: usize = setting("BENCH_SLOW_CLIENTS", 5_000)?;
    let rounds: usize = setting("BENCH_ROUNDS", 3)?;
    let measured = Duration::from_secs_f64(setting("BENCH_SECONDS", 5.0)?);
    let handles = rlimit::increase_nofile_limit(u64::MAX)?;
    if handles < slow as u64 + 100 {
        return Err(format!("{slow} connections need more than the {handles} file handles of this process").into());
    }
    let app = server().await;
    let tokens = tokens(&app).await;
    let (mut quiet, mut crowded) = (Vec::new(), Vec::new());
    honest(&app, &tokens, measured / 2).await?;
    for _ in 0..rounds {
        quiet.push(honest(&app, &tokens, measured).await?);
        let crowd = Crowd::gather(app.host(), slow).await?;
        crowded.push(honest(&app, &tokens, measured).await?);
        drop(crowd);
    }
    report(slow, rounds, measured, (&mut quiet, &mut crowded));
    Ok(())
}

fn setting<T: FromStr<Err: Into<Fault>>>(name: &str, default: T) -> Result<T, Fault> {
    match env::var(name) {
        Ok(text) => text.parse().map_err(|error: T::Err| format!("{name}: {}", error.into()).into()),
        Err(_) => Ok(default),
    }
}

/// Defaults, but for the share of one address: all of these come from one.
async fn server() -> TestApp {
    let environment =
        [("IRONRULE_POLICY_MODE", "plan"), ("IRONRULE_CONNECTIONS_PER_IP_MAX", "0"), ("IRONRULE_ACCESS_TOKEN_SECONDS", "7200")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    TestApp::start_with(Options { database: Database::Disk, shop: false, admin: true, environment }).await
}

/// The users of the honest clients, and a collection with something in it.
async fn tokens(app: &TestApp) -> Vec<String> {
    let admin = app.admin().await;
    let fields = json!([{"name": "text", "type": "text"}, {"name": "owner", "type": "text"}]);
    admin.collection("notes", fields).await;
    admin.allow("role:anyone", "notes", "*", "").await;
    for number in 0..200 {
        admin.create("notes", json!({"text": format!("note {number}"), "owner": "nobody"})).await;
    }
    let mut tokens = Vec::new();
    for number in 0..HONEST {
        tokens.push(app.user(&format!("user{number}")).await.token().to_owned());
    }
    tokens
}

/// Measures what the honest ones notice: lists, and a write every fifth time.
async fn honest(app: &TestApp, tokens: &[String], measured: Duration) -> Result<Sample, Fault> {
    let end = Instant::now() + measured;
    let mut clients = tokio::task::JoinSet::new();
    for token in tokens {
        let (host, token) = (app.host().to_owned(), token.clone());
        clients.spawn(async move { client(&host, &token, end).await });
    }
    let mut sample = Sample { latencies: histogram()?, failed: 0, handles: 0 };
    while let Some(client) = clients.join_next().await {
        let (latencies, failed) = client??;
        sample.latencies.add(latencies)?;
        sample.failed += failed;
    }
    sample.handles = fs::read_dir(format!("/proc/{}/fd", app.process_id()))?.count();
    Ok(sample)
}

fn histogram() -> Result<Histogram<u64>, Fault> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

async fn client(host: &str, token: &str, end: Instant) -> Result<(Histogram<u64>, u64), Fault> {
    let mut raw = Raw::connect(host).await?;
    let bearer = format!("Bearer {token}");
    let body = json!({"text": "another note of an honest client", "owner": "me"}).to_string();
    let length = body.len().to_string();
    let read = request("GET", "/api/records/notes?limit=20", &[("Authorization", &bearer)], "");
    let headers = [("Authorization", &bearer as &str), ("Content-Type", "application/json"), ("Content-Length", &length)];
    let write = request("POST", "/api/records/notes", &headers, &body);
    let (mut latencies, mut failed) = (histogram()?, 0);
    for turn in 0_u64.. {
        let start = Instant::now();
        if start >= end {
            break;
        }
        raw.send(if turn % 5 == 4 { &write } else { &read }).await?;
        let answer = raw.answer().await;
        latencies.saturating_record(u64::try_from(start.elapsed().as_micros())?);
        failed += u64::from(answer.status >= 300);
    }
    Ok((latencies, failed))
}

impl Crowd {
    /// Opens them and waits until all are there.
    async fn gather(host: &str, count: usize) -> Result<Self, Fault> {
        let (end, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ending, opened, host) = (Arc::clone(&end), Arc::clone(&open), host.to_owned());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async move {
                for number in 0..count {
                    let (host, opened) = (host.clone(), Arc::clone(&opened));
                    tokio::spawn(async move { slow(&host, number, &opened).await });
                    // Not all in one queue of the operating system.
                    if number % 64 == 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                while !ending.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        });
        let crowd = Self { end, open, thread: Some(thread) };
        let start = Instant::now();
        while crowd.open.load(Ordering::Relaxed) < count {
            if start.elapsed() > Duration::from_secs(60) {
                return Err(format!("only {} of {count} slow clients got in", crowd.open.load(Ordering::Relaxed)).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Connects again and again, and takes as long as the server lets it.
async fn slow(host: &str, number: usize, open: &AtomicUsize) {
    let headers = [("Content-Type", "application/json"), ("Content-Length", "1000")];
    let beginning = match number % 4 {
        0 => String::new(),
        1 => "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ".to_owned(),
        2 => "PRI * HTTP/2.0\r\n".to_owned(),
        _ => request("POST", "/api/records/notes", &headers, "{"),
    };
    let mut counted = false;
    loop {
        let Ok(mut stream) = TcpStream::connect(host).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let _ = stream.write_all(beginning.as_bytes()).await;
        if !counted {
            counted = true;
            open.fetch_add(1, Ordering::Relaxed);
        }
        let mut said = [0; 512];
        loop {
            match timeout(DRIP, stream.read(&mut said)).await {
                Err(_) if number.is_multiple_of(4) => {}
                Err(_) if stream.write_all(b"a").await.is_ok() => {}
                Ok(Ok(count)) if count > 0 => {}
                _ => break,
            }
        }
    }
}

fn report(slow: usize, rounds: usize, measured: Duration, (quiet, crowded): (&mut [Sample], &mut [Sample])) {
    println!("## {slow} slow clients beside {HONEST} honest ones, loopback; median of {rounds} rounds of {measured:?}");
    println!();
    println!("| | requests per second | p50 ms | p99 ms | failed | file handles of the server |");
    println!("|---|--:|--:|--:|--:|--:|");
    let p99s = [("alone", quiet), (&format!("beside {slow} slow ones") as &str, crowded)].map(|(name, samples)| {
        samples.sort_by_key(|sample| sample.latencies.value_at_quantile(0.99));
        let median = &samples[samples.len() / 2];
        let at = |quantile| median.latencies.value_at_quantile(quantile) as f64 / 1000.0;
        let rate = median.latencies.len() as f64 / measured.as_secs_f64();
        let failed: u64 = samples.iter().map(|sample| sample.failed).sum();
        println!("| {name} | {rate:.0} | {:.2} | {:.2} | {failed} | {} |", at(0.5), at(0.99), median.handles);
        at(0.99)
    });
    println!();
    println!("The p99 moved by {:+.0} % (goal: at most +20 %).", (p99s[1] / p99s[0] - 1.0) * 100.0);
}
