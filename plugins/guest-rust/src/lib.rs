//! Business rules for Ironrule, written in Rust.
//!
//! ```
//! use ironrule_rules::prelude::*;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Post {
//!     title: String,
//! }
//!
//! fn plugin() -> Plugin {
//!     Plugin::new("titles", env!("CARGO_PKG_VERSION")).rule(Rule::before_write("no-shouting", "posts").on([Create, Update]), no_shouting)
//! }
//!
//! fn no_shouting(event: &Event) -> Answer {
//!     let post: Post = event.after()?;
//!     if post.title == post.title.to_uppercase() {
//!         return Err(Rejection::invalid().violation("/title", "title.shouting", "do not shout"));
//!     }
//!     accept()
//! }
//!
//! ironrule_rules::export!(plugin);
//! # fn main() {}
//! ```
//!
//! A rule is asked before a write ([`Rule::before_write`]), after its commit ([`Rule::after_commit`]), by a job of the plugin
//! ([`Rule::job`]), at certain times ([`Rule::scheduled`]) or by a request ([`Rule::endpoint`]).

mod answer;
pub mod effects;
mod endpoint;
mod event;
pub mod host;
mod manifest;
pub mod records;
mod rule;

pub use answer::{Answer, Outcome, Rejection, accept, patch};
pub use endpoint::{Request, Response, respond};
pub use event::{Context, Event, Operation};
pub use manifest::{Limits, Plugin, Setting};
pub use records::Failure;
pub use rule::Rule;

/// What a rule usually needs.
pub mod prelude {
    pub use crate::Operation::{Create, Delete, Update};
    pub use crate::{Answer, Context, Event, Failure, Operation, Plugin, Rejection, Request, Response, Rule, Setting};
    pub use crate::{accept, effects, host, log, patch, records, respond};
}

/// The generated bindings of `wit/rules.wit`.
#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "plugin",
        pub_export_macro: true,
        export_macro_name: "export_bindings",
        default_bindings_module: "ironrule_rules::bindings",
    });
}

/// Exports the plugin that a function builds: `export!(plugin)` with `fn plugin() -> Plugin`.
// rustfmt moves the last line at every run
#[rustfmt::skip]
#[macro_export]
macro_rules! export {
    ($plugin:path) => {
        const _: () = {
            use $crate::bindings::exports::ironrule::rules::rules::{Event, Guest, Outcome, Rejection};

            struct Exported;

            impl Guest for Exported {
                fn manifest() -> String {
                    $plugin().manifest()
                }

                fn run(event: Event) -> Result<Outcome, Rejection> {
                    $plugin().run(event)
                }
            }

            $crate::bindings::export_bindings!(Exported with_types_in $crate::bindings);
        };
    };
}
