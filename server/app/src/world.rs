//! The running server: the store, and an immutable picture of everything that decides about requests. A change of collections, policies or
//! plugins makes a new picture; a request keeps the one it began with, so it never sees half of a change.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use model::{
    Collection,
    collection::{Definition, Kind, USERS},
};
use policies::{Policy, PolicyDraft, RoleLink, Snapshot, Source};
use store::{Store, policies::PolicyRow, settings::versions};
use tokio::sync::RwLock;

use crate::{Error, api::document::Document, auth::Keyring, call::Call, config::Config, plugins::Installed};

/// The collections of one moment, by name.
pub type Catalog = BTreeMap<String, Collection>;

/// How long a change of another node may go unnoticed.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// Expired sessions are removed at the start and then every hour.
const TIDY_EVERY_ROUNDS: u64 = 7_200;

/// The counter that every change of collections, policies, roles or plugins advances in its transaction.
const VERSION: &str = "world";

/// Everything that decides about requests, at one moment.
pub struct World {
    /// Counts the changes.
    pub version: u64,
    /// The collections.
    pub catalog: Catalog,
    /// The policies with their plans.
    pub policies: Snapshot,
    /// The enabled plugins in the order in which their rules run.
    pub plugins: Vec<Arc<Installed>>,
    /// The OpenAPI document of these collections, rendered when somebody asks.
    pub document: OnceLock<Document>,
}

/// The running server.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The data.
    pub store: Store,
    pub(crate) keyring: Keyring,
    pub(crate) runtime: plugins::Runtime,
    /// Writes of records share it, changes of what decides about them have it alone: so a record cannot slip in between the look at what
    /// is stored and the change of a collection. Other nodes are held off by the version only.
    pub(crate) gate: Arc<RwLock<()>>,
    world: ArcSwap<World>,
    /// Makes one rebuild wait for the other, so that an older picture never replaces a newer one.
    rebuild: tokio::sync::Mutex<()>,
}

impl App {
    /// Opens the database and builds the first picture of the world.
    ///
    /// # Errors
    /// What keeps the server from starting: the database, a policy file, a stored plugin.
    pub async fn open(config: Config) -> Result<Arc<Self>, Error> {
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|error| Error::Configuration(format!("the data directory {}: {error}", config.data_dir.display())))?;
        let store = Store::open(&config.database()?, config.memory()).await?;
        let keyring = Keyring::open(&store, &config).await?;
        let limits = plugins::Limits {
            call_ms: config.plugin_call_ms,
            memory_max_bytes: config.plugin_memory_mb << 20,
            ..plugins::Limits::default()
        };
        let runtime = plugins::Runtime::new(limits)?;
        define_users(&store).await?;
        let world = build(&config, &store, &runtime, &[]).await?;
        Ok(Arc::new(Self {
            config,
            store,
            keyring,
            runtime,
            gate: Arc::default(),
            world: ArcSwap::from_pointee(world),
            rebuild: tokio::sync::Mutex::default(),
        }))
    }

    /// The picture of this moment.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Builds a new picture from the database. A picture that cannot be built never replaces the one in force.
    ///
    /// # Errors
    /// What is wrong with the stored collections, policies or plugins.
    pub async fn refresh(&self) -> Result<(), Error> {
        let _one_at_a_time = self.rebuild.lock().await;
        let world = build(&self.config, &self.store, &self.runtime, &self.world().plugins).await?;
        self.world.store(Arc::new(world));
        Ok(())
    }

    /// Follows the changes that other nodes make, and removes sessions that have expired, until the task is dropped.
    pub async fn follow(&self) {
        for round in 0_u64.. {
            tokio::time::sleep(FOLLOW_EVERY).await;
            if round.is_multiple_of(TIDY_EVERY_ROUNDS) {
                let now = model::time::datetime_text(chrono::Utc::now());
                if let Err(error) = store::sessions::remove_expired(&self.store, &now).await {
                    tracing::warn!(%error, "cannot remove expired sessions");
                }
            }
            match versions::get(&self.store, VERSION).await {
                Ok(version) if version == self.world().version => {}
                Ok(_) => {
                    if let Err(error) = self.refresh().await {
                        tracing::error!(%error, "a change of another node cannot be taken over");
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot look for changes of other nodes"),
            }
        }
    }
}

/// Counts a change of collections, policies, roles or plugins, in the transaction that makes it.
/// A change that was checked against a picture which another node has replaced meanwhile is a conflict.
pub(crate) async fn advance(transaction: &store::Transaction, call: &Call) -> Result<(), Error> {
    let next = versions::advance(transaction, VERSION).await?;
    if next == call.world.version + 1 { Ok(()) } else { Err(Error::Conflict) }
}

async fn build(config: &Config, store: &Store, runtime: &plugins::Runtime, loaded: &[Arc<Installed>]) -> Result<World, Error> {
    // Read first: a change in between leaves the number too low, and the next look builds once more.
    let version = versions::get(store, VERSION).await?;
    let catalog = catalog(store).await?;
    let plugins = crate::plugins::load_all(store, runtime, loaded).await?;
    let policies = snapshot(config, store, &catalog, version).await?;
    Ok(World { version, catalog, policies, plugins, document: OnceLock::new() })
}

async fn catalog(store: &Store) -> Result<Catalog, Error> {
    let mut catalog = Catalog::new();
    for definition in store::catalog::all(store).await? {
        let name = definition.name.clone();
        let collection =
            Collection::new(definition).map_err(|error| Error::Internal(format!("the stored collection `{name}`: {error}")))?;
        catalog.insert(name, collection);
    }
    Ok(catalog)
}

/// The built-in collection exists from the first start; an application extends it.
async fn define_users(store: &Store) -> Result<(), Error> {
    if store::catalog::all(store).await?.iter().any(|definition| definition.name == USERS) {
        return Ok(());
    }
    let description = "Everybody who can log in.".to_owned();
    let definition = Definition { name: USERS.to_owned(), kind: Kind::Auth, description, fields: Vec::new(), indexes: Vec::new() };
    let users = Collection::new(definition).map_err(|error| Error::Internal(error.to_string()))?;
    let transaction = store.begin().await?;
    store::schema::create_table(&transaction, &users).await?;
    store::catalog::put(&transaction, users.definition()).await?;
    transaction.commit().await?;
    Ok(())
}

/// The policies in force: the built-in ones, those of `policies/*.csv` in the data directory, and those of the database.
async fn snapshot(config: &Config, store: &Store, catalog: &Catalog, epoch: u64) -> Result<Snapshot, Error> {
    let (policies, links) = sources(config, store).await?;
    Ok(Snapshot::build(policies, links, epoch, &|name| catalog.get(name).cloned())?)
}

/// Every policy and role link there is, from all sources.
pub(crate) async fn sources(config: &Config, store: &Store) -> Result<(Vec<Policy>, Vec<RoleLink>), Error> {
    let (mut policies, mut links) = policies::parse_csv("built-in", policies::DEFAULT_CSV)?;
    for (name, text) in policy_files(&config.data_dir.join("policies"))? {
        let (more_policies, more_links) = policies::parse_csv(&name, &text)?;
        policies.extend(more_policies);
        links.extend(more_links);
    }
    for row in store::policies::all(store).await? {
        let id = row.id.clone();
        policies.push(Policy::new(draft(row)?, Source::Database { id })?);
    }
    for row in store::policies::links(store).await? {
        let id = format!("{} {} {}", row.member, row.role, row.tenant);
        links.push(RoleLink::new(&row.member, &row.role, &row.tenant, Source::Database { id })?);
    }
    Ok((policies, links))
}

fn draft(row: PolicyRow) -> Result<PolicyDraft, Error> {
    let effect = serde_json::from_value(serde_json::Value::String(row.effect)).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(PolicyDraft {
        subject: row.subject,
        domain: row.domain,
        object: row.object,
        action: row.action,
        fields: row.fields,
        condition: row.condition,
        effect,
    })
}

/// The policy files in a folder, in the order of their names; none if there is no such folder.
fn policy_files(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let text = std::fs::read_to_string(&path).map_err(|error| Error::Configuration(format!("{}: {error}", path.display())))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Ok(files)
}
