//! How wasmtime is set up. The figures behind each value: `docs/ARCHITECTURE.md`.

use std::fs;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result};

use crate::clock::Clock;

/// How often running guests are interrupted: to let other tasks have the thread, to go elsewhere, and to be ended.
pub(crate) const TICK: Duration = Duration::from_millis(2);
/// Instances that fit into the pool.
pub(crate) const SLOTS: u32 = 128;
/// The most that a guest can have, whatever its limits say.
pub(crate) const MEMORY_MAX_BYTES: usize = 64 << 20;
/// Core instances, memories and tables of one component. A component that brings a language runtime consists of more than
/// 20 core instances, one with CPython of 38. The pool holds as much for every slot, so that nobody finds it empty because of another one's component.
const CORE_INSTANCES: u32 = 48;
const MEMORIES: u32 = 2;
const TABLES: u32 = 4;
/// Entries of a guest's tables; the JavaScript engines need thousands.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

/// An engine, and the clock that moves its epoch every [`TICK`].
pub(crate) fn start() -> Result<(Engine, Arc<Clock>)> {
    let pool = InstanceAllocationStrategy::Pooling(pool());
    let engine = Engine::new(base().epoch_interruption(true).allocation_strategy(pool))?;
    let clock = Clock::start(&engine)?;
    Ok((engine, clock))
}

/// An engine that counts instructions instead of watching the clock, so that the same call costs the same everywhere. Its
/// instances are not pooled: it is for authors, one call after the other.
pub(crate) fn metered() -> Result<Engine> {
    Engine::new(base().consume_fuel(true))
}

/// An engine that compiles for [`start`]: what it writes can be loaded there, but it has neither pool nor clock.
pub(crate) fn compiler() -> Result<Engine> {
    Engine::new(base().epoch_interruption(true).parallel_compilation(false))
}

fn base() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // the contract is synchronous; the asynchronous component model costs 1 µs per call
        .concurrency_support(false)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        // the same call gives the same answer on every machine
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // the reservation of 4 GiB per memory stays at its default: it saves every bounds check
        .wasm_memory64(false);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * CORE_INSTANCES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .total_memories(SLOTS * MEMORIES)
        .max_memories_per_component(MEMORIES)
        .total_tables(SLOTS * TABLES)
        .max_tables_per_component(TABLES)
        .total_stacks(SLOTS)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MEMORY_MAX_BYTES)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(1 << 20)
        .table_keep_resident(256 << 10)
        .async_stack_keep_resident(64 << 10);
    if !has_swap() {
        // Halves the time of a call. Not with swap: wasmtime 48 does not reset a page that was swapped out, and the next
        // instance would see the memory of the last one.
        pool.linear_memory_keep_resident(2 << 20).pagemap_scan(Enabled::Auto);
    }
    pool
}

/// What must be the same for code that one engine has compiled to be loaded into another: wasmtime's version, the settings
/// that change the code, the processor.
pub(crate) fn compatibility(engine: &Engine) -> String {
    let mut hasher = Blake3(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().to_hex()[..32].to_owned()
}

/// The standard hashers are made for tables, where an attacker is met by another seed; this names a folder.
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        self.0.finalize_xof().fill(&mut first);
        u64::from_le_bytes(first)
    }
}

/// In doubt, yes.
fn has_swap() -> bool {
    fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}
