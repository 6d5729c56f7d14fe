//! Business rules in WebAssembly. The only crate that knows wasmtime.
//!
//! A [`Runtime`] loads components that keep the contract in `wit/rules.wit` and gives back [`Plugin`]s. A plugin runs a
//! rule for one [`Event`] in an instance of its own, within [`Limits`], and touches only the records that its [`Grants`]
//! name, through the [`Records`] of the running transaction. What the answer means for that transaction is decided by the
//! caller; which plugins there are and in which order they run, too.

mod answer;
mod contract;
mod engine;
mod error;
mod grants;
mod instance;
mod limits;
mod manifest;
mod plugin;
mod records;
mod run;
mod runtime;

pub use error::Error;
pub use grants::Grants;
pub use limits::Limits;
pub use manifest::{Hook, Manifest, Operation, RuleDeclaration, WishedLimits};
pub use plugin::Plugin;
pub use records::{BoxFuture, Failure, Records};
pub use run::{Event, LogLevel, LogLine, Outcome, PluginFailure, Refusal, Rejection, RejectionKind, Run, Violation};
pub use runtime::Runtime;
