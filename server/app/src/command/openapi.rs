//! `ironrule openapi`: the document without a running server, for builds that generate clients.

use std::io::Write as _;

use clap::Args;
use model::Violations;

use crate::{
    App, Error,
    api::{
        self,
        document::{Version, Wanted},
    },
    call::Call,
    config::{Config, Overrides},
    policies::explain,
    world::Compiling,
};

/// What to print.
#[derive(Args, Debug)]
pub struct OpenApi {
    /// Only these collections, separated by commas, and what is needed to sign in.
    #[arg(long, value_name = "NAMES")]
    collections: Option<String>,
    /// The version of the specification: `3.0` or `3.1`.
    #[arg(long, default_value = "3.0", value_name = "VERSION")]
    version: Version,
    /// Only what somebody may do: `anonymous`, `user:ID`, `user:EMAIL` or `service:ID`.
    #[arg(long = "as", value_name = "PRINCIPAL")]
    principal: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
}

/// Prints the document.
///
/// # Errors
/// A collection or a principal that is not there, or what keeps the data directory from being opened.
pub async fn run(command: &OpenApi, load: impl Fn(&Overrides) -> Result<Config, Error>) -> Result<(), Error> {
    let config = load(&command.overrides)?;
    let url = config.public_url.clone().unwrap_or_else(|| format!("http://{}", config.listen));
    let app = App::open(config, Compiling::Here).await?;
    let call = Call::system(&app);
    let wanted = Wanted { version: command.version, collections: command.collections.as_deref().and_then(Wanted::collections) };
    let mut violations = Violations::default();
    wanted.check(&call.world.catalog, &mut violations);
    violations.or(()).map_err(Error::Query).map_err(told)?;
    let caller = match &command.principal {
        Some(name) => Some(explain::caller(&call, name, None).await.map_err(told)?),
        None => None,
    };
    let document = api::document(&call.world, &url, &wanted, caller.as_ref())?;
    // A reader that has gone away (`| head`) is no fault.
    let _ = writeln!(std::io::stdout(), "{}", String::from_utf8_lossy(&document.json()));
    Ok(())
}

/// What is wrong with an argument, for somebody who sees nothing else of the error.
fn told(error: Error) -> Error {
    match error {
        Error::Query(violations) => Error::Configuration(violations.to_string()),
        other => other,
    }
}
