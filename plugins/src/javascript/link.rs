//! The QuickJS runtime and the contract as one component that has not evaluated anything yet.

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER;
use wasmtime::{Result, ToWasmtimeResult};
use wit_component::{Linker, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const RUNTIME: &[u8] = include_bytes!("../../quickjs/runtime-sync.wasm");
const CONTRACT: &str = include_str!("../../wit/rules.wit");

/// The component, ready to be given a module.
pub(super) fn linked() -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("rules.wit", CONTRACT).to_wasmtime_result()?;
    let world = resolve.select_world(&[package], Some("plugin")).to_wasmtime_result()?;
    // The glue between the engine and the functions of the contract, as a library beside the engine.
    let (mut glue, _) = wit_dylib::create_with_metadata(&resolve, world, None);
    embed_component_metadata(&mut glue, &resolve, world, StringEncoding::UTF8).to_wasmtime_result()?;
    let mut linker = Linker::default();
    linker.encoder().validate(true);
    linker.library("componentize_qjs_runtime.wasm", RUNTIME, false).to_wasmtime_result()?;
    linker.library("wit-dylib.wasm", &glue, false).to_wasmtime_result()?;
    linker.encoder().adapter("wasi_snapshot_preview1", ADAPTER).to_wasmtime_result()?;
    linker.encode().to_wasmtime_result()
}
