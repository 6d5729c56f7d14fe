//! The load generator of `make bench`; `run` starts the servers and calls it as
//! `bench [ironrule=HOST:PORT,PID] [pocketbase=HOST:PORT,PID] [pocketbase-full=HOST:PORT,PID] [raw=FOLDER]`. Systems are measured in turns
//! (A B C, B C A, ...) within every round, so that noise of the machine meets all of them.
//!
//! `BENCH_ROUNDS` (3), `BENCH_SECONDS` per measurement (1.5) and `BENCH_CLIENTS` (`1,16`) decide how long it takes; `BENCH_ONLY=order`
//! measures only the operations with that in their label.

mod operation;

mod load;

mod http;

mod ironrule;

mod pocketbase;

mod raw;

mod report;

use std::{env, path::Path, process::ExitCode, str::FromStr, sync::Arc, time::Duration};

use http::{Connection, HttpWorker, Service};
use load::{Sample, Times};
use operation::{Operation, STOCK};
use raw::{Raw, RawWorker};
use report::{Report, Row};
use tokio::runtime::{Builder, Runtime};

/// Anything that ends the bench.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What is measured.
enum Kind {
    Http(Arc<Service>),
    Raw(Arc<Raw>),
}

/// One column of the report.
struct System {
    name: String,
    kind: Kind,
    /// The process whose processor time counts.
    process: u32,
    /// What PocketBase must say that `PRAGMA synchronous` is: 1 is NORMAL, 2 is FULL.
    synchronous: Option<i64>,
    /// Orders of the hot product that were answered with success.
    hot_orders: u64,
}

/// The generator's own work stays on one thread, so that it cannot take both cores from the server; the database in this process gets
/// what a server would have.
struct Runtimes {
    generator: Runtime,
    database: Runtime,
}

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), Fault> {
    let rounds: usize = setting("BENCH_ROUNDS", 3)?;
    let measured = Duration::from_secs_f64(setting("BENCH_SECONDS", 1.5)?);
    let times = Times { warm_up: measured / 5, measured };
    let clients: Vec<usize> = setting("BENCH_CLIENTS", "1,16".to_owned())?.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let most = clients.iter().copied().max().unwrap_or(1);
    let runtimes = Runtimes { generator: Builder::new_current_thread().enable_all().build()?, database: Runtime::new()? };

    let mut systems = Vec::new();
    for argument in env::args().skip(1) {
        eprintln!("bench: preparing {argument}");
        systems.push(prepare(&runtimes, &argument, most)?);
    }
    if systems.is_empty() {
        return Err("nothing to measure".into());
    }

    let only = setting("BENCH_ONLY", String::new())?;
    let operations = Operation::ALL.iter().filter(|operation| operation.label().contains(&only));
    let combinations = operations.flat_map(|operation| clients.iter().map(|clients| (*operation, *clients)));
    let empty = || systems.iter().map(|_| Vec::new()).collect();
    let mut rows: Vec<Row> = combinations.map(|(operation, clients)| Row { operation, clients, samples: empty() }).collect();
    for round in 0..rounds {
        for row in &mut rows {
            eprintln!("bench: round {} of {rounds}, {}, {} clients", round + 1, row.operation.label(), row.clients);
            for position in 0..systems.len() {
                let index = (position + round) % systems.len();
                let system = &mut systems[index];
                // The two PocketBases differ in writes only.
                if system.synchronous == Some(2) && !row.operation.writes() {
                    continue;
                }
                let sample = measure(&runtimes, system, row, times, round as u64)?;
                if row.operation == Operation::OrderHot {
                    system.hot_orders += sample.done;
                }
                row.samples[index].push(sample);
            }
        }
    }
    println!("Settings: median of {rounds} rounds of {measured:?} after {:?} of warm-up, {clients:?} clients.", times.warm_up);
    let names = systems.iter().map(|system| system.name.clone()).collect();
    Report { systems: names, rows }.print();
    systems.iter().try_for_each(|system| check_durability(&runtimes, system).and_then(|()| check_stock(&runtimes, system)))
}

fn setting<T: FromStr<Err: Into<Fault>>>(name: &str, default: T) -> Result<T, Fault> {
    match env::var(name) {
        Ok(text) => text.parse().map_err(|error: T::Err| format!("{name}: {}", error.into()).into()),
        Err(_) => Ok(default),
    }
}

/// Opens or connects to what an argument names, and fills it.
fn prepare(runtimes: &Runtimes, argument: &str, clients: usize) -> Result<System, Fault> {
    let (name, place) = argument.split_once('=').ok_or_else(|| format!("`{argument}` is not NAME=PLACE"))?;
    if name == "raw" {
        let raw = runtimes.database.block_on(Raw::prepare(Path::new(place), clients))?;
        let kind = Kind::Raw(Arc::new(raw));
        return Ok(System { name: "raw SurrealDB".to_owned(), kind, process: std::process::id(), synchronous: None, hot_orders: 0 });
    }
    let (address, process) = place.split_once(',').ok_or_else(|| format!("`{place}` is not HOST:PORT,PID"))?;
    let (name, synchronous) = match name {
        "ironrule" => ("Ironrule", None),
        "pocketbase" => ("PocketBase", Some(1)),
        "pocketbase-full" => ("PocketBase, fsync", Some(2)),
        other => return Err(format!("`{other}` is no system").into()),
    };
    let service = runtimes.generator.block_on(async {
        let service = match synchronous {
            None => ironrule::prepare(address, clients).await?,
            Some(_) => pocketbase::prepare(address, clients).await?,
        };
        service.check().await?;
        Ok::<_, Fault>(service)
    })?;
    let system =
        System { name: name.to_owned(), kind: Kind::Http(Arc::new(service)), process: process.parse()?, synchronous, hot_orders: 0 };
    check_durability(runtimes, &system)?;
    Ok(system)
}

/// Refuses to call a column `fsync` when the setting is not in force, and the other way round.
fn check_durability(runtimes: &Runtimes, system: &System) -> Result<(), Fault> {
    let (Kind::Http(service), Some(expected)) = (&system.kind, system.synchronous) else { return Ok(()) };
    let found = runtimes.generator.block_on(pocketbase::synchronous(&service.address))?;
    if found == expected { Ok(()) } else { Err(format!("{}: PRAGMA synchronous is {found}, not {expected}", system.name).into()) }
}

fn measure(runtimes: &Runtimes, system: &System, row: &Row, times: Times, round: u64) -> Result<Sample, Fault> {
    let operation = row.operation;
    // Every measurement has its own turns, so that no two write the same text or walk the products in step.
    let first_turn = (round * 1000 + row.clients as u64) * 1_000_000;
    let sample = match &system.kind {
        Kind::Raw(raw) => {
            let worker = |client| RawWorker { raw: Arc::clone(raw), operation, client };
            let workers = (0..row.clients).map(worker).collect();
            runtimes.database.block_on(load::measure(workers, times, first_turn, system.process))
        }
        Kind::Http(service) => runtimes.generator.block_on(async {
            let mut workers = Vec::new();
            for client in 0..row.clients {
                let connection = Connection::open(&service.address).await?;
                workers.push(HttpWorker { service: Arc::clone(service), connection, operation, client });
            }
            load::measure(workers, times, first_turn, system.process).await
        }),
    };
    sample.map_err(|error| format!("{}, {}: {error}", system.name, operation.label()).into())
}

/// A fast shop that sells what it does not have is not fast.
fn check_stock(runtimes: &Runtimes, system: &System) -> Result<(), Fault> {
    let left = match &system.kind {
        Kind::Raw(raw) => runtimes.database.block_on(raw.hot_stock())?,
        Kind::Http(service) => runtimes.generator.block_on(service.hot_stock())?,
    };
    let (taken, orders) = (STOCK - left, system.hot_orders);
    println!("{}: {orders} orders of the hot product, stock taken {taken}.", system.name);
    if taken == orders { Ok(()) } else { Err(format!("{}: orders and stock differ", system.name).into()) }
}
