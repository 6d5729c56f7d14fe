//! The compiler process alone, without the server around it: for the tests of this crate.

use std::process::ExitCode;

use plugins::compile;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(compile::COMMAND) => compile::child(),
        Some(compile::COMMAND_JAVASCRIPT) => compile::child_javascript(),
        _ => ExitCode::from(2),
    }
}
