//! The compiler process: started with little priority, no environment and limits that it takes upon itself before it reads
//! a byte, and killed when it takes too long.

use std::env;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rlimit::Resource;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::CompileLimits;
use crate::Error;

/// How the child says that its input is at fault, with the reason on standard error.
pub(super) const REFUSED: u8 = 1;
/// How the child says that something else is at fault, likewise: it could not have the memory that it needs, mostly.
pub(super) const FAILED: u8 = 3;

const PROCESSOR: &str = "IRONRULE_COMPILE_PROCESSOR_S";
const MEMORY: &str = "IRONRULE_COMPILE_MEMORY_BYTES";
/// More machine code than any component of the allowed size has been seen to give.
const OUTPUT_MAX_BYTES: u64 = 512 << 20;
const REASON_MAX_BYTES: u64 = 8 << 10;
/// Lets everybody else go first.
const NICE: &str = "/usr/bin/nice";
const SIGXCPU: i32 = 24;
const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

/// Answers the output, or why the input was refused.
///
/// # Errors
/// [`Error::Compile`] if the child did not come to an end by itself.
pub(super) async fn run(program: &Path, command: &str, input: &[u8], limits: &CompileLimits) -> Result<Result<Vec<u8>, String>, Error> {
    let mut child = start(program, command, limits).map_err(|cause| Error::Compile(format!("`{}`: {cause}", program.display())))?;
    // Dropping the child kills it, so the time-out needs no more than to let go of this.
    let Ok(talked) = timeout(limits.wall(), talk(&mut child, input)).await else {
        // Waits until it is gone; the error is that it is gone already.
        let _ = child.kill().await;
        return Err(Error::Compile(format!("it took longer than {} ms", limits.wall_ms)));
    };
    let (output, reason, status) = talked.map_err(|cause| Error::Compile(cause.to_string()))?;
    match status.code() {
        Some(0) if output.len() as u64 >= OUTPUT_MAX_BYTES => Err(Error::Compile("its machine code is too long".to_owned())),
        Some(0) => Ok(Ok(output)),
        Some(code) if code == i32::from(REFUSED) => Ok(Err(reason)),
        Some(code) if code == i32::from(FAILED) => Err(Error::Compile(format!("{reason} ({} bytes are allowed)", limits.memory_max_bytes))),
        _ => Err(Error::Compile(died(status, limits, &reason))),
    }
}

fn start(program: &Path, command: &str, limits: &CompileLimits) -> io::Result<Child> {
    let mut line = match Path::new(NICE).exists() {
        true => {
            let mut line = Command::new(NICE);
            line.arg("-n").arg("10").arg(program);
            line
        }
        false => Command::new(program),
    };
    line.arg(command)
        // the server's environment has secrets in it
        .env_clear()
        .env(PROCESSOR, limits.processor_s.to_string())
        .env(MEMORY, limits.memory_max_bytes.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

async fn talk(child: &mut Child, input: &[u8]) -> io::Result<(Vec<u8>, String, ExitStatus)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A child that does not want all of it says why on standard error.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), output, reason) = tokio::join!(write, read(stdout, OUTPUT_MAX_BYTES), read(stderr, REASON_MAX_BYTES));
    Ok((output?, String::from_utf8_lossy(&reason?).trim().to_owned(), child.wait().await?))
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(max).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn died(status: ExitStatus, limits: &CompileLimits, reason: &str) -> String {
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match status.signal() {
        Some(SIGXCPU | SIGKILL) => format!("it took more than {} s of processor time", limits.processor_s),
        Some(SIGABRT | SIGSEGV) => format!("it needed more than {} bytes of memory, or crashed{reason}", limits.memory_max_bytes),
        _ => format!("the compiler ended with {status}{reason}"),
    }
}

/// In the child: takes the limits upon itself.
pub(super) fn restrict_self() -> Result<(), String> {
    let limit = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let defaults = CompileLimits::default();
    let processor = limit(PROCESSOR).unwrap_or(defaults.processor_s);
    let memory = limit(MEMORY).unwrap_or(defaults.memory_max_bytes);
    // Of the data, not of the addresses: engines reserve gigabytes of those without ever touching them.
    let set = |resource: Resource, soft: u64, hard: u64| {
        let (_, most) = resource.get()?;
        resource.set(soft.min(most), hard.min(most))
    };
    set(Resource::CPU, processor, processor + 1)
        .and_then(|()| set(Resource::DATA, memory, memory))
        // neither files nor dumps
        .and_then(|()| set(Resource::FSIZE, 0, 0))
        .and_then(|()| set(Resource::CORE, 0, 0))
        .map_err(|cause| format!("cannot limit the compiler: {cause}"))
}
