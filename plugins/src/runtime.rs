//! Turns uploaded bytes into a plugin, or says why not.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::apart::Habits;
use crate::clock::Clock;
use crate::compile::Compiler;
use crate::contract::{self, Bindings, Prelinked};
use crate::instance::{Instance, Terms};
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::plugin::{Code, Loaded, Plugin};
use crate::slots::Slots;
use crate::stack::Lines;
use crate::{Error, engine, javascript, wasi};

/// Compiles and links plugins. One per process: its instance pool reserves a terabyte of addresses (not of memory).
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    /// None where instructions are counted instead.
    clock: Option<Arc<Clock>>,
    compiler: Compiler,
    /// The contract and nothing else.
    linker: Linker<Instance>,
    /// For components whose language runtime needs WASI.
    wasi_linker: Linker<Instance>,
    slots: Slots,
    limits: Limits,
}

impl Runtime {
    /// Starts the engine and its clock thread, which ends with the last plugin.
    ///
    /// # Errors
    /// [`Error::Engine`] if the machine cannot reserve the instance pool.
    pub fn new(limits: Limits, compiler: Compiler) -> Result<Self, Error> {
        let (engine, clock) = engine::start().map_err(Error::Engine)?;
        Self::on(engine, Some(clock), limits, compiler)
    }

    /// A runtime that counts instructions instead of watching the clock: the same call costs the same on every machine.
    /// For authors; about a third slower, and without a pool. A rule that computes too long still ends, by its count.
    ///
    /// # Errors
    /// [`Error::Engine`] if the engine cannot be started.
    pub fn metered(limits: Limits) -> Result<Self, Error> {
        Self::on(engine::metered().map_err(Error::Engine)?, None, limits, Compiler::here())
    }

    fn on(engine: Engine, clock: Option<Arc<Clock>>, limits: Limits, compiler: Compiler) -> Result<Self, Error> {
        let mut linker = Linker::new(&engine);
        Bindings::add_to_linker::<_, HasSelf<Instance>>(&mut linker, |instance| instance).map_err(Error::Engine)?;
        let mut wasi_linker = linker.clone();
        wasi::link(&mut wasi_linker).map_err(Error::Engine)?;
        let slots = Slots::new(limits.concurrent_calls);
        let limits = Limits { memory_max_bytes: limits.memory_max_bytes.min(engine::MEMORY_MAX_BYTES), ..limits };
        Ok(Self { engine, clock, compiler, linker, wasi_linker, slots, limits })
    }

    /// What compiles for this runtime; also JavaScript.
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// Loads a component: size, compilation, imports, linking, manifest. Runs nothing but its `manifest()`, without host
    /// calls. Takes from 0.1 s (Rust) to seconds (a component with a JavaScript engine), or a millisecond when the compiler
    /// has a cache that knows it.
    ///
    /// # Errors
    /// Each variant of [`Error`] but `Engine`; `JavaScript` for a component whose module is no plugin.
    pub async fn load(&self, wasm: Vec<u8>) -> Result<Plugin, Error> {
        let max = self.limits.component_max_bytes;
        if wasm.len() > max {
            return Err(Error::TooLarge { bytes: wasm.len(), max });
        }
        if Engine::detect_precompiled(&wasm).is_some() {
            return Err(Error::Precompiled);
        }
        let digest = blake3::hash(&wasm).to_hex().to_string();
        let lines = Lines::of(&wasm);
        let component = self.compiler.component(&self.engine, wasm, &digest).await?;
        let linker = if contract::check(&component)? { &self.wasi_linker } else { &self.linker };
        let linked = linker.instantiate_pre(&component).map_err(Error::Contract)?;
        let prelinked = Prelinked::new(linked).map_err(Error::Contract)?;
        let code = Code { engine: self.engine.clone(), prelinked, slots: self.slots.clone(), clock: self.clock.clone() };

        let text = code.manifest(&self.limits).await.map_err(|failure| {
            let stack = failure.stack.map(|stack| format!("\n{stack}")).unwrap_or_default();
            match javascript::explained(&stack) {
                Some(sentence) => Error::JavaScript(sentence.to_owned()),
                None => Error::NoManifest(format!("{} ({}){stack}", failure.message, failure.code)),
            }
        })?;
        let manifest = Manifest::parse(&text)?;
        let limits = self.limits.lowered_to(&manifest.limits);
        let terms = Terms { limits, jobs: manifest.jobs(), settings: manifest.defaults() };
        let habits = Habits::of(manifest.rules.iter().map(|rule| rule.name.as_str()));
        Ok(Plugin::new(Loaded { manifest, digest: digest.into(), terms: Arc::new(terms), lines, code, habits }))
    }
}
