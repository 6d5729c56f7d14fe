//! Business rules in WebAssembly. The only crate that knows wasmtime.
//!
//! A [`Runtime`] loads components that keep the contract in `wit/rules.wit` and gives back [`Plugin`]s. A plugin runs a
//! rule for one [`Event`] in the instance that the transaction keeps for it in its [`Instances`], within [`Limits`], and
//! touches only what its [`Grants`] name, through the [`Records`] of the running transaction. What the answer means for
//! that transaction is decided by the caller; which plugins there are, in which order they run, and how an [`Effect`] is
//! delivered, too.

mod answer;
mod apart;
mod clock;
pub mod compile;
mod componentize;
mod contract;
mod effect;
mod engine;
mod error;
mod grants;
mod instance;
mod instances;
pub mod javascript;
mod limits;
mod manifest;
mod plugin;
mod records;
mod run;
mod runtime;
mod slots;
mod stack;
mod transcript;
mod wasi;

pub use compile::{Cache, CompileLimits, Compiler};
pub use componentize::componentize;
pub use effect::{Effect, EffectKind, EffectOptions, Email, Job, Webhook, webhook_host};
pub use error::Error;
pub use grants::Grants;
pub use instances::Instances;
pub use limits::Limits;
pub use manifest::{Access, Hook, Manifest, Method, Operation, RuleDeclaration, SettingDeclaration, WishedLimits, WritesAs};
pub use plugin::Plugin;
pub use records::{BoxFuture, Failure, Records};
pub use run::{Event, Ground, LogLevel, LogLine, Outcome, PluginFailure, Refusal, Rejection, RejectionKind, Run, Violation};
pub use runtime::Runtime;
pub use transcript::{HostCall, Replayed, recorded_settings};
