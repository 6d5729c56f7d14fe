//! The folder of a plugin: begun from a template, and made a component.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;
use plugins::{componentize, javascript};

use super::{component, failed, is_text, read};
use crate::Error;

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::command) enum Language {
    /// JavaScript: nothing else is needed.
    Js,
    /// TypeScript: needs Node.
    Ts,
    /// Rust: needs a toolchain for `wasm32-unknown-unknown`.
    Rust,
}

/// A file of a template; `NAME` in it stands for the plugin's name.
type File = (&'static str, &'static str);

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../../../../plugins/templates/", $name))
    };
}

macro_rules! guest {
    ($name:literal) => {
        include_str!(concat!("../../../../../plugins/", $name))
    };
}

const SHARED: [File; 3] = [
    ("collections.json", template!("shared/collections.json")),
    ("tests/a-good-title.json", template!("shared/tests/a-good-title.json")),
    ("tests/no-shouting.json", template!("shared/tests/no-shouting.json")),
];

const JAVASCRIPT: [File; 2] = [("plugin.js", template!("js/plugin.js")), ("README.md", template!("js/README.md"))];

const TYPESCRIPT: [File; 8] = [
    ("src/plugin.ts", template!("ts/src/plugin.ts")),
    ("package.json", template!("ts/package.json")),
    ("tsconfig.json", template!("ts/tsconfig.json")),
    ("README.md", template!("ts/README.md")),
    ("ironrule/index.js", guest!("guest-ts/index.js")),
    ("ironrule/index.d.ts", guest!("guest-ts/index.d.ts")),
    ("ironrule/package.json", guest!("guest-ts/package.json")),
    ("ironrule/README.md", guest!("guest-ts/README.md")),
];

const RUST: [File; 14] = [
    ("src/lib.rs", template!("rust/src/lib.rs")),
    ("Cargo.toml", template!("rust/Cargo.toml.template")),
    ("README.md", template!("rust/README.md")),
    ("ironrule/Cargo.toml", guest!("guest-rust/Cargo.toml")),
    ("ironrule/README.md", guest!("guest-rust/README.md")),
    ("ironrule/src/lib.rs", guest!("guest-rust/src/lib.rs")),
    ("ironrule/src/answer.rs", guest!("guest-rust/src/answer.rs")),
    ("ironrule/src/effects.rs", guest!("guest-rust/src/effects.rs")),
    ("ironrule/src/endpoint.rs", guest!("guest-rust/src/endpoint.rs")),
    ("ironrule/src/event.rs", guest!("guest-rust/src/event.rs")),
    ("ironrule/src/host.rs", guest!("guest-rust/src/host.rs")),
    ("ironrule/src/manifest.rs", guest!("guest-rust/src/manifest.rs")),
    ("ironrule/src/records.rs", guest!("guest-rust/src/records.rs")),
    ("ironrule/src/rule.rs", guest!("guest-rust/src/rule.rs")),
];

/// The contract stands beside the vendored SDK, as it does in the repository.
const CONTRACT: File = ("wit/rules.wit", guest!("wit/rules.wit"));

pub(super) fn begin(name: &str, language: Language) -> Result<(), Error> {
    let fine = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    if !fine {
        return Err(Error::Command(format!("`{name}` is no name for a plugin: lowercase letters, digits and hyphens")));
    }
    let folder = PathBuf::from(name);
    if folder.exists() {
        return Err(Error::Command(format!("`{name}` is there already")));
    }
    let files: &[File] = match language {
        Language::Js => &JAVASCRIPT,
        Language::Ts => &TYPESCRIPT,
        Language::Rust => &RUST,
    };
    let contract = if matches!(language, Language::Rust) { Some(&CONTRACT) } else { None };
    for (path, text) in SHARED.iter().chain(files).chain(contract) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&folder))?;
        fs::write(path, text.replace("PLUGIN_NAME", name))?;
    }
    println!("made {name}; next:");
    println!("  ironrule plugin test {name}");
    match language {
        Language::Js => println!("  ironrule plugin install {name}/plugin.js --email you@example.com"),
        Language::Ts | Language::Rust => println!("  ironrule plugin install {name}/{name}.wasm --email you@example.com"),
    }
    Ok(())
}

/// Builds the plugin in a folder and says where the component is.
pub(super) async fn build(folder: &Path) -> Result<PathBuf, Error> {
    let component = component_of(folder).await?;
    let name = folder.canonicalize()?.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = folder.join(format!("{name}.wasm"));
    fs::write(&file, &component)?;
    println!("wrote {} ({} bytes)", file.display(), component.len());
    Ok(file)
}

/// The component of the plugin in a folder, built anew.
pub(super) async fn component_of(folder: &Path) -> Result<Vec<u8>, Error> {
    if folder.join("Cargo.toml").is_file() {
        return rust(folder);
    }
    if folder.join("package.json").is_file() {
        return typescript(folder);
    }
    let entries = fs::read_dir(folder).map_err(|error| Error::Command(format!("{}: {error}", folder.display())))?;
    let texts = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_text(path)).collect::<Vec<_>>();
    match texts.as_slice() {
        [text] => component(text).await,
        [] => Err(Error::Command(format!("{} has no Cargo.toml, package.json or JavaScript file", folder.display()))),
        _ => Err(Error::Command(format!("{} has several JavaScript files: name the one that is the plugin", folder.display()))),
    }
}

/// `npm run build` bundles into `dist/*.js` with a source map, which the component carries along.
fn typescript(folder: &Path) -> Result<Vec<u8>, Error> {
    if !folder.join("node_modules").is_dir() {
        run(folder, "npm", &["install", "--no-audit", "--no-fund", "--loglevel=error"], "install Node.js 20 or newer")?;
    }
    run(folder, "npm", &["run", "--silent", "build"], "install Node.js 20 or newer")?;
    let dist = folder.join("dist");
    let bundle = fs::read_dir(&dist)?.filter_map(|entry| Some(entry.ok()?.path())).find(|path| is_text(path));
    let bundle = bundle.ok_or_else(|| Error::Command(format!("the build left no JavaScript in {}", dist.display())))?;
    let source = String::from_utf8_lossy(&read(&bundle)?).into_owned();
    let map = fs::read_to_string(bundle.with_extension("js.map")).ok();
    let compiled = std::thread::spawn(move || javascript::compile(&source, map.as_deref())).join();
    compiled.map_err(|_| Error::Internal("the compiler panicked".to_owned()))?.map_err(failed)
}

fn rust(folder: &Path) -> Result<Vec<u8>, Error> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let missing = "the target is missing, perhaps: rustup target add wasm32-unknown-unknown (docs/plugins.md says how without rustup)";
    let target = folder.join("target");
    let arguments = ["build", "--quiet", "--release", "--target", TARGET, "--target-dir", "target"];
    run(folder, "cargo", &arguments, missing)?;
    let built = target.join(TARGET).join("release");
    let modules = fs::read_dir(&built)?.filter_map(|entry| Some(entry.ok()?.path()));
    let module = modules.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    let module = module.ok_or_else(|| Error::Command(format!("there is no module in {}", built.display())))?;
    componentize(&read(&module)?).map_err(failed)
}

fn run(folder: &Path, program: &str, arguments: &[&str], advice: &str) -> Result<(), Error> {
    let line = format!("{program} {}", arguments.join(" "));
    match Command::new(program).args(arguments).current_dir(folder).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Command(format!("`{line}` ended with {status}; {advice}"))),
        Err(error) => Err(Error::Command(format!("`{line}` could not be started: {error}; {advice}"))),
    }
}
