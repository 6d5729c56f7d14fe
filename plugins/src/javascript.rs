//! From JavaScript text to a component, without Node: a QuickJS runtime is linked with the contract, the module is evaluated once in a world
//! without anything, and the memory that this leaves behind becomes the beginning of every instance. The way is that of
//! `componentize-qjs` (Apache-2.0), whose runtime is in `plugins/quickjs`; its own code brings another wasmtime.

mod evaluate;
mod link;
mod modules;

#[cfg(test)]
mod tests;

use wasm_encoder::{CustomSection, Section};

use crate::{Error, stack};

/// Bytes of JavaScript text that are compiled; a bundle of a rule has some thousand.
pub const SOURCE_MAX_BYTES: usize = 1 << 20;

/// Compiles a plugin that is given as one JavaScript module. It may import `@ironrule/rules`, the guest SDK, and the interfaces of the contract.
/// `map` is the source map of the text, if it was made out of something else; failures are then told in the author's lines.
///
/// # Errors
/// [`Error::JavaScript`] with the line and column of what cannot be compiled or evaluated; [`Error::Compile`] if the engine itself fails.
pub fn compile(source: &str, map: Option<&str>) -> Result<Vec<u8>, Error> {
    if source.len() > SOURCE_MAX_BYTES {
        return Err(Error::JavaScript(format!("the text has {} bytes, at most {SOURCE_MAX_BYTES} are allowed", source.len())));
    }
    let linked = link::linked().map_err(|cause| Error::Compile(format!("{cause:#}")))?;
    // Wasmtime's host functions of WASI are asynchronous, though nothing here ever waits.
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|cause| Error::Compile(cause.to_string()))?;
    let mut component = runtime.block_on(evaluate::evaluated(&linked, source))?;
    if let Some(map) = map {
        let section = CustomSection { name: stack::SECTION.into(), data: map.as_bytes().into() };
        section.append_to(&mut component);
    }
    Ok(component)
}

/// What is wrong with a module that was evaluated and is no plugin, by the words with which the engine ended when it was asked for the
/// manifest. Before that it does not look at what the module exports.
pub(crate) fn explained(panic: &str) -> Option<&'static str> {
    if panic.contains("interface 'ironrule:rules/rules@") {
        return Some(match panic.contains("from: \"undefined\"") {
            true => "the module exports no `rules`: `export const rules = definePlugin({ ... })`",
            false => "`rules` is no object: `export const rules = definePlugin({ ... })`",
        });
    }
    let lacks_manifest = panic.contains("function 'manifest' not found");
    lacks_manifest.then_some("`rules` has no function `manifest`, which definePlugin makes: `export const rules = definePlugin({ ... })`")
}
