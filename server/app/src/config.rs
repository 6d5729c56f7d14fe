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
    /// Connections served at once; further ones wait. Default 10000.
    pub connections_max: usize,
    /// Seconds that a client may take for the head of a request. Default 15.
    pub header_read_seconds: u64,
    /// Seconds that running requests get when the server stops. Default 10.
    pub drain_seconds: u64,
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
            header_read_seconds: 15,
            drain_seconds: 10,
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
            .merge(Env::prefixed("IRONRULE_").ignore(&["bin", "url", "config", "demo", "admin_password", "setup_code"]))
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
