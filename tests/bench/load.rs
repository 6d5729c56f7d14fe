//! One measurement: some clients, each with one request in flight, for a given time.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::Fault;

/// One client.
pub trait Worker: Send + 'static {
    /// Does what is measured, once. An error is counted, not measured.
    fn once(&mut self, turn: u64) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// What one measurement found.
pub struct Sample {
    /// Successes per second.
    pub rate: f64,
    /// Milliseconds.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
    /// Microseconds of processor time per success, of the process under test.
    pub server_cpu: f64,
    /// The same of this process.
    pub client_cpu: f64,
    /// True if they are the same process.
    pub own_process: bool,
    /// Successes, those of the warm-up included.
    pub done: u64,
    /// Failures, those of the warm-up included, and one of them.
    pub failed: u64,
    pub failure: Option<String>,
}

/// For how long.
#[derive(Clone, Copy)]
pub struct Times {
    pub warm_up: Duration,
    pub measured: Duration,
}

/// Runs all clients at once. Only what ends inside the measured time counts. `process` is the process under test.
pub async fn measure<W: Worker>(workers: Vec<W>, times: Times, first_turn: u64, process: u32) -> Result<Sample, Fault> {
    let clients = workers.len();
    let begin = Instant::now() + times.warm_up;
    let end = begin + times.measured;
    let mut tasks = JoinSet::new();
    for worker in workers {
        tasks.spawn(work(worker, begin, end, first_turn));
    }
    // A thread of its own: the timers of a runtime that is busy with a database come late.
    let processor = thread::spawn(move || {
        let used = || Ok::<_, Fault>((cpu(process)?, cpu(std::process::id())?));
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        let before = used()?;
        thread::sleep(end.saturating_duration_since(Instant::now()));
        let after = used()?;
        Ok::<_, Fault>((after.0 - before.0, after.1 - before.1))
    });

    let mut total = Tally::new()?;
    while let Some(tally) = tasks.join_next().await {
        total.add(tally??)?;
    }
    let (server, client) = processor.join().map_err(|_| "the processor time could not be read")??;
    if total.failed as usize > clients * 10 && total.done == 0 {
        return Err(format!("every request failed: {}", total.failure.unwrap_or_default()).into());
    }
    let counted = total.latencies.len() as f64;
    Ok(Sample {
        rate: counted / times.measured.as_secs_f64(),
        p50: total.latencies.value_at_quantile(0.5) as f64 / 1000.0,
        p99: total.latencies.value_at_quantile(0.99) as f64 / 1000.0,
        server_cpu: server.as_secs_f64() * 1e6 / counted.max(1.0),
        client_cpu: client.as_secs_f64() * 1e6 / counted.max(1.0),
        own_process: process == std::process::id(),
        done: total.done,
        failed: total.failed,
        failure: total.failure,
    })
}

/// What one client has seen.
struct Tally {
    /// Microseconds.
    latencies: Histogram<u64>,
    done: u64,
    failed: u64,
    failure: Option<String>,
}

impl Tally {
    fn new() -> Result<Self, Fault> {
        Ok(Self { latencies: Histogram::new_with_bounds(1, 60_000_000, 3)?, done: 0, failed: 0, failure: None })
    }

    fn add(&mut self, other: Self) -> Result<(), Fault> {
        self.latencies.add(&other.latencies)?;
        self.done += other.done;
        self.failed += other.failed;
        self.failure = self.failure.take().or(other.failure);
        Ok(())
    }
}

async fn work<W: Worker>(mut worker: W, begin: Instant, end: Instant, first_turn: u64) -> Result<Tally, Fault> {
    let mut tally = Tally::new()?;
    for turn in first_turn.. {
        let start = Instant::now();
        if start >= end {
            break;
        }
        let result = worker.once(turn).await;
        let now = Instant::now();
        match result {
            Ok(()) => {
                tally.done += 1;
                if now >= begin && now < end {
                    tally.latencies.saturating_record(u64::try_from((now - start).as_micros())?);
                }
            }
            Err(error) => {
                tally.failed += 1;
                tally.failure.get_or_insert_with(|| error.to_string());
            }
        }
    }
    Ok(tally)
}

/// The processor time that a process has used, from `/proc/PID/stat` (proc(5): fields 14 and 15, in ticks of 10 ms).
fn cpu(process: u32) -> Result<Duration, Fault> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is the name in parentheses and may hold spaces.
    let (_, rest) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>()).sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
