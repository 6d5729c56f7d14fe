//! The command line: `serve`, `admin create`, `openapi`, `policy`, `plugin`, `export`, `import`, `version`.

mod openapi;

mod plugin;

mod policy;

mod transfer;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::{Parser, Subcommand};
use model::{Draft, Value, collection::USERS};
use tracing_subscriber::EnvFilter;

use crate::{
    App, Error, api, bundle,
    call::Call,
    config::{Config, Overrides},
    outbox, plugins, records, roles, server,
    world::Compiling,
};

/// A self-hosted backend that never trusts the frontend.
#[derive(Debug, Parser)]
#[command(name = "ironrule", version)]
pub struct Arguments {
    /// A configuration file; without it `ironrule.toml` in the working directory, if there is one.
    #[arg(long, global = true, env = "IRONRULE_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, the document and the explorer.
    Serve {
        #[command(flatten)]
        overrides: Overrides,
        /// Load a demo application on the first start: `shop`.
        #[arg(long, env = "IRONRULE_DEMO")]
        demo: Option<String>,
    },
    /// Manage administrators.
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Print the OpenAPI document of the data directory, while the server is stopped.
    Openapi(openapi::OpenApi),
    /// Explain decisions, test policies, look for oddities.
    Policy {
        #[command(subcommand)]
        command: policy::PolicyCommand,
    },
    /// Write, test, install and watch plugins.
    Plugin {
        #[command(subcommand)]
        command: plugin::PluginCommand,
    },
    /// Write all records of a collection of a running server into a file.
    Export(transfer::Export),
    /// Create or change records of a running server out of a file.
    Import(transfer::Import),
    /// Print the version.
    Version,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Create an administrator, in the data directory while the server is stopped, or through a running server with its one-time code.
    Create {
        #[arg(long)]
        email: String,
        #[arg(long, env = "IRONRULE_ADMIN_PASSWORD", hide_env_values = true, allow_hyphen_values = true)]
        password: String,
        /// The address of a running server.
        #[arg(long, conflicts_with_all = ["data_dir", "database"])]
        url: Option<String>,
        /// The one-time code that the running server printed.
        #[arg(long, requires = "url", env = "IRONRULE_SETUP_CODE")]
        code: Option<String>,
        #[command(flatten)]
        overrides: Overrides,
    },
}

/// Runs a command.
///
/// # Errors
/// What kept it from being done, in words for the operator.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let load = |overrides: &Overrides| Config::load(arguments.config.as_deref(), overrides);
    match &arguments.command {
        Command::Serve { overrides, demo } => serve(load(overrides)?, demo.as_deref()).await,
        Command::Admin { command: AdminCommand::Create { email, password, url, code, overrides } } => match url {
            Some(url) => api::setup::create_remotely(url, code.as_deref(), email, password).await,
            None => {
                let app = App::open(load(overrides)?, Compiling::Here).await?;
                create_admin(&app, email, password).await?;
                println!("created the administrator {email}");
                Ok(())
            }
        },
        Command::Openapi(command) => openapi::run(command, load).await,
        Command::Policy { command } => policy::run(command, load).await,
        Command::Plugin { command } => plugin::run(command).await,
        Command::Export(export) => transfer::export(export).await,
        Command::Import(import) => transfer::import(import).await,
        Command::Version => {
            println!("ironrule {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    }
}

async fn serve(config: Config, demo: Option<&str>) -> Result<(), Error> {
    log_to_stderr(&config)?;
    server::check(&config)?;
    let app = App::open(config, Compiling::Child).await?;
    if let Some(name) = demo {
        bundle::load_demo(&app, name).await?;
    }
    plugins::install_folder(&app).await?;

    // Before anything is printed: whoever reads it may ask the server to stop at once.
    let stop = stopped()?;
    let listener = tokio::net::TcpListener::bind(app.config.listen)
        .await
        .map_err(|error| Error::Configuration(format!("cannot listen on {}: {error}", app.config.listen)))?;
    let address = listener.local_addr()?;
    let setup = api::setup::Setup::open(&app).await?;
    greet(&app, address, demo, setup.code()).await?;

    let follow = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.follow().await }
    });
    let decisions = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.keep_decisions().await }
    });
    let deliveries = tokio::spawn(outbox::run(Arc::clone(&app)));
    let endpoint = api::endpoint(&app, setup, address)?;
    let stop = {
        let app = Arc::clone(&app);
        async move {
            stop.await;
            app.watch.close();
        }
    };
    server::serve(listener, endpoint, &app.config, stop).await?;
    app.outbox.stop();
    // Deliveries under way get as long as requests do; what is not done then is done after the next start.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(app.config.drain_seconds), deliveries).await;
    follow.abort();
    decisions.abort();
    eprintln!("stopped");
    Ok(())
}

/// What somebody who starts the server wants to know next. Goes to standard output; the log goes to standard error.
async fn greet(app: &Arc<App>, address: SocketAddr, demo: Option<&str>, code: Option<&str>) -> Result<(), Error> {
    let url = app.config.url(address);
    println!("listening on {}", app.config.own_url(address));
    println!("API explorer   {url}/docs");
    println!("OpenAPI        {url}/openapi.json");
    if let Some(code) = code {
        println!("There is no administrator yet. Create the first one with this one-time code:");
        let program = std::env::args().next().unwrap_or_else(|| "ironrule".to_owned());
        println!("  {program} admin create --url {url} --code {code} --email you@example.com --password '...'");
    }
    if demo.is_some() {
        for line in bundle::demo_greeting(app, &url).await? {
            println!("{line}");
        }
    }
    Ok(())
}

/// A future that is ready when the operator asks the server to stop. From now on the signals do not kill the process.
fn stopped() -> Result<impl Future<Output = ()>, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
    })
}

fn log_to_stderr(config: &Config) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| Error::Configuration(format!("`log`: {error}")))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match config.log_format.as_str() {
        "text" => subscriber.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        "json" => subscriber.json().flatten_event(true).try_init(),
        other => return Err(Error::Configuration(format!("`log_format` is `text` or `json`, not `{other}`"))),
    };
    set.map_err(|error| Error::Internal(error.to_string()))
}

/// Makes an account with the role `admin`: a record like any other, written through the same story by the server itself.
pub(crate) async fn create_admin(app: &Arc<App>, email: &str, password: &str) -> Result<(), Error> {
    let call = Call::system(app);
    let mut draft = Draft::default();
    draft.values.insert("email".to_owned(), Value::from(email));
    draft.values.insert("password".to_owned(), Value::from(password));
    let body = Value::Object(draft.values).to_json();
    let account = records::create::record(&call, USERS, body.as_bytes()).await?;
    roles::assign(&call, "admin", &format!("user:{}", account.id), "*").await?;
    Ok(())
}
