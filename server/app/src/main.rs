//! The binary `ironrule`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The server starts itself with these to compile plugins within limits: nothing else may have begun by then.
    match std::env::args().nth(1).as_deref() {
        Some(plugins::compile::COMMAND) => return plugins::compile::child(),
        Some(plugins::compile::COMMAND_JAVASCRIPT) => return plugins::compile::child_javascript(),
        _ => {}
    }
    run()
}

#[tokio::main]
async fn run() -> ExitCode {
    match app::command::run(app::command::Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ironrule: {error}");
            ExitCode::FAILURE
        }
    }
}
