//! From the core module that a Rust toolchain makes to a component.

use wit_component::ComponentEncoder;

use crate::Error;

/// Wraps a core module whose guest bindings describe their world (`wit-bindgen` does) into a component, and validates it.
///
/// # Errors
/// [`Error::Compile`] if the module is none, or does not say what it imports and exports.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, Error> {
    let encoded = ComponentEncoder::default().validate(true).module(module).and_then(|encoder| encoder.encode());
    encoded.map_err(|cause| Error::Compile(format!("{cause:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(componentize(b"no module").is_err());
        assert!(componentize(b"\0asm\x01\0\0\0").is_ok(), "an empty module is an empty component");
    }
}
