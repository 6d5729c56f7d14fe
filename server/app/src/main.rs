//! The binary `ironrule`.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match app::command::run(app::command::Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ironrule: {error}");
            ExitCode::FAILURE
        }
    }
}
