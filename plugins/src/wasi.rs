//! A world without anything in it, for components whose language runtime was built on WASI: no files, no environment, no
//! arguments, a clock that stands still, and random numbers that repeat. What is written to the standard streams is kept,
//! up to a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::Result;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::instance::{Instance, next_byte};

/// Bytes that each standard stream takes in the life of an instance; then it is closed.
const STREAM_MAX_BYTES: usize = 64 << 10;
/// Random bytes before they repeat. Rules have `host.random`; these are for the runtimes themselves.
const RANDOM_BYTES: usize = 1024;
/// Random bytes of one call; the host has to hold them.
const RANDOM_MAX_BYTES: u64 = 64 << 10;
/// Streams, pollables and so on that a guest may hold at a time.
const RESOURCES_MAX: usize = 1000;
/// What the linker of the JavaScript engine leaves behind: it looks for modules, of which there are none any more.
const MODULE_LOADER: &str = "local:init/module-loader";
/// The interfaces of WASI 0.2 that a component may import. Sockets and HTTP are not among them.
const PACKAGES: [&str; 5] = ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:filesystem/"];

/// Whether a component may import this although it is not part of the contract.
pub(crate) fn is_allowed(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let wasi = PACKAGES.iter().any(|package| interface.starts_with(package)) && version.starts_with("0.2.");
    wasi || import == MODULE_LOADER
}

/// Adds what [`is_allowed`] to a linker.
pub(crate) fn link(linker: &mut Linker<Instance>) -> Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    let mut loader = linker.instance(MODULE_LOADER)?;
    loader.func_wrap("resolve", |_, _: (String, String)| Ok((Err::<String, _>("there are no modules at run time".to_owned()),)))?;
    loader.func_wrap("load", |_, _: (String,)| Ok((Err::<String, _>("there are no modules at run time".to_owned()),)))
}

/// The virtual WASI of one instance.
pub(crate) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    clock: Clock,
    out: Stream,
    err: Stream,
}

/// Milliseconds since 1970, the same until the next call.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

struct StoppedClock;

struct Stream {
    pipe: MemoryOutputPipe,
    read: usize,
}

impl Wasi {
    pub(crate) fn new(now_ms: u64, seed: u64) -> Self {
        let clock = Clock(Arc::new(AtomicU64::new(now_ms)));
        let (out, err) = (Stream::new(), Stream::new());
        let mut state = seed;
        let mut random = || Deterministic::new((0..RANDOM_BYTES).map(|_| next_byte(&mut state)).collect());
        let context = WasiCtxBuilder::new()
            .wall_clock(clock.clone())
            .monotonic_clock(StoppedClock)
            .secure_random(random())
            .insecure_random(random())
            .insecure_random_seed(u128::from(seed))
            .max_random_size(RANDOM_MAX_BYTES)
            .stdout(out.pipe.clone())
            .stderr(err.pipe.clone())
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        Self { context, table, clock, out, err }
    }

    pub(crate) fn set_clock(&self, now_ms: u64) {
        self.clock.0.store(now_ms, Ordering::Relaxed);
    }

    /// What was written to standard output and standard error since the last time.
    pub(crate) fn written(&mut self) -> (String, String) {
        (self.out.written(), self.err.written())
    }
}

impl Stream {
    fn new() -> Self {
        Self { pipe: MemoryOutputPipe::new(STREAM_MAX_BYTES), read: 0 }
    }

    fn written(&mut self) -> String {
        let all = self.pipe.contents();
        let new = all.get(self.read..).unwrap_or_default();
        self.read = all.len();
        String::from_utf8_lossy(new).into_owned()
    }
}

/// Made when a component first asks for anything of WASI; those that never do pay nothing.
impl WasiView for Instance {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi();
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}
