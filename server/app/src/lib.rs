//! Ironrule: the stories that requests tell, and the HTTP, configuration and command line around them. Introduces `store`, `policies` and
//! `plugins` to each other; nothing else does.

pub mod config;

pub mod command;

mod error;

mod world;

mod call;

mod once;

mod records;

mod auth;

mod collections;

mod policies;

mod decisions;

mod outbox;

mod endpoints;

mod watch;

mod roles;

mod rates;

mod plugins;

mod bundle;

mod server;

mod api;

#[doc(hidden)]
pub mod measured;

pub use error::{Error, Place};
pub use world::{App, Compiling};
