//! Everything that a user can see of Ironrule, asked of the real binary through HTTP. The modules mirror the URLs; `agreement`,
//! `secrecy`, `chain` and `crash` go across them, `tidy` looks at the sources.

mod system;

mod server;

mod random_requests;

mod auth;

mod collections;

mod records;

mod policies;

mod roles;

mod plugins;

mod plugin_author;

mod rules;

mod deliveries;

mod document;

mod folders;

mod shop;

mod agreement;

mod secrecy;

mod chain;

mod crash;

mod endpoints;
mod tidy;
mod watch;
