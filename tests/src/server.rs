//! The process `ironrule serve`: its start, its output, and its end.

use std::{
    env,
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::{
        LazyLock,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Instant,
};

use crate::DEADLINE;

/// The binary under test: `IRONRULE_BIN`, or the one of the same build as this test.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn binary() -> PathBuf {
    let path = match env::var_os("IRONRULE_BIN") {
        Some(path) => PathBuf::from(path),
        None => beside_this_test(),
    };
    assert!(path.is_file(), "there is no `{}`: run `cargo build --release --workspace` first", path.display());
    path
}

/// Tests lie in `target/release/deps`, binaries one folder above.
fn beside_this_test() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let folder = test.parent().and_then(Path::parent).expect("a test lies in `deps`");
    folder.join("ironrule")
}

/// The root of the repository that the tests run in. Asked at run time, because clones share the build directory: a test that was built in
/// one must not look into it from another.
///
/// # Panics
/// Never: this crate lies in a folder.
#[must_use]
pub fn repository() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let this = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        this.parent().expect("this crate lies in a folder").to_owned()
    });
    &ROOT
}

/// Runs the binary to its end, for the commands that do end.
///
/// # Panics
/// When it does not start.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    command().args(arguments).output().expect("the binary starts")
}

/// The environment of whoever runs the tests must not change what they see.
fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("IRONRULE_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A running `ironrule serve`. Dropping it kills it.
pub struct Server {
    process: Child,
    address: String,
    log: PathBuf,
}

impl Server {
    /// Starts the server and waits until it says where it listens. What it prints is added to `log`.
    ///
    /// # Panics
    /// When it ends or stays silent instead.
    #[must_use]
    pub fn start(arguments: &[String], environment: &[(String, String)], log: &Path) -> Self {
        let open = || OpenOptions::new().create(true).append(true).open(log).expect("the log can be written");
        let mut command = command();
        // Every decision of every test is taken twice, by the plan and by Casbin: see the end of [`crate::TestApp`].
        command.env("IRONRULE_POLICY_MODE", "verify");
        command.arg("serve").args(arguments).envs(environment.iter().cloned());
        let mut process = command.stdout(Stdio::piped()).stderr(open()).spawn().expect("the binary starts");
        let (sender, addresses) = mpsc::channel();
        let stdout = process.stdout.take().expect("stdout is piped");
        let file = open();
        thread::spawn(move || copy_output(stdout, file, &sender));
        let start = Instant::now();
        match addresses.recv_timeout(DEADLINE) {
            Ok(address) => Self { process, address, log: log.to_path_buf() },
            Err(reason) => {
                let _ = process.kill();
                let status = process.wait().expect("the process ends");
                let why = if reason == RecvTimeoutError::Timeout { "stayed silent" } else { "ended" };
                let output = std::fs::read_to_string(log).unwrap_or_default();
                panic!("the server {why} after {:?} ({status}) without `listening on`, it printed:\n{output}", start.elapsed());
            }
        }
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The id of the process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as the operating system would in an accident: nothing is flushed, nobody is told.
    ///
    /// # Panics
    /// When it has ended already by itself.
    pub fn kill9(mut self) {
        assert!(self.process.try_wait().expect("status").is_none(), "the server ended by itself:\n{}", self.output());
        self.process.kill().expect("the process can be killed");
        self.process.wait().expect("the process ends");
    }

    /// Asks it to end, as Ctrl-C does, and waits for it.
    ///
    /// # Panics
    /// When it has not ended at the deadline.
    #[must_use]
    pub fn stop(mut self) -> ExitStatus {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().expect("`kill` is there");
        assert!(sent.success(), "the server is gone:\n{}", self.output());
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("status") {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "the server does not stop:\n{}", self.output());
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Everything that it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn copy_output(stdout: ChildStdout, mut log: File, addresses: &Sender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let _ = writeln!(log, "{line}");
        if let Some((_, address)) = line.split_once("listening on ") {
            let address = address.split_whitespace().next().unwrap_or_default();
            let _ = addresses.send(address.trim_end_matches('/').to_owned());
        }
    }
}
