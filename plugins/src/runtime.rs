//! Turns uploaded bytes into a plugin, or says why not.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::Error;
use crate::contract::{self, Bindings, Prelinked};
use crate::engine;
use crate::instance::Instance;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::plugin::{Code, Plugin};

/// Slots that no call may take; an instance that is being torn down still has one.
const SPARE_SLOTS: usize = 8;

/// Rules whose writes run rules wait for those, so each level of nesting has slots of its own: a level waits for deeper ones only, and
/// the deepest for nobody.
const NESTED_LEVELS: usize = 4;

/// Slots of each nested level.
const NESTED_SLOTS: usize = 5;

/// Compiles and links plugins. One per process: its instance pool reserves a terabyte of addresses (not of memory).
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    linker: Linker<Instance>,
    slots: Arc<[Semaphore]>,
    limits: Limits,
}

impl Runtime {
    /// Starts the engine and its clock thread, which ends with the last plugin.
    ///
    /// # Errors
    /// [`Error::Engine`] if the machine cannot reserve the instance pool.
    pub fn new(limits: Limits) -> Result<Self, Error> {
        let engine = engine::start().map_err(Error::Engine)?;
        let mut linker = Linker::new(&engine);
        Bindings::add_to_linker::<_, HasSelf<Instance>>(&mut linker, |instance| instance).map_err(Error::Engine)?;
        let calls = limits.concurrent_calls.clamp(1, engine::SLOTS as usize - SPARE_SLOTS - NESTED_LEVELS * NESTED_SLOTS);
        let limits = Limits { memory_max_bytes: limits.memory_max_bytes.min(engine::MEMORY_MAX_BYTES), ..limits };
        let levels = [calls].into_iter().chain([NESTED_SLOTS; NESTED_LEVELS]);
        Ok(Self { engine, linker, slots: levels.map(Semaphore::new).collect(), limits })
    }

    /// Loads a component: size, imports, compilation, linking, manifest. Runs nothing but its `manifest()`, without host
    /// calls. Takes from 0.1 s (Rust) to seconds (a component with a JavaScript engine) on a blocking thread.
    ///
    /// # Errors
    /// Each variant of [`Error`] but `Engine`.
    pub async fn load(&self, wasm: Vec<u8>) -> Result<Plugin, Error> {
        let digest = blake3::hash(&wasm).to_hex().to_string();
        let component = self.compile(wasm).await?;
        contract::check(&component)?;
        let linked = self.linker.instantiate_pre(&component).map_err(Error::Contract)?;
        let prelinked = Prelinked::new(linked).map_err(Error::Contract)?;
        let code = Code { engine: self.engine.clone(), prelinked, slots: self.slots.clone() };

        let text = code.manifest(&self.limits).await;
        let text = text.map_err(|failure| Error::NoManifest(format!("{} ({})", failure.message, failure.code)))?;
        let manifest = Manifest::parse(&text)?;
        let limits = self.limits.lowered_to(&manifest.limits);
        Ok(Plugin::new(code, manifest, digest, limits))
    }

    async fn compile(&self, wasm: Vec<u8>) -> Result<Component, Error> {
        let max = self.limits.component_max_bytes;
        if wasm.len() > max {
            return Err(Error::TooLarge { bytes: wasm.len(), max });
        }
        if Engine::detect_precompiled(&wasm).is_some() {
            return Err(Error::Precompiled);
        }
        let engine = self.engine.clone();
        let compiled = task::spawn_blocking(move || Component::new(&engine, wasm)).await;
        match compiled {
            Ok(compiled) => compiled.map_err(Error::Invalid),
            Err(panic) => Err(Error::Invalid(wasmtime::Error::new(panic))),
        }
    }
}
