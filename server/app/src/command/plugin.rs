//! The command `plugin`: what authors of rules and operators do with plugins, beside a server or without one.

mod project;

pub(super) mod remote;

mod fixture;

mod trial;

mod replay;

mod types;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use plugins::{Compiler, Limits, Plugin, Runtime};
use serde_json::json;

use crate::Error;
use remote::Place;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Begin a plugin in a new folder.
    New {
        /// The name: lowercase letters, digits and hyphens.
        name: String,
        /// The language.
        #[arg(long, default_value = "js")]
        lang: project::Language,
    },
    /// Make a component of the plugin in a folder: `NAME.wasm` beside its sources.
    Build {
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Load a component (`.wasm`) or a rule's text (`.js`) as a server would, and show what it says about itself.
    Check { file: PathBuf },
    /// Run the fixtures of a plugin (`tests/*.json`) against a database in memory.
    Test(trial::Trial),
    /// Install a component or a rule's text in a running server.
    Install {
        file: PathBuf,
        /// What it may touch, such as `read:products,write:orders`, or `all` that it wishes. Without it what is installed for the first time may
        /// touch what it wishes, and an upgrade what was granted before.
        #[arg(long)]
        grant: Option<String>,
        /// Only watch it, beside the version that runs.
        #[arg(long)]
        shadow: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show the plugins of a running server.
    List(Place),
    /// Let the rules of a plugin run.
    Enable(Named),
    /// Stop the rules of a plugin.
    Disable(Named),
    /// Let a version run that is kept or watched: its version or the beginning of its digest.
    Activate {
        name: String,
        version: String,
        #[command(flatten)]
        place: Place,
    },
    /// Watch a version no longer that was installed with `--shadow`.
    Unwatch(Named),
    /// Show the order in which the rules of a collection run, or set it: `PLUGIN/RULE ...`.
    Order {
        collection: String,
        /// Those that are not named run after them.
        rules: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Go back to the version that ran before.
    Rollback(Named),
    /// Remove a plugin with all of its versions.
    Remove(Named),
    /// Set settings and secrets: `NAME=VALUE ...`.
    Settings {
        name: String,
        /// `NAME=VALUE`; without any the settings are shown.
        values: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Show what a plugin logged lately.
    Logs {
        name: String,
        /// Go on as new lines come.
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show the runs of a plugin that the server has recorded, or write one of them to a file, for `replay`.
    Runs {
        name: String,
        /// Which one is written; the newest unless given.
        #[arg(long, requires = "out")]
        seq: Option<u64>,
        /// Where to.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Write the collections of a running server as TypeScript, for its rules.
    Types {
        /// Where to; it is printed unless given.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Run a recorded run once more and compare.
    Replay {
        /// The recorded run, as `runs --out` has written it.
        run: PathBuf,
        /// The component or the rule's text.
        file: PathBuf,
    },
}

/// A plugin of a running server.
#[derive(Debug, Args)]
pub(super) struct Named {
    name: String,
    #[command(flatten)]
    place: Place,
}

/// Runs a command.
///
/// # Errors
/// What kept it from being done; also fixtures that fail, so that builds stop.
pub(super) async fn run(command: &PluginCommand) -> Result<(), Error> {
    match command {
        PluginCommand::New { name, lang } => project::begin(name, *lang),
        PluginCommand::Build { folder } => project::build(folder).await.map(drop),
        PluginCommand::Check { file } => check(file).await,
        PluginCommand::Test(trial) => trial::run(trial).await,
        PluginCommand::Install { file, grant, shadow, place } => remote::install(place, file, grant.as_deref(), *shadow).await,
        PluginCommand::List(place) => remote::list(place).await,
        PluginCommand::Enable(named) => remote::change(&named.place, &named.name, json!({ "enabled": true })).await,
        PluginCommand::Disable(named) => remote::change(&named.place, &named.name, json!({ "enabled": false })).await,
        PluginCommand::Activate { name, version, place } => remote::change(place, name, json!({ "version": version })).await,
        PluginCommand::Unwatch(named) => remote::change(&named.place, &named.name, json!({ "shadow": null })).await,
        PluginCommand::Order { collection, rules, place } => remote::order(place, collection, rules).await,
        PluginCommand::Rollback(named) => remote::roll_back(&named.place, &named.name).await,
        PluginCommand::Remove(named) => remote::remove(&named.place, &named.name).await,
        PluginCommand::Settings { name, values, place } => remote::settings(place, name, values).await,
        PluginCommand::Logs { name, follow, place } => remote::logs(place, name, *follow).await,
        PluginCommand::Runs { name, out: None, place, .. } => remote::runs(place, name).await,
        PluginCommand::Runs { name, seq, out: Some(out), place } => write(out, &remote::run(place, name, *seq).await?),
        PluginCommand::Types { out, place } => write_types(place, out.as_deref()).await,
        PluginCommand::Replay { run, file } => replay::run(run, file).await,
    }
}

async fn check(file: &Path) -> Result<(), Error> {
    let component = component(file).await?;
    let bytes = component.len();
    let plugin = loaded(component).await?;
    let manifest = serde_json::to_string_pretty(plugin.manifest()).map_err(|error| Error::Internal(error.to_string()))?;
    println!("{manifest}");
    println!("{} {} keeps the contract; {bytes} bytes, blake3 {}", plugin.name(), plugin.version(), plugin.digest());
    Ok(())
}

async fn write_types(place: &Place, out: Option<&Path>) -> Result<(), Error> {
    let module = types::module(&remote::collections(place).await?);
    match out {
        Some(file) => write(file, &module),
        None => {
            print!("{module}");
            Ok(())
        }
    }
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(file, text).map_err(|error| Error::Command(format!("{}: {error}", file.display())))?;
    println!("wrote {}", file.display());
    Ok(())
}

/// A component, loaded as a server would.
async fn loaded(component: Vec<u8>) -> Result<Plugin, Error> {
    Runtime::new(Limits::default(), Compiler::here())?.load(component).await.map_err(failed)
}

/// The component in a file, or the one that is made of the text in it.
async fn component(file: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read(file)?;
    if !is_text(file) {
        return Ok(bytes);
    }
    let source = String::from_utf8(bytes).map_err(|_| Error::Command(format!("{} is not UTF-8", file.display())))?;
    Compiler::here().javascript(&source).await.map_err(failed)
}

/// True for a rule that is given as JavaScript.
fn is_text(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "js" || extension == "mjs")
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| Error::Command(format!("{}: {error}", file.display())))
}

fn failed(error: plugins::Error) -> Error {
    Error::Command(error.to_string())
}
