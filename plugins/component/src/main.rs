//! Wraps a core module that `wit-bindgen` prepared into a validated component. A program of its own, outside the
//! workspace, so that the server's dependencies are never rebuilt for it.
//!
//! Usage: `component MODULE.wasm COMPONENT.wasm`

use std::error::Error;
use std::{env, fs};

use wit_component::ComponentEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [module, component] = arguments.as_slice() else {
        return Err("usage: component MODULE.wasm COMPONENT.wasm".into());
    };
    let bytes = ComponentEncoder::default().validate(true).module(&fs::read(module)?)?.encode()?;
    fs::write(component, bytes)?;
    Ok(())
}
