//! The compiler in its child process, and the cache of what it makes. The child is `src/bin/plugin_compile.rs`, which does
//! what the server's hidden command does.

#[allow(dead_code)] // another test uses the rest of it
#[path = "../rules/guest.rs"]
mod guest;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plugins::{Cache, CompileLimits, Compiler, Error, Limits, Plugin, Runtime, compile};

use guest::Guest;

const PROGRAM: &str = env!("CARGO_BIN_EXE_plugin_compile");
const KEY: [u8; 32] = [7; 32];

/// A folder of this test, empty at the start and gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ironrule-compiler-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn cache(&self, key: [u8; 32]) -> Cache {
        Cache::open(self.0.join("cache"), key).expect("a cache")
    }

    /// The only file in the cache.
    fn kept(&self) -> PathBuf {
        let mut files = files(&self.0.join("cache"));
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    /// A program that notes that it ran, and then does what the compiler does.
    fn counting(&self) -> (PathBuf, PathBuf) {
        let (program, notes) = (self.0.join("counting"), self.0.join("notes"));
        script(&program, &format!("echo ran >> {}; exec {PROGRAM} \"$@\"", notes.display()));
        (program, notes)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("made executable");
}

fn runtime(compiler: Compiler) -> Runtime {
    Runtime::new(Limits::default(), compiler).expect("the pool is reserved")
}

async fn load(compiler: Compiler, guest: &Guest) -> Result<Plugin, Error> {
    guest.load(&runtime(compiler)).await
}

fn runs(notes: &Path) -> usize {
    fs::read_to_string(notes).map_or(0, |text| text.lines().count())
}

/// Says what the compiler said, or that it said nothing.
fn why(loaded: Result<Plugin, Error>) -> String {
    match loaded {
        Ok(plugin) => panic!("`{}` was loaded", plugin.name()),
        Err(Error::Compile(why)) => why,
        Err(other) => panic!("{other}"),
    }
}

/// The engine of the child has no pool of instances, that of the server has one; what the child makes must fit all the same.
#[tokio::test]
async fn what_the_child_makes_is_loaded() {
    let plugin = load(Compiler::child(PROGRAM.into(), None), &Guest::default()).await.expect("loads");
    assert_eq!(plugin.name(), "wat");
}

#[tokio::test]
async fn what_is_wrong_with_a_component_is_told_as_if_it_were_compiled_here() {
    let runtime = runtime(Compiler::child(PROGRAM.into(), None));
    for bytes in [b"".as_slice(), b"garbage", b"\0asm\x01\0\0\0", b"(module)"] {
        let error = runtime.load(bytes.to_vec()).await.expect_err("no component");
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    let error = runtime.load(b"(component)".to_vec()).await.expect_err("an empty component");
    assert!(matches!(error, Error::Contract(_)), "{error}");
    let code = wasmtime::Engine::default().precompile_component(b"(component)").expect("compiles");
    assert!(matches!(runtime.load(code).await, Err(Error::Precompiled)));
}

/// A memory above the pool's is compiled by the child, and refused when it is loaded.
#[tokio::test]
async fn what_does_not_fit_into_the_pool_is_no_fault_of_the_compiler() {
    let guest = Guest { pages: 65536, ..Guest::default() };
    let error = load(Compiler::child(PROGRAM.into(), None), &guest).await.expect_err("too large");
    assert!(matches!(error, Error::Invalid(_) | Error::Contract(_)), "{error}");
}

#[tokio::test]
async fn a_component_is_compiled_once() {
    let folder = Folder::new("once");
    let (program, notes) = folder.counting();
    for _ in 0..3 {
        load(Compiler::child(program.clone(), Some(folder.cache(KEY))), &Guest::default()).await.expect("loads");
        assert_eq!(runs(&notes), 1);
    }
    let kept = folder.kept();
    assert_eq!(fs::metadata(&kept).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(kept.parent().expect("a folder")).expect("there").permissions().mode() & 0o777, 0o700);
    load(Compiler::child(program, Some(folder.cache(KEY))), &Guest::runs("(unreachable)")).await.expect("loads");
    assert_eq!(runs(&notes), 2, "another component is another file");
}

#[tokio::test]
async fn a_forged_file_is_compiled_anew_and_never_loaded() {
    let folder = Folder::new("forged");
    let (program, notes) = folder.counting();
    load(Compiler::child(program.clone(), Some(folder.cache(KEY))), &Guest::default()).await.expect("loads");
    let path = folder.kept();
    let whole = fs::read(&path).expect("there");
    let flip = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    // Machine code of the right engine, with a MAC of another key: loading it would be the attack.
    let stranger = Folder::new("forged-by-a-stranger");
    load(Compiler::child(PROGRAM.into(), Some(stranger.cache([8; 32]))), &Guest::default()).await.expect("loads");
    let foreign = fs::read(stranger.kept()).expect("there");
    let forgeries = [
        flip(0),
        flip(40),
        flip(whole.len() - 1),
        flip(whole.len() / 2),
        whole[..whole.len() - 1].to_vec(),
        whole[..32].to_vec(),
        whole[..31].to_vec(),
        Vec::new(),
        whole[32..].to_vec(),
        [whole.clone(), vec![0]].concat(),
        foreign,
    ];
    for (number, forgery) in forgeries.into_iter().enumerate() {
        fs::write(&path, &forgery).expect("written");
        load(Compiler::child(program.clone(), Some(folder.cache(KEY))), &Guest::default()).await.expect("loads");
        assert_eq!(runs(&notes), number + 2, "forgery {number} was loaded");
        assert_ne!(fs::read(&path).expect("there"), forgery, "forgery {number} is still there");
    }
}

/// A file with a good MAC, under the name of another component.
#[tokio::test]
async fn a_file_that_was_moved_is_not_loaded() {
    let folder = Folder::new("moved");
    let (program, notes) = folder.counting();
    load(Compiler::child(program.clone(), Some(folder.cache(KEY))), &Guest::default()).await.expect("loads");
    let first = folder.kept();
    let other = Guest::runs("(unreachable)");
    load(Compiler::child(program.clone(), Some(folder.cache(KEY))), &other).await.expect("loads");
    let second = files(&folder.0.join("cache")).into_iter().find(|file| *file != first).expect("two files");
    fs::copy(&first, &second).expect("copied");
    load(Compiler::child(program, Some(folder.cache(KEY))), &other).await.expect("loads");
    assert_eq!(runs(&notes), 3);
}

#[tokio::test]
async fn another_key_misses() {
    let folder = Folder::new("key");
    let (program, notes) = folder.counting();
    load(Compiler::child(program.clone(), Some(folder.cache(KEY))), &Guest::default()).await.expect("loads");
    load(Compiler::child(program, Some(folder.cache([9; 32]))), &Guest::default()).await.expect("loads");
    assert_eq!(runs(&notes), 2);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_no_reason_to_refuse() {
    let folder = Folder::new("unwritable");
    let cache = folder.cache(KEY);
    fs::remove_dir_all(folder.0.join("cache")).expect("removed");
    fs::write(folder.0.join("cache"), b"a file where the folder was").expect("written");
    load(Compiler::child(PROGRAM.into(), Some(cache)), &Guest::default()).await.expect("loads");
}

#[tokio::test]
async fn a_child_that_takes_too_long_is_killed() {
    let folder = Folder::new("slow");
    let (program, process) = (folder.0.join("slow"), folder.0.join("process"));
    script(&program, &format!("echo $$ > {}; exec sleep 600", process.display()));
    let limits = CompileLimits { wall_ms: 2000, ..CompileLimits::default() };
    let begun = Instant::now();
    let why = why(load(Compiler::limited(program, None, limits), &Guest::default()).await);
    assert_eq!(why, "it took longer than 2000 ms");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let process = fs::read_to_string(process).expect("it had started");
    assert!(!Path::new("/proc").join(process.trim()).exists(), "it is gone");
}

#[tokio::test]
async fn a_child_that_is_not_wanted_any_more_is_killed() {
    let folder = Folder::new("dropped");
    let (program, process) = (folder.0.join("slow"), folder.0.join("process"));
    script(&program, &format!("echo $$ > {}; exec sleep 600", process.display()));
    let runtime = runtime(Compiler::child(program, None));
    let started = async {
        while fs::read_to_string(&process).map_or(0, |text| text.len()) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        loaded = runtime.load(b"(component)".to_vec()) => panic!("{loaded:?}"),
        () = started => {}
    }
    let process = fs::read_to_string(process).expect("it had started");
    let stat = Path::new("/proc").join(process.trim()).join("stat");
    // killed at once; it may take a moment until it is gone or a zombie
    let gone = async {
        while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("killed");
}

/// Long functions with many variables that are all alive, which the allocator of registers takes long for: seconds without
/// a limit.
fn bomb() -> Guest {
    let (variables, calls) = (200, "call $z ".repeat(20_000));
    let reads: String = (0..variables).map(|n| format!("local.get {n} ")).collect();
    let (params, adds) = ("i64 ".repeat(variables), "i64.add ".repeat(variables - 1));
    let functions: String = (0..80).map(|_| format!("(func (param {params}) (result i64) {calls} {reads} {adds})")).collect();
    Guest::with_members(
        "(call $accept)",
        &format!("(global $g (mut i32) (i32.const 0)) (func $z (global.set $g (i32.const 1))) {functions}"),
    )
}

#[tokio::test]
async fn a_compile_bomb_is_stopped_by_its_processor_time() {
    let limits = CompileLimits { processor_s: 1, wall_ms: 120_000, ..CompileLimits::default() };
    let why = why(load(Compiler::limited(PROGRAM.into(), None, limits), &bomb()).await);
    assert_eq!(why, "it took more than 1 s of processor time");
}

#[tokio::test]
async fn a_compile_bomb_is_stopped_by_its_memory() {
    let limits = CompileLimits { memory_max_bytes: 64 << 20, ..CompileLimits::default() };
    let why = why(load(Compiler::limited(PROGRAM.into(), None, limits), &bomb()).await);
    assert!(why.contains("67108864 bytes"), "{why}");
}

#[tokio::test]
async fn a_program_that_is_no_compiler_is_told() {
    let folder = Folder::new("strange");
    let silent = folder.0.join("silent");
    script(&silent, "cat > /dev/null; exit 0");
    let error = load(Compiler::child(silent, None), &Guest::default()).await.expect_err("no machine code");
    assert!(matches!(error, Error::Compile(_) | Error::Invalid(_)), "{error}");

    let lying = folder.0.join("lying");
    script(&lying, "cat > /dev/null; echo '(component)'; exit 0");
    let error = load(Compiler::child(lying, None), &Guest::default()).await.expect_err("no machine code");
    assert!(matches!(error, Error::Compile(_) | Error::Invalid(_)), "{error}");

    let missing = why(load(Compiler::child(folder.0.join("missing"), None), &Guest::default()).await);
    assert!(missing.contains("missing"), "{missing}");

    let failing = folder.0.join("failing");
    script(&failing, "exit 4");
    assert!(why(load(Compiler::child(failing, None), &Guest::default()).await).contains("exit status: 4"));
}

#[tokio::test]
async fn the_child_sees_no_environment_of_the_server() {
    let folder = Folder::new("environment");
    let (program, seen) = (folder.0.join("curious"), folder.0.join("seen"));
    script(&program, &format!("/usr/bin/env > {}; exec {PROGRAM} \"$@\"", seen.display()));
    load(Compiler::child(program, None), &Guest::default()).await.expect("loads");
    let seen = fs::read_to_string(seen).expect("it ran");
    let names: Vec<&str> =
        seen.lines().filter_map(|line| line.split('=').next()).filter(|name| !name.starts_with("IRONRULE_COMPILE_")).collect();
    // what a shell sets by itself
    assert!(names.iter().all(|name| ["PWD", "SHLVL", "_", "OLDPWD"].contains(name)), "{names:?}");
}

/// The body of the hidden command, as a process sees it.
#[test]
fn the_command_reads_and_writes() {
    let run = |command: &str, input: &[u8]| {
        let mut child =
            Command::new(PROGRAM).arg(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        child.stdin.take().expect("piped").write_all(input).expect("written");
        child.wait_with_output().expect("ends")
    };
    let good = run(compile::COMMAND, b"(component)");
    assert!(good.status.success() && wasmtime::Engine::detect_precompiled(&good.stdout).is_some());
    let bad = run(compile::COMMAND, b"garbage");
    assert_eq!((bad.status.code(), bad.stdout.len()), (Some(1), 0));
    assert!(!bad.stderr.is_empty());
    let bad = run(compile::COMMAND_JAVASCRIPT, b"\xff\xfe");
    assert_eq!((bad.status.code(), String::from_utf8_lossy(&bad.stderr)), (Some(1), "the text is not UTF-8".into()));
}
