//! Evaluating a module once and keeping what it leaves in memory.

use wasmtime::component::{Component, Linker, ResourceTable, types::ComponentItem};
use wasmtime::{Config, Engine, Result, Store, StoreLimits, StoreLimitsBuilder, Strategy, Trap};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wizer::{WasmtimeWizerComponent, Wizer};

use super::modules;
use crate::Error;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package local:init;
            world init {
                export init: func(shim: string, script: string, entry-path: option<string>, disable-gc: bool) -> result<_, string>;
            }
        ",
        world: "init",
        exports: { default: async },
    });
}

/// The engine looks for modules through this interface while it evaluates.
const MODULE_LOADER: &str = "local:init/module-loader";

/// What the engine's generated preamble would declare; the contract is imported by name instead.
const PREAMBLE: &str = "const wit = globalThis.wit = {};\n";

const MEMORY_MAX_BYTES: usize = 256 << 20;
const WRITTEN_MAX_BYTES: usize = 16 << 10;

/// About ten seconds of computing.
const FUEL: u64 = 10_000_000_000;

struct World {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for World {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The component with the module evaluated.
pub(super) async fn evaluated(linked: &[u8], source: &str) -> Result<Vec<u8>, Error> {
    let broken = |cause: wasmtime::Error| Error::Compile(format!("{cause:#}"));
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(linked).map_err(broken)?;
    let engine = Engine::new(&config()).map_err(broken)?;
    let component = Component::new(&engine, &instrumented).map_err(broken)?;
    let written = MemoryOutputPipe::new(WRITTEN_MAX_BYTES);
    let mut store = store(&engine, &written).map_err(broken)?;
    let linker = linker(&engine, &component).map_err(broken)?;
    let instance = linker.instantiate_async(&mut store, &component).await.map_err(broken)?;
    let init = bindings::Init::new(&mut store, &instance).map_err(broken)?;
    let answer = init.call_init(&mut store, PREAMBLE, source, Some(modules::ENTRY), false).await;
    match answer {
        Ok(Ok(())) => wizer.snapshot_component(&context, &mut WasmtimeWizerComponent { store: &mut store, instance }).await.map_err(broken),
        Ok(Err(message)) => Err(Error::JavaScript(said(&message, &written))),
        Err(trap) => Err(Error::JavaScript(ended(&trap, &written))),
    }
}

/// The code runs once: compiling it fast is worth more than fast code.
fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true).concurrency_support(false).strategy(Strategy::Winch).consume_fuel(true);
    config
}

fn store(engine: &Engine, written: &MemoryOutputPipe) -> Result<Store<World>> {
    let wasi = WasiCtxBuilder::new().stdout(written.clone()).stderr(written.clone()).build();
    let limits = StoreLimitsBuilder::new().memory_size(MEMORY_MAX_BYTES).build();
    let mut store = Store::new(engine, World { wasi, table: ResourceTable::new(), limits });
    store.limiter(|world| &mut world.limits);
    store.set_fuel(FUEL)?;
    Ok(store)
}

fn linker(engine: &Engine, component: &Component) -> Result<Linker<World>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    let mut loader = linker.instance(MODULE_LOADER)?;
    loader.func_wrap("resolve", |_, (_, specifier): (String, String)| Ok((modules::resolve(&specifier),)))?;
    loader.func_wrap("load", |_, (path,): (String,)| Ok((modules::load(&path),)))?;
    for (name, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = item.ty else { continue };
        if name.starts_with("wasi:") || name == MODULE_LOADER {
            continue;
        }
        let mut refused = linker.instance(name)?;
        for (function, item) in interface.exports(engine) {
            if let ComponentItem::ComponentFunc(_) = item.ty {
                let message = format!("`{function}` of {name} was called while the module is evaluated; call it inside a rule");
                refused.func_new(function, move |_, _, _, _| Err(wasmtime::format_err!("{message}")))?;
            }
        }
    }
    Ok(linker)
}

/// How the engine begins what it says about a module: how far it has come is no help to the author.
const BEGINNINGS: [&str; 3] = [
    "Failed to evaluate user JavaScript module: ",
    "Failed to declare JavaScript module: ",
    "Failed to finish JavaScript module evaluation: ",
];

/// What the engine says about a module, without its own words and file names.
fn said(message: &str, written: &MemoryOutputPipe) -> String {
    let written = String::from_utf8_lossy(&written.contents()).into_owned();
    let message = BEGINNINGS.iter().fold(message, |message, beginning| message.strip_prefix(*beginning).unwrap_or(message));
    let text = if written.trim().is_empty() { message.to_owned() } else { format!("{message}: {}", written.trim()) };
    text.replace("componentize-qjs:user.js", "plugin.js").replace(modules::ENTRY, "plugin.js")
}

fn ended(trap: &wasmtime::Error, written: &MemoryOutputPipe) -> String {
    match trap.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => "the module computes too long while it is evaluated; computing belongs into a rule".to_owned(),
        Some(Trap::StackOverflow) => "the module recurses too deep while it is evaluated".to_owned(),
        _ => said(&trap.root_cause().to_string(), written),
    }
}
