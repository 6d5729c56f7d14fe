//! Why a component is not accepted. What goes wrong while a rule runs is in `run`.

use thiserror::Error;

/// Why a component is not accepted as a plugin.
#[derive(Debug, Error)]
pub enum Error {
    /// The host refused the engine's configuration.
    #[error("cannot start the plugin runtime")]
    Engine(#[source] wasmtime::Error),
    /// Machine code is never accepted: loading it would mean trusting it.
    #[error("this is precompiled machine code; upload the WebAssembly component itself")]
    Precompiled,
    /// Larger than [`Limits::component_max_bytes`](crate::Limits::component_max_bytes).
    #[error("the component has {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// bytes of the component
        bytes: usize,
        /// bytes allowed
        max: usize,
    },
    /// Not a valid component; a core module, for instance.
    #[error("this is no valid WebAssembly component: {0:#}")]
    Invalid(wasmtime::Error),
    /// The JavaScript text is not a rule that can be compiled; says what and where.
    #[error("the JavaScript could not be compiled: {0}")]
    JavaScript(String),
    /// The compiler did not come to an end within its limits, or could not be started.
    #[error("the plugin could not be compiled: {0}")]
    Compile(String),
    /// Imports something that the contract does not have: sockets, for instance.
    #[error("the plugin wants `{0}`, but only `ironrule:rules` and a few interfaces of WASI 0.2 are offered")]
    ForeignImport(String),
    /// Built for another version of the contract.
    #[error("the plugin was built for contract {wanted} (`{name}`), this server has {offered}")]
    ContractVersion {
        /// name of the import or export
        name: String,
        /// version of the plugin
        wanted: String,
        /// version of the server
        offered: &'static str,
    },
    /// Imports or exports do not have the types of the contract.
    #[error("the plugin does not keep the contract `ironrule:rules`: {0:#}")]
    Contract(wasmtime::Error),
    /// `manifest()` did not answer.
    #[error("the plugin's manifest could not be read: {0}")]
    NoManifest(String),
    /// The manifest is not in the documented format.
    #[error("the plugin's manifest is not valid: {0}")]
    Manifest(String),
}
