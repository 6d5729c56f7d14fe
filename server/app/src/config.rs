//! The configuration: defaults, then `ironrule.toml`, then the environment (`IRONRULE_*`), then flags. Read once, in `command`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Every setting. The environment name is `IRONRULE_` and the name in capitals.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the data is: the database, and the folders `policies` and `plugins`. Default `./data`.
    pub data_dir: PathBuf,
    /// Address and port to listen on; port 0 takes a free one. Default `127.0.0.1:8090`.
    pub listen: SocketAddr,
    /// `rocksdb` (in the data directory), `mem://`, `rocksdb://PATH`, or `ws://` and `wss://` for a SurrealDB server. Default `rocksdb`.
    pub database: String,
    /// The root user of a SurrealDB server. Default `root`.
    pub database_user: String,
    /// Its password.
    pub database_password: String,
    /// MiB that RocksDB may keep of what it read. Default 256.
    pub block_cache_mb: u64,
    /// MiB of one RocksDB write buffer, of which there are up to four. Default 32.
    pub write_buffer_mb: u64,
    /// The address under which clients reach the server, for links and the OpenAPI document. Default: the address it listens on.
    pub public_url: Option<String>,
    /// Origins whose pages may use the API from a browser, as `https://app.example.com`; `*` is any. Default none: same origin only.
    pub cors_origins: Vec<String>,
    /// Lets pages of these origins send cookies and client certificates. Tokens in headers do not need it. Default false.
    pub cors_credentials: bool,
    /// Bytes that a request body may have; plugins may have more. Default 1 MiB.
    pub body_max_bytes: usize,
    /// Bytes that a file may have that is imported; a row of it may have as many as another body. Default 4 GiB.
    pub import_max_bytes: u64,
    /// Seconds that an access token is good for. Default 900.
    pub access_token_seconds: u64,
    /// Days that a session lives without being refreshed. Default 30.
    pub session_days: u64,
    /// Connections served at once, at most as many as the limit of file handles leaves room for. When they are all taken, the longest idle ones
    /// make place; if none is idle, further ones are refused. Default 10000.
    pub connections_max: usize,
    /// Connections of one IP address (of a network of 64 bits in IPv6); 0 is no limit. Trusted proxies have none. Default 1000.
    pub connections_per_ip_max: usize,
    /// Seconds that a client may take for the head of a request, and a new connection for its first. Default 15.
    pub header_read_seconds: u64,
    /// Seconds that a client may take for the body of a request. Default 30.
    pub body_read_seconds: u64,
    /// Seconds that a connection may be idle between requests. Default 60.
    pub keep_alive_seconds: u64,
    /// Seconds that a request may take once it has arrived: then it is undone and answered with 503. Default 30.
    pub request_seconds: u64,
    /// The same for changes of collections, policies, roles and plugins. Imports and exports have no such limit. Default 600.
    pub management_seconds: u64,
    /// Seconds that running requests get when the server stops. Default 10.
    pub drain_seconds: u64,
    /// The certificate chain in PEM: with it and `tls_key` the server speaks HTTPS. Read again when it changes. Default none.
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate in PEM.
    pub tls_key: Option<PathBuf>,
    /// Addresses and blocks (`10.0.0.0/8`) of proxies in front of the server, which are believed about who their clients are. Default none.
    pub trusted_proxies: Vec<String>,
    /// Where they say it: `X-Forwarded-For` or `Forwarded`. Default `X-Forwarded-For`.
    pub proxy_header: String,
    /// Requests of one IP address in a second; 0 is no limit. Default 0.
    pub rate_requests_per_second: u32,
    /// Logins, registrations and renewals of one IP address in a minute; 0 is no limit. Default 300.
    pub rate_auth_per_minute: u32,
    /// Reading requests of one principal, or of one address of anonymous callers, in a second; 0 is no limit. Default 0.
    pub rate_reads_per_second: u32,
    /// The same for writing requests. Default 0.
    pub rate_writes_per_second: u32,
    /// Wrong passwords for one account from one IP address in 15 minutes; 0 is no limit. Default 10.
    pub login_attempts: u32,
    /// Passwords for one account in 15 minutes from all addresses from which it has not logged in lately; 0 is no limit. Default 100.
    pub login_attempts_of_all: u32,
    /// Compresses answers for clients that accept it. Default true.
    pub compression: bool,
    /// Milliseconds that a rule of a plugin may compute. Default 50.
    pub plugin_call_ms: u64,
    /// MiB of memory that a rule of a plugin may have. Default 32.
    pub plugin_memory_mb: usize,
    /// 32 bytes in base64: the key of what is stored encrypted. Every node on one database needs the same. Default: `secret.key` in the data
    /// directory, which is made at the first start.
    pub secret_key: Option<String>,
    /// How policies decide: `plan`, `casbin` (slow, the same), or `verify`: both, and what differs is denied and logged. Default `plan`.
    #[serde(with = "mode")]
    pub policy_mode: policies::Mode,
    /// Hours for which refusals can be looked up by their decision id; 0 keeps none. Default 24.
    pub decision_hours: u64,
    /// The mail server for e-mails of plugins: `smtps://USER:PASSWORD@HOST:465`, or `smtp://HOST:587?tls=required`. None unless given.
    pub smtp_url: Option<String>,
    /// Whom e-mails come from: `Shop <shop@example.com>`.
    pub smtp_from: Option<String>,
    /// Hosts, alone or as `HOST:PORT`, to which webhooks may go although they are private or speak plain HTTP. Default none.
    pub webhook_private_hosts: Vec<String>,
    /// How often a delivery is tried before it is given up, unless its rule says otherwise. Default 10.
    pub delivery_attempts: u32,
    /// Days for which deliveries that are done can be looked at. Default 3.
    pub delivery_days: u64,
    /// `text` or `json`. Default `text`.
    pub log_format: String,
    /// What to log, in the syntax of `tracing`'s `EnvFilter`. Default `info`.
    pub log: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            database: "rocksdb".to_owned(),
            database_user: "root".to_owned(),
            database_password: String::new(),
            block_cache_mb: 256,
            write_buffer_mb: 32,
            public_url: None,
            cors_origins: Vec::new(),
            cors_credentials: false,
            body_max_bytes: 1 << 20,
            import_max_bytes: 4 << 30,
            access_token_seconds: 900,
            session_days: 30,
            connections_max: 10_000,
            connections_per_ip_max: 1_000,
            header_read_seconds: 15,
            body_read_seconds: 30,
            keep_alive_seconds: 60,
            request_seconds: 30,
            management_seconds: 600,
            drain_seconds: 10,
            tls_cert: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
            proxy_header: "X-Forwarded-For".to_owned(),
            rate_requests_per_second: 0,
            rate_auth_per_minute: 300,
            rate_reads_per_second: 0,
            rate_writes_per_second: 0,
            login_attempts: 10,
            login_attempts_of_all: 100,
            compression: true,
            plugin_call_ms: 50,
            plugin_memory_mb: 32,
            secret_key: None,
            policy_mode: policies::Mode::Plan,
            decision_hours: 24,
            smtp_url: None,
            smtp_from: None,
            webhook_private_hosts: Vec::new(),
            delivery_attempts: 10,
            delivery_days: 3,
            log_format: "text".to_owned(),
            log: "info,surrealdb=warn,surrealdb_core=warn".to_owned(),
        }
    }
}

/// What the command line may say; what it does not say stays as configured.
#[derive(Clone, Debug, Default, Serialize, clap::Args)]
pub struct Overrides {
    /// Where the data is.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// `rocksdb`, `rocksdb://PATH`, `mem://`, `ws://HOST:PORT` or `wss://HOST:PORT`.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The address under which clients reach the server.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
}

impl Config {
    /// Reads the file (a missing one is fine unless it was named), the environment and the flags.
    ///
    /// # Errors
    /// [`Error::Configuration`] names the setting and the source.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, Error> {
        let toml = match file {
            Some(path) => Toml::file_exact(path),
            None => Toml::file("ironrule.toml"),
        };
        Figment::from(Serialized::defaults(Self::default()))
            .merge(toml)
            .merge(Env::prefixed("IRONRULE_").ignore(&["bin", "url", "token", "config", "demo", "admin_password", "setup_code"]))
            .merge(Serialized::defaults(overrides))
            .extract()
            .map_err(|error| Error::Configuration(error.to_string()))
    }

    /// Where the database is.
    ///
    /// # Errors
    /// [`Error::Configuration`] for an address that is not understood.
    pub fn database(&self) -> Result<store::Database, Error> {
        match self.database.as_str() {
            "rocksdb" => Ok(store::Database::Disk(self.data_dir.join("db"))),
            "mem://" | "memory" => Ok(store::Database::Memory),
            url if url.starts_with("ws://") || url.starts_with("wss://") => Ok(store::Database::Remote {
                url: url.to_owned(),
                user: self.database_user.clone(),
                password: self.database_password.clone(),
            }),
            url => match url.strip_prefix("rocksdb://") {
                Some(path) if !path.is_empty() => Ok(store::Database::Disk(PathBuf::from(path))),
                _ => Err(Error::Configuration(format!("`{url}` is not a database: use rocksdb, rocksdb://PATH, mem:// or ws://HOST:PORT"))),
            },
        }
    }

    /// The address under which clients reach the server, which listens on this one.
    #[must_use]
    pub fn url(&self, address: SocketAddr) -> String {
        self.public_url.clone().unwrap_or_else(|| self.own_url(address))
    }

    /// The address that the server listens on.
    #[must_use]
    pub fn own_url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls_cert.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// The memory caps of the embedded database.
    #[must_use]
    pub fn memory(&self) -> store::Memory {
        store::Memory { block_cache_bytes: self.block_cache_mb << 20, write_buffer_bytes: self.write_buffer_mb << 20 }
    }
}

/// The words for [`policies::Mode`].
mod mode {
    use policies::Mode;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match mode {
            Mode::Plan => "plan",
            Mode::Casbin => "casbin",
            Mode::Verify => "verify",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "plan" => Ok(Mode::Plan),
            "casbin" => Ok(Mode::Casbin),
            "verify" => Ok(Mode::Verify),
            other => Err(D::Error::custom(format!("`{other}` is none of plan, casbin, verify"))),
        }
    }
}
