//! A server with a folder of its own, and the people who use it.

use std::{fs, path::Path, process::ExitStatus, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{Client, Server, eventually, run};

/// The admin whom [`TestApp::start`] creates.
pub const ADMIN_EMAIL: &str = "admin@ironrule.example";

/// The password of the admin and of everybody whom a test registers.
pub const PASSWORD: &str = "a-long-test-password-7";

/// The password of the demo shop's users.
pub const DEMO_PASSWORD: &str = "demo-password-1";

/// Where the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// In the folder of the test: what most people run.
    Disk,
    /// Gone with the process, and faster.
    Memory,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the database is.
    pub database: Database,
    /// Load the demo `shop`.
    pub shop: bool,
    /// Create [`ADMIN_EMAIL`] at the first start.
    pub admin: bool,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { database: Database::Memory, shop: false, admin: true, environment: Vec::new() }
    }
}

/// A running server. Ends with the test; if the test fails, its log is printed.
pub struct TestApp {
    options: Options,
    folder: TempDir,
    server: Option<Server>,
    http: reqwest::Client,
    admin: OnceCell<Client>,
}

impl TestApp {
    /// A fresh server in memory with an admin and nothing else.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// A fresh server on disk with an admin and nothing else, for tests that stop or kill it.
    pub async fn on_disk() -> Self {
        Self::start_with(Options { database: Database::Disk, ..Options::default() }).await
    }

    /// A fresh server on disk with the demo shop and an admin.
    pub async fn shop() -> Self {
        Self::start_with(Options { database: Database::Disk, shop: true, ..Options::default() }).await
    }

    /// A fresh server.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start_with(options: Options) -> Self {
        let folder = TempDir::with_prefix("ironrule-").expect("a folder");
        // The server closes what is idle for ten seconds; whoever sends at that very moment loses the request.
        let http = reqwest::Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(5));
        let http = http.timeout(Duration::from_secs(120)).build().expect("a client");
        let mut app = Self { options, folder, server: None, http, admin: OnceCell::new() };
        let admin = app.options.admin;
        if admin && app.options.database == Database::Disk {
            // The database on disk belongs to one process at a time: this command comes first.
            create_admin(&["--data-dir", &app.data_dir()]);
        }
        app.launch().await;
        if admin && app.options.database == Database::Memory {
            let code = app.setup_code().await;
            create_admin(&["--url", app.address(), "--code", &code]);
        }
        app
    }

    async fn launch(&mut self) {
        let mut arguments = vec!["--data-dir".to_owned(), self.data_dir(), "--listen".to_owned(), "127.0.0.1:0".to_owned()];
        if self.options.database == Database::Memory {
            arguments.extend(["--database".to_owned(), "mem://".to_owned()]);
        }
        if self.options.shop {
            arguments.extend(["--demo".to_owned(), "shop".to_owned()]);
        }
        // Tests share the processors: what is too long for a rule is for the tests of it to say.
        let mut environment = vec![("IRONRULE_PLUGIN_CALL_MS".to_owned(), "500".to_owned())];
        environment.extend(self.options.environment.iter().cloned());
        self.server = Some(Server::start(&arguments, &environment, &self.folder.path().join("server.log")));
        self.admin = OnceCell::new();
        let nobody = self.anonymous();
        let ready = || nobody.request(Method::GET, "/readyz").try_send();
        eventually("`/readyz` is 200", async || ready().await.ok().filter(|answer| answer.status == 200)).await;
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs")
    }

    /// Its `--data-dir`.
    #[must_use]
    pub fn data_dir(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// Where everything of this server lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it listens now: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.server().address()
    }

    /// The same without the scheme: `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> &str {
        let address = self.address();
        address.split_once("://").map_or(address, |(_, host)| host)
    }

    /// The process that runs now.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.server().process_id()
    }

    /// Everything that it has printed, over all its starts.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// The one-time code for the first admin, which a server without one prints.
    ///
    /// # Panics
    /// When it does not.
    pub async fn setup_code(&self) -> String {
        let code = |output: &str| Some(output.split_once("--code ")?.1.split_whitespace().next()?.to_owned());
        eventually("a one-time code is printed", async || code(&self.output())).await
    }

    /// Kills the server without warning.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill9(&mut self) {
        self.server.take().expect("the server runs").kill9();
    }

    /// Ends the server as Ctrl-C does.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&mut self) -> ExitStatus {
        self.server.take().expect("the server runs").stop()
    }

    /// Starts it again on the same folder; if it still runs, it is stopped first. Clients from before hold the old address.
    ///
    /// # Panics
    /// When it does not stop cleanly, does not become ready, or has nothing to start again from.
    pub async fn restart(&mut self) {
        assert_eq!(self.options.database, Database::Disk, "a database in memory does not outlive its server");
        if self.server.is_some() {
            let status = self.stop();
            assert!(status.success(), "the server did not stop cleanly: {status}\n{}", self.output());
        }
        self.launch().await;
    }

    /// Stops the server, copies what it has stored, and starts it again beside a second one on the copy, which believes the same tokens.
    /// Clients from before hold the old address.
    ///
    /// # Panics
    /// When it does not stop cleanly, either does not become ready, or there is nothing to copy.
    pub async fn twin(&mut self) -> Self {
        assert_eq!(self.options.database, Database::Disk, "a database in memory does not outlive its server");
        let status = self.stop();
        assert!(status.success(), "the server did not stop cleanly: {status}\n{}", self.output());
        let folder = TempDir::with_prefix("ironrule-").expect("a folder");
        copy_folder(&self.folder.path().join("data"), &folder.path().join("data"));
        let mut twin = Self { options: self.options.clone(), folder, server: None, http: self.http.clone(), admin: OnceCell::new() };
        self.launch().await;
        twin.launch().await;
        twin
    }

    /// Somebody without a token.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::anonymous(self.http.clone(), self.address())
    }

    /// The admin, logged in.
    pub async fn admin(&self) -> Client {
        self.admin.get_or_init(|| self.login(ADMIN_EMAIL, PASSWORD)).await.clone()
    }

    /// One of the demo shop's users, logged in.
    pub async fn shop_user(&self, email: &str) -> Client {
        self.login(email, DEMO_PASSWORD).await
    }

    /// A new user without any role, logged in. In the shop, where anybody may, it registers itself.
    pub async fn user(&self, name: &str) -> Client {
        let email = format!("{name}@test.example");
        let account = json!({"email": email, "password": PASSWORD});
        if self.options.shop {
            self.anonymous().post("/api/auth/register", account).await.expect(201);
        } else {
            self.admin().await.create("users", account).await;
        }
        self.login(&email, PASSWORD).await
    }

    /// Somebody who exists, logged in.
    pub async fn login(&self, email: &str, password: &str) -> Client {
        self.anonymous().logged_in(&self.session(email, password).await)
    }

    /// The answer to a login.
    pub async fn session(&self, email: &str, password: &str) -> Value {
        self.anonymous().post("/api/auth/login", json!({"identity": email, "password": password})).await.json(200)
    }
}

/// `ironrule admin create` at this place.
fn create_admin(place: &[&str]) {
    let account = ["admin", "create", "--email", ADMIN_EMAIL, "--password", PASSWORD];
    let output = run(account.iter().chain(place));
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`admin create` failed: {}\n{printed}", output.status);
    assert!(!printed.contains(PASSWORD) && !printed.contains("$argon2"), "`admin create` printed a secret:\n{printed}");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder is made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let copy = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            fs::copy(&path, &copy).expect("the file is copied");
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.server.take());
        let output = self.output();
        if std::thread::panicking() {
            eprintln!("--- log of the server\n{output}");
        } else {
            // Plan, Casbin and query must agree about everything that any test asks.
            assert!(!output.contains("differ, access denied"), "two ways to decide disagree:\n{output}");
        }
    }
}
