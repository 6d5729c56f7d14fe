//! The running server: the store, and an immutable picture of everything that decides about requests. A change of collections, policies or
//! plugins makes a new picture; a request keeps the one it began with, so it never sees half of a change.

mod files;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use model::{
    Collection,
    collection::{Definition, Kind, USERS},
};
use policies::{Change, Mode, PolicyDraft, PolicySet, Reader, Snapshot, Source};
use store::{Store, policies::PolicyRow, settings::versions};
use tokio::sync::{RwLock, watch};

use crate::{
    Error,
    api::document::Documents,
    auth::Keyring,
    call::Call,
    config::Config,
    decisions::Decisions,
    once::InFlight,
    outbox::Outbox,
    plugins::{Rulebook, Vault},
    rates::Rates,
    watch::Watch,
};
use files::Files;
pub(crate) use files::read as read_policy_files;

/// The collections of one moment, by name.
pub type Catalog = BTreeMap<String, Collection>;

/// How long a change of another node, or of a policy file, may go unnoticed.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// How many requests may wait for an epoch at once: each looks into the database again and again.
const WAITING_MAX: usize = 64;

/// How often somebody who waits for a change of another node looks for it.
const WAITING_EVERY: Duration = Duration::from_millis(50);

/// Expired sessions are removed at the start and then every hour.
const TIDY_EVERY_ROUNDS: u64 = 14_400;

/// The counter that every change of collections, policies, roles or plugins advances in its transaction.
const VERSION: &str = "world";

/// Everything that decides about requests, at one moment.
pub struct World {
    /// Counts the changes.
    pub version: u64,
    /// The collections.
    pub catalog: Arc<Catalog>,
    /// The policies with their plans.
    pub policies: Snapshot,
    /// The plugins, and which of their rules run when.
    pub plugins: Arc<Rulebook>,
    /// The OpenAPI documents, rendered when somebody asks.
    pub documents: Documents,
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
    /// What was refused lately, with explanations.
    pub(crate) decisions: Decisions,
    /// What the rules of plugins did lately.
    pub(crate) watch: Watch,
    /// What is to be told and done after commits.
    pub(crate) outbox: Outbox,
    /// The key of what is stored encrypted.
    pub(crate) vault: Vault,
    /// The writes under way that are to happen once.
    pub(crate) in_flight: InFlight,
    /// How often somebody may ask.
    pub(crate) rates: Rates,
    world: ArcSwap<World>,
    /// The version in force, for those who wait for one.
    version: watch::Sender<u64>,
    /// How many requests may wait for an epoch at once.
    waiting: tokio::sync::Semaphore,
    /// Makes one change of the picture wait for the other, so that an older one never replaces a newer one. Taken after the gate.
    rebuild: tokio::sync::Mutex<Files>,
}

/// Where plugins are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiling {
    /// In a limited child process of this binary, as a server does.
    Child,
    /// In this process: commands that end soon, and tests, whose binary is another one.
    Here,
}

impl Compiling {
    fn compiler(self, config: &Config, vault: &Vault) -> Result<plugins::Compiler, Error> {
        let folder = config.data_dir.join("cache").join("plugins");
        match self {
            Compiling::Child => {
                let cache = plugins::Cache::open(folder, vault.derived("ironrule 2026 compiled plugins"))?;
                Ok(plugins::Compiler::child(std::env::current_exe()?, Some(cache)))
            }
            Compiling::Here => Ok(plugins::Compiler::here()),
        }
    }
}

impl App {
    /// Opens the database and builds the first picture of the world.
    ///
    /// # Errors
    /// What keeps the server from starting: the database, a policy file.
    pub async fn open(config: Config, compiling: Compiling) -> Result<Arc<Self>, Error> {
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|error| Error::Configuration(format!("the data directory {}: {error}", config.data_dir.display())))?;
        let store = Store::open(&config.database()?, config.memory()).await?;
        Self::on(store, config, compiling).await
    }

    async fn on(store: Store, config: Config, compiling: Compiling) -> Result<Arc<Self>, Error> {
        let keyring = Keyring::open(&store, &config).await?;
        let limits = plugins::Limits {
            call_ms: config.plugin_call_ms,
            memory_max_bytes: config.plugin_memory_mb << 20,
            ..plugins::Limits::default()
        };
        let vault = Vault::open(&config)?;
        let runtime = plugins::Runtime::new(limits, compiling.compiler(&config, &vault)?)?;
        define_users(&store).await?;
        if !matches!(config.database()?, store::Database::Remote { .. }) {
            // Nobody else writes here, so what runs is what has died.
            crate::records::import::recover(&store).await?;
            crate::collections::alter::recover(&store).await?;
        }
        let (files, written) = Files::open(&config)?;
        let world = first(&store, &runtime, &vault, (written, config.policy_mode)).await?;
        Ok(Arc::new(Self {
            decisions: Decisions::new(),
            watch: Watch::default(),
            outbox: Outbox::new(&config)?,
            rates: Rates::new(&config),
            vault,
            config,
            store,
            keyring,
            runtime,
            gate: Arc::default(),
            in_flight: InFlight::default(),
            version: watch::Sender::new(world.version),
            world: ArcSwap::from_pointee(world),
            waiting: tokio::sync::Semaphore::new(WAITING_MAX),
            rebuild: tokio::sync::Mutex::new(files),
        }))
    }

    /// The picture of this moment.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Takes over what has changed in the database since this picture. A picture that cannot be built never replaces the one in force.
    ///
    /// # Errors
    /// What is wrong with the stored collections, policies or plugins.
    pub async fn refresh(&self) -> Result<(), Error> {
        let _one_at_a_time = self.rebuild.lock().await;
        let before = self.world();
        let version = versions::get(&self.store, VERSION).await?;
        // Whoever waited for the lock may find it done.
        if version != before.version {
            self.put_in_force(next(self, &before, version).await?);
        }
        Ok(())
    }

    /// Takes over a change of policies that this node has just committed, without reading anything again.
    pub(crate) async fn adopt(&self, change: &Change, version: u64) {
        let _one_at_a_time = self.rebuild.lock().await;
        let world = self.world();
        if world.version < version {
            self.put_in_force(world.with_policies(world.policies.replayed(&[change], version), version));
        }
    }

    fn put_in_force(&self, world: World) {
        let version = world.version;
        self.world.store(Arc::new(world));
        self.version.send_replace(version);
    }

    /// Takes over what other nodes have changed, if anything.
    ///
    /// # Errors
    /// What is wrong with what they have stored, or the database.
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        if versions::get(&self.store, VERSION).await? == self.world().version { Ok(()) } else { self.refresh().await }
    }

    /// Waits until the picture in force has at least this version; false if it does not come in time.
    pub(crate) async fn wait_for(&self, version: u64, within: Duration) -> bool {
        let Ok(_waiting) = self.waiting.try_acquire() else { return false };
        let mut versions = self.version.subscribe();
        let reached = tokio::time::timeout(within, async {
            while *versions.borrow_and_update() < version {
                // Another node may have made it: there is no need to wait for the next look.
                if let Err(error) = self.catch_up().await {
                    tracing::warn!(%error, "cannot look for changes of other nodes");
                }
                let _ = tokio::time::timeout(WAITING_EVERY, versions.wait_for(|found| *found >= version)).await;
            }
        });
        reached.await.is_ok()
    }

    /// Follows the changes of the policy files and those that other nodes make, and removes what has expired, until the task is dropped.
    pub async fn follow(&self) {
        for round in 0_u64.. {
            tokio::time::sleep(FOLLOW_EVERY).await;
            if round.is_multiple_of(TIDY_EVERY_ROUNDS) {
                self.tidy().await;
            }
            self.follow_files().await;
            if let Err(error) = self.catch_up().await {
                tracing::error!(%error, "cannot take over what other nodes have changed");
            }
        }
    }

    async fn tidy(&self) {
        let now = model::time::datetime_text(chrono::Utc::now());
        if let Err(error) = store::sessions::remove_expired(&self.store, &now).await {
            tracing::warn!(%error, "cannot remove expired sessions");
        }
        let store = self.store.clone();
        // There may be a million rows to remove, which nothing else waits for.
        tokio::spawn(async move {
            if let Err(error) = crate::collections::alter::tidy(&store).await {
                tracing::warn!(%error, "cannot remove what changes of collections have left over");
            }
        });
        if let Err(error) = store::imports::remove_expired(&self.store, &now).await {
            tracing::warn!(%error, "cannot remove expired imports");
        }
        if let Err(error) = store::decisions::remove_expired(&self.store, &now).await {
            tracing::warn!(%error, "cannot remove expired decisions");
        }
        if let Err(error) = store::idempotency::remove_expired(&self.store, &now).await {
            tracing::warn!(%error, "cannot remove answers that are kept no longer");
        }
        if let Err(error) = store::cursors::remove_expired(&self.store, &now).await {
            tracing::warn!(%error, "cannot remove expired cursors");
        }
        let past =
            model::time::datetime_text(chrono::Utc::now() - chrono::TimeDelta::days(i64::try_from(self.config.delivery_days).unwrap_or(3)));
        if let Err(error) = store::outbox::purge(&self.store, store::outbox::State::Delivered, &past).await {
            tracing::warn!(%error, "cannot remove deliveries that are done");
        }
    }

    /// Puts changed policy files in force. Files with a mistake change nothing until it is mended.
    async fn follow_files(&self) {
        let Some(changed) = self.rebuild.lock().await.changed() else { return };
        // There may be a million lines in them: nobody waits for that, neither other tasks of this thread nor changes of the database.
        let before = self.world();
        let read = tokio::task::block_in_place(|| {
            let set = changed.read()?;
            Ok::<_, Error>(before.policies.with_files(set, &|name| before.catalog.get(name).cloned())?)
        });
        // Nobody may be between a look at the files in force and the commit of a change or a record that rests on it.
        let _alone = self.gate.write().await;
        let mut files = self.rebuild.lock().await;
        let world = self.world();
        let known = |name: &str| world.catalog.get(name).cloned();
        match read.and_then(|read| Ok(world.policies.with_files_of(&read, &known)?)) {
            Ok(policies) => {
                tracing::info!(policies = policies.len(), "the policy files have changed and are in force");
                files.taken(changed);
                self.put_in_force(world.with_policies(policies, world.version));
            }
            Err(error) => {
                tracing::error!(%error, "the policy files have a mistake, what was in force before stays");
                files.refused(changed, error.to_string());
            }
        }
    }

    /// What is wrong with the policy files as they are on disk; none if they are in force.
    pub(crate) async fn refused_files(&self) -> Option<String> {
        self.rebuild.lock().await.refusal()
    }
}

impl World {
    /// The same with other policies.
    pub(crate) fn with_policies(&self, policies: Snapshot, version: u64) -> World {
        let (catalog, plugins) = (Arc::clone(&self.catalog), Arc::clone(&self.plugins));
        World { version, catalog, policies, plugins, documents: self.documents.with_other_policies() }
    }
}

/// Counts a change of collections, policies, roles or plugins, in the transaction that makes it.
/// A change that was checked against a picture which another node has replaced meanwhile is a conflict.
pub(crate) async fn advance(transaction: &store::Transaction, call: &Call) -> Result<u64, Error> {
    call.note(transaction).await?;
    let next = versions::advance(transaction, VERSION).await?;
    if next == call.world.version + 1 { Ok(next) } else { Err(Error::Conflict) }
}

/// The picture of a server that starts.
async fn first(store: &Store, runtime: &plugins::Runtime, vault: &Vault, (mut set, mode): (PolicySet, Mode)) -> Result<World, Error> {
    // Read first: a change in between leaves the number too low, and the next look finds it.
    let version = versions::get(store, VERSION).await?;
    let catalog = catalog(store).await?;
    complete_indexes(store, &catalog).await;
    let plugins = crate::plugins::load_all(store, runtime, vault, &Rulebook::default()).await?;
    set.extend(stored(store).await?);
    let policies = Snapshot::build(set, version, mode, &|name| catalog.get(name).cloned())?;
    Ok(World { version, catalog: Arc::new(catalog), policies, plugins: Arc::new(plugins), documents: Documents::default() })
}

/// The picture after what has changed in the database since another one.
async fn next(app: &App, before: &World, version: u64) -> Result<World, Error> {
    let store = &app.store;
    let catalog = catalog(store).await?;
    let plugins = crate::plugins::load_all(store, &app.runtime, &app.vault, &before.plugins).await?;
    // What is committed was checked before. It is not checked again, step by step against a catalog that has gone on: that could only fail.
    let rows = match version > before.version {
        true => store::policies::log::between(store, before.version, version).await?,
        false => None,
    };
    let changes = rows.map(|rows| rows.iter().map(crate::policies::logged).collect::<Result<Vec<_>, _>>());
    let policies = match changes {
        Some(Ok(changes)) => before.policies.replayed(&changes.iter().collect::<Vec<_>>(), version),
        Some(Err(error)) => {
            tracing::warn!(%error, "the policy log cannot be read, every policy is read anew");
            before.policies.with_stored(stored(store).await?, version)
        }
        None => before.policies.with_stored(stored(store).await?, version),
    };
    Ok(World { version, catalog: Arc::new(catalog), policies, plugins: Arc::new(plugins), documents: Documents::default() })
}

/// Makes the indexes that a server which died while a collection changed has left out. The rest works without.
async fn complete_indexes(store: &Store, catalog: &Catalog) {
    for (name, collection) in catalog {
        if let Err(error) = store::schema::define_indexes(store, collection).await {
            tracing::error!(%error, collection = %name, "an index of the collection cannot be made");
        }
    }
}

async fn catalog(store: &Store) -> Result<Catalog, Error> {
    let mut catalog = Catalog::new();
    for (definition, place) in store::catalog::all(store).await? {
        let name = definition.name.clone();
        let collection =
            Collection::new(definition).map_err(|error| Error::Internal(format!("the stored collection `{name}`: {error}")))?;
        let collection = place.map_or_else(|| collection.clone(), |place| collection.kept_in(place));
        catalog.insert(name, collection);
    }
    Ok(catalog)
}

/// The built-in collection exists from the first start; an application extends it.
async fn define_users(store: &Store) -> Result<(), Error> {
    if store::catalog::all(store).await?.iter().any(|(definition, _)| definition.name == USERS) {
        return Ok(());
    }
    let users = Collection::new(users()).map_err(|error| Error::Internal(error.to_string()))?;
    let transaction = store.begin().await?;
    store::schema::create_table(&transaction, &users).await?;
    store::catalog::put(&transaction, &users).await?;
    transaction.commit().await?;
    Ok(())
}

/// The built-in collection before anybody has extended it.
pub(crate) fn users() -> Definition {
    let description = "Everybody who can log in.".to_owned();
    Definition { name: USERS.to_owned(), kind: Kind::Auth, description, fields: Vec::new(), indexes: Vec::new(), search: Vec::new() }
}

/// Every policy and role link of the database.
async fn stored(store: &Store) -> Result<PolicySet, Error> {
    let mut reader = Reader::default();
    store::policies::each(store, |row| {
        let id = row.id.clone();
        let read = reader.policy(&draft(row)?, Source::Database);
        read.map_err(|error| Error::Internal(format!("the stored policy `{id}`: {error}")))
    })
    .await?;
    store::policies::each_link(store, |row| {
        let read = reader.link(&row.member, &row.role, &row.tenant, Source::Database);
        read.map_err(|error| Error::Internal(format!("the stored role link of `{}`: {error}", row.member)))
    })
    .await?;
    Ok(reader.finish())
}

/// The columns of a stored policy.
pub(crate) fn draft(row: PolicyRow) -> Result<PolicyDraft, Error> {
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

#[cfg(test)]
mod tests;
