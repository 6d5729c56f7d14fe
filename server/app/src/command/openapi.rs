//! `ironrule openapi`: the document without a running server, for builds that generate clients.

use std::io::Write as _;

use clap::Args;
use model::{Caller, Principal, Violations, collection::USERS};
use store::Database;

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
/// A data directory, a collection or a principal that is not there, or what keeps the data directory from being opened.
pub async fn run(command: &OpenApi, load: impl Fn(&Overrides) -> Result<Config, Error>) -> Result<(), Error> {
    let config = load(&command.overrides)?;
    check_database(&config)?;
    let url = config.public_url.clone().unwrap_or_else(|| format!("http://{}", config.listen));
    let app = App::open(config, Compiling::Here).await?;
    let call = Call::system(&app);
    let wanted = Wanted { version: command.version, collections: command.collections.as_deref().and_then(Wanted::collections) };
    let mut violations = Violations::default();
    wanted.check(&call.world.catalog, &mut violations);
    violations.or(()).map_err(Error::Query).map_err(told)?;
    let caller = match &command.principal {
        Some(name) => Some(somebody(&call, name).await?),
        None => None,
    };
    let document = api::document(&call.world, &url, &wanted, caller.as_ref())?;
    // A reader that has gone away (`| head`) is no fault.
    let _ = writeln!(std::io::stdout(), "{}", String::from_utf8_lossy(&document.json()));
    Ok(())
}

/// Opening a database makes one, which whoever has mistyped its place does not want.
fn check_database(config: &Config) -> Result<(), Error> {
    match config.database()? {
        Database::Disk(folder) if !folder.is_dir() => Err(Error::Command(format!("there is no database at `{}`", folder.display()))),
        Database::Disk(_) | Database::Memory | Database::Remote { .. } => Ok(()),
    }
}

/// Explanations may be about accounts that are not there yet; the document of one is a mistake.
async fn somebody(call: &Call, name: &str) -> Result<Caller, Error> {
    let unknown = || Error::Command(format!("there is no account `{name}`"));
    let caller = match explain::caller(call, name, None).await {
        Err(Error::NotFound { .. }) => return Err(unknown()),
        found => found.map_err(told)?,
    };
    if let Principal::User(id) = &caller.principal {
        let account = store::records::get(&call.app.store, &call.collection(USERS)?, &caller.tenant, id).await?;
        account.ok_or_else(unknown)?;
    }
    Ok(caller)
}

/// What is wrong with an argument, for somebody who sees nothing else of the error.
fn told(error: Error) -> Error {
    match error {
        Error::Query(violations) => Error::Command(violations.to_string()),
        other => other,
    }
}
