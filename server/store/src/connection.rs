//! Opening the database: embedded RocksDB or memory with our own memory caps, or a SurrealDB server over WebSocket.

use std::{path::PathBuf, sync::Arc};

use surrealdb::{Surreal, engine::local::Db};
use surrealdb_cnf::ConfigMap;
use surrealdb_engine_local::Datastore;

use crate::{
    Error,
    hot::HotRecords,
    remote::{Remote, SILENCE_MAX},
};

/// The namespace and the database that hold everything.
const NAMESPACE: &str = "ironrule";

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// Embedded RocksDB in a folder, synced to disk on every commit.
    Disk(PathBuf),
    /// Embedded, gone when the process ends; for tests.
    Memory,
    /// A SurrealDB server: `ws://` or `wss://`.
    Remote {
        /// The address of the server.
        url: String,
        /// The root user.
        user: String,
        /// Its password.
        password: String,
    },
}

/// Caps for the memory of the embedded engine, in bytes. Without them RocksDB takes half of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// For blocks read from disk.
    pub block_cache_bytes: u64,
    /// For one buffer of writes not yet flushed; there are up to [`WRITE_BUFFERS`].
    pub write_buffer_bytes: u64,
}

/// How many write buffers RocksDB may hold at once.
pub const WRITE_BUFFERS: u64 = 4;

impl Default for Memory {
    fn default() -> Self {
        Self { block_cache_bytes: 256 << 20, write_buffer_bytes: 32 << 20 }
    }
}

/// The two kinds of connection that the SDK tells apart by type.
#[derive(Clone)]
pub(crate) enum Connection {
    Embedded(Surreal<Db>),
    Remote(Remote),
}

/// The open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) hot: Arc<HotRecords>,
}

impl Store {
    /// Opens the database and brings the system tables up to date.
    ///
    /// # Errors
    /// [`Error::Open`] when it cannot be opened or reached, [`Error::Database`] when the system tables cannot be made.
    pub async fn open(database: &Database, memory: Memory) -> Result<Self, Error> {
        let connection = match database {
            Database::Disk(path) => embedded(&format!("rocksdb://{}", path.display()), memory).await?,
            Database::Memory => embedded("memory", memory).await?,
            Database::Remote { url, user, password } => {
                Connection::Remote(Remote::open(url, user, password, NAMESPACE, SILENCE_MAX).await?)
            }
        };
        Self::over(connection).await
    }

    pub(crate) async fn over(connection: Connection) -> Result<Self, Error> {
        let store = Self { connection, hot: Arc::default() };
        crate::schema::migrate(&store).await?;
        Ok(store)
    }
}

/// The keys are those of SurrealDB's own configuration. Neither the URL nor the environment reaches an embedded engine (measured), so the
/// datastore is built by hand; `unstable_from_datastore` is why the version is pinned.
async fn embedded(path: &str, memory: Memory) -> Result<Connection, Error> {
    let config = ConfigMap::empty()
        .with_key_value("rocksdb_block_cache_size", memory.block_cache_bytes.to_string())
        .with_key_value("rocksdb_write_buffer_size", memory.write_buffer_bytes.to_string())
        .with_key_value("rocksdb_max_write_buffer_number", WRITE_BUFFERS.to_string())
        // RocksDB's own log in the database folder says what is in force; for whoever is on call.
        .with_key_value("rocksdb_storage_log_level", "info")
        .with_key_value("rocksdb_keep_log_file_num", "3");
    let open = |error: &dyn std::fmt::Display| Error::Open(error.to_string());
    let datastore = Datastore::builder().with_config(config).build_with_path(path).await.map_err(|error| open(&error))?;
    let surreal = Surreal::<Db>::unstable_from_datastore(datastore, None).await.map_err(|error| open(&error))?;
    surreal.use_ns(NAMESPACE).use_db(NAMESPACE).await?;
    Ok(Connection::Embedded(surreal))
}
