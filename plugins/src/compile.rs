//! From a component to machine code. In a server that is the work of a child process: a large component takes a processor
//! for seconds, and what it makes of the compiler must not happen to the server. The machine code is never taken from
//! anybody but that child, or from a cache that only the server can write.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task;
use wasmtime::component::Component;
use wasmtime::{Engine, OutOfMemory};

use crate::{Error, engine, javascript};

pub use cache::Cache;

mod cache;
mod child;

/// The hidden command of the server's own binary that [`child`] is the body of.
pub const COMMAND: &str = "plugin-compile";
/// The hidden command of the server's own binary that [`child_javascript`] is the body of.
pub const COMMAND_JAVASCRIPT: &str = "plugin-compile-javascript";

/// Compiles components and JavaScript. Cheap to clone.
#[derive(Clone)]
pub struct Compiler(Arc<Way>);

enum Way {
    Here,
    Child {
        program: PathBuf,
        cache: Option<Cache>,
        limits: CompileLimits,
        /// One at a time: the others wait, so that requests keep their processors.
        turn: Semaphore,
    },
}

/// What a compiler process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Milliseconds from start to end. Default 120,000: a component with a large language runtime needs half a minute on
    /// a busy machine.
    pub wall_ms: u64,
    /// Seconds of processor time. Default 90.
    pub processor_s: u64,
    /// Bytes of memory that it may write to. Default 2 GiB.
    pub memory_max_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { wall_ms: 120_000, processor_s: 90, memory_max_bytes: 2 << 30 }
    }
}

impl Compiler {
    /// Compiles in this process: for tests and the command line, where there is nobody else to disturb.
    pub fn here() -> Self {
        Self(Arc::new(Way::Here))
    }

    /// Compiles in a child process, `program plugin-compile`, and keeps what it makes in the cache.
    pub fn child(program: PathBuf, cache: Option<Cache>) -> Self {
        Self::limited(program, cache, CompileLimits::default())
    }

    /// Like [`Compiler::child`], with other limits.
    pub fn limited(program: PathBuf, cache: Option<Cache>, limits: CompileLimits) -> Self {
        Self(Arc::new(Way::Child { program, cache, limits, turn: Semaphore::new(1) }))
    }

    /// Compiles a rule that is given as JavaScript to a component.
    ///
    /// # Errors
    /// [`Error::JavaScript`] says what is wrong with the text, [`Error::Compile`] what kept the compiler from its work.
    pub async fn javascript(&self, source: &str) -> Result<Vec<u8>, Error> {
        match &*self.0 {
            Way::Here => {
                let source = source.to_owned();
                blocking(move || javascript::compile(&source, None)).await
            }
            Way::Child { program, limits, turn, .. } => {
                let _turn = turn.acquire().await;
                child::run(program, COMMAND_JAVASCRIPT, source.as_bytes(), limits).await?.map_err(Error::JavaScript)
            }
        }
    }

    /// The machine code of a component, which has not been precompiled.
    pub(crate) async fn component(&self, engine: &Engine, wasm: Vec<u8>, digest: &str) -> Result<Component, Error> {
        let Way::Child { program, cache, limits, turn } = &*self.0 else {
            let engine = engine.clone();
            return blocking(move || Component::new(&engine, wasm).map_err(Error::Invalid)).await;
        };
        let name = Name { compatibility: engine::compatibility(engine), digest: digest.to_owned() };
        if let Some(component) = from_cache(engine, cache.as_ref(), &name).await {
            return Ok(component);
        }
        let _turn = turn.acquire().await;
        let compiled = child::run(program, COMMAND, &wasm, limits).await?;
        let code = compiled.map_err(|why| Error::Invalid(wasmtime::Error::msg(why)))?;
        let (engine, cache) = (engine.clone(), cache.clone());
        blocking(move || {
            // What the child cannot know is whether it fits into the pool of instances.
            let component = load(&engine, &code).map_err(Error::Invalid)?;
            if let Some(cache) = cache {
                cache.keep(&name, &code);
            }
            Ok(component)
        })
        .await
    }
}

/// Under which name machine code is kept: what it is for, and what it was made of.
struct Name {
    compatibility: String,
    digest: String,
}

async fn from_cache(engine: &Engine, cache: Option<&Cache>, name: &Name) -> Option<Component> {
    let (engine, cache) = (engine.clone(), cache?.clone());
    let name = Name { compatibility: name.compatibility.clone(), digest: name.digest.clone() };
    blocking(move || Ok(cache.load(&engine, &name))).await.ok()?
}

/// Megabytes are read, compared and copied; other tasks must not wait for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(Error::Compile(panic.to_string())))
}

/// Loads machine code.
#[allow(unsafe_code)]
fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the code must be the unchanged output of wasmtime's compiler. It comes from two places only, both private to
    // this module. One is the standard output of a child that runs our own binary, over a pipe that nobody else has; the
    // component that was uploaded went into it as data, and an upload that is itself precompiled is refused before. The
    // other is the cache, whose files are read into memory once and only then compared with a MAC under a key that never
    // leaves the server, so neither another user of the machine nor a change after the check can replace a byte. wasmtime
    // checks that version and settings are those of this engine.
    unsafe { Component::deserialize(engine, code) }
}

/// The body of the hidden command [`COMMAND`]: reads a component from standard input and writes its machine code to
/// standard output. Ends with 1 when the component is at fault, and with 3 when something else is; standard error says
/// what.
pub fn child() -> ExitCode {
    answer(|| {
        let wasm = read_input()?;
        let engine = engine::compiler().map_err(Fault::other)?;
        engine.precompile_component(&wasm).map_err(|cause| match cause.is::<OutOfMemory>() {
            true => Fault::other(cause),
            false => Fault::Input(format!("{cause:#}")),
        })
    })
}

/// The body of the hidden command [`COMMAND_JAVASCRIPT`]: reads JavaScript from standard input and writes a component to
/// standard output, otherwise like [`child`].
pub fn child_javascript() -> ExitCode {
    answer(|| {
        let source = String::from_utf8(read_input()?).map_err(|_| Fault::Input("the text is not UTF-8".to_owned()))?;
        javascript::compile(&source, None).map_err(|error| match error {
            Error::JavaScript(why) => Fault::Input(why),
            other => Fault::Other(other.to_string()),
        })
    })
}

/// Whose fault it is that a child has nothing to write.
enum Fault {
    Input(String),
    Other(String),
}

impl Fault {
    fn other(cause: impl Into<wasmtime::Error>) -> Self {
        Self::Other(format!("{:#}", cause.into()))
    }
}

fn answer(work: impl FnOnce() -> Result<Vec<u8>, Fault>) -> ExitCode {
    let done = child::restrict_self().map_err(Fault::Other).and_then(|()| work());
    let written = done.and_then(|output| io::stdout().write_all(&output).map_err(Fault::other));
    let (code, why) = match written {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Fault::Input(why)) => (child::REFUSED, why),
        Err(Fault::Other(why)) => (child::FAILED, why),
    };
    // Nobody is left to tell if this fails too.
    let _ = io::stderr().write_all(why.as_bytes());
    ExitCode::from(code)
}

fn read_input() -> Result<Vec<u8>, Fault> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input).map_err(Fault::other)?;
    Ok(input)
}

impl CompileLimits {
    fn wall(&self) -> Duration {
        Duration::from_millis(self.wall_ms)
    }
}
