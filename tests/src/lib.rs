//! The harness of the black-box tests: starts the real binary `ironrule` on a real database in a folder of its own and speaks HTTP with
//! it, as any client would. It owns how a server is started, watched, killed and asked; what is expected of it is for the tests in
//! `tests/http`. Nothing here knows any crate of the server: what cannot be done through HTTP or the command line is not done.

mod answer;
mod app;
mod client;
mod raw;
mod server;
mod wait;

pub use answer::{Answer, Problem};
pub use app::{ADMIN_EMAIL, DEMO_PASSWORD, Database, Options, PASSWORD, TestApp};
pub use client::{Client, Request, url};
pub use raw::{Raw, RawAnswer, request};
pub use reqwest::Method;
pub use server::{Server, binary, repository, run};
pub use wait::{DEADLINE, eventually};
