use plugins::{Compiler, Hook, Limits, Operation};
use store::{Database, Memory, plugins::versions::Code};

use super::*;
use crate::config::Config;

/// A database with one plugin in it, and what it takes to load it.
struct Place {
    store: Store,
    runtime: Runtime,
    vault: Vault,
    digest: String,
    _folder: tempfile::TempDir,
}

const HOSTILE: &[u8] = include_bytes!("../../../../../plugins/examples/hostile/hostile.wasm");

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let memory = Memory { block_cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20 };
        let place = Self {
            store: Store::open(&Database::Memory, memory).await.expect("a store"),
            runtime: Runtime::new(Limits::default(), Compiler::here()).expect("a runtime"),
            vault: Vault::open(&Config { data_dir: folder.path().to_owned(), ..Config::default() }).expect("a key"),
            digest: blake3::hash(HOSTILE).to_hex().to_string(),
            _folder: folder,
        };
        let code = Code { component: HOSTILE.to_vec(), source: None };
        versions::put_code(&place.store, &place.digest, &code).await.expect("written");
        place.version(|_| {}).await;
        place.row(|_| {}).await;
        place
    }

    async fn row(&self, change: impl Fn(&mut PluginRow)) {
        let mut row = PluginRow {
            name: "hostile".to_owned(),
            active: Some(self.digest.clone()),
            enabled: true,
            installed: "2026".to_owned(),
            ..PluginRow::default()
        };
        change(&mut row);
        store::plugins::put(&self.store, &row).await.expect("written");
    }

    async fn version(&self, change: impl Fn(&mut VersionRow)) {
        let (plugin, digest) = ("hostile".to_owned(), self.digest.clone());
        let mut version = VersionRow { plugin, digest, grants: r#"{"write":["notes"]}"#.to_owned(), ..VersionRow::default() };
        change(&mut version);
        versions::put(&self.store, &version).await.expect("written");
    }

    async fn load(&self, before: &Rulebook) -> Rulebook {
        load_all(&self.store, &self.runtime, &self.vault, before).await.expect("what is stored is shown, whatever it is")
    }

    async fn load_anew(&self) -> Rulebook {
        self.load(&Rulebook::default()).await
    }
}

fn broken(book: &Rulebook, name: &str) -> String {
    let installed = book.get(name).unwrap_or_else(|| panic!("`{name}` is not there"));
    assert!(installed.plugin().is_err());
    installed.broken().unwrap_or_else(|| panic!("{} is not broken", installed.label())).to_owned()
}

/// How many rules stand before a write to this collection.
fn before(book: &Rulebook, collection: &str) -> usize {
    book.rules(Hook::BeforeWrite, Operation::Create, collection).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_nobody_has_loaded_before_is_described() {
    let place = Place::new().await;
    let book = place.load_anew().await;
    let installed = book.get("hostile").expect("installed");
    assert!(installed.plugin().is_ok() && installed.grants().writes("notes"), "{:?}", installed.broken());
    assert_eq!((before(&book, "notes"), before(&book, "other")), (1, 0));
    let stored = versions::of(&place.store, "hostile").await.expect("read");
    assert_eq!(stored[0].version, installed.manifest().version);
    assert_eq!(serde_json::from_str::<Manifest>(&stored[0].manifest).ok().as_ref(), Some(installed.manifest()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_loaded_is_not_loaded_again() {
    let place = Place::new().await;
    let book = place.load_anew().await;
    // Nobody could load it again.
    versions::put_code(&place.store, &place.digest, &Code::default()).await.expect("written");
    place.row(|row| row.enabled = false).await;
    let disabled = place.load(&book).await;
    assert!(disabled.get("hostile").is_some_and(|installed| installed.plugin().is_err() && installed.broken().is_none()));
    assert_eq!(before(&disabled, "notes"), 0);
    place.row(|_| {}).await;
    assert!(place.load(&disabled).await.get("hostile").is_some_and(|installed| installed.plugin().is_ok()));
    broken(&place.load_anew().await, "hostile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_plugin_is_in_the_way_of_what_it_would_check() {
    let place = Place::new().await;
    place.load_anew().await;
    versions::put_code(&place.store, &place.digest, &Code { component: b"nonsense".to_vec(), source: None }).await.expect("written");
    let book = place.load_anew().await;
    assert!(broken(&book, "hostile").contains("component"), "{}", broken(&book, "hostile"));
    // What it said about itself is remembered.
    assert_eq!((before(&book, "notes"), before(&book, "other")), (1, 0));

    // Nothing about it has changed: it is not tried again.
    let code = Code { component: HOSTILE.to_vec(), source: None };
    versions::put_code(&place.store, &place.digest, &code).await.expect("written");
    broken(&place.load(&book).await, "hostile");
    place.row(|row| row.revision = 1).await;
    assert!(place.load(&book).await.get("hostile").is_some_and(|installed| installed.plugin().is_ok()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_which_nothing_is_known_is_in_the_way_of_every_write() {
    let place = Place::new().await;
    store::plugins::put(&place.store, &PluginRow { name: "lost".to_owned(), enabled: true, ..PluginRow::default() })
        .await
        .expect("written");
    let book = place.load_anew().await;
    broken(&book, "lost");
    assert_eq!((before(&book, "notes"), before(&book, "other")), (2, 1));
    assert!(book.get("hostile").is_some_and(|installed| installed.plugin().is_ok()), "another plugin suffers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_broken_whose_grants_settings_or_code_are_not_its_own() {
    let place = Place::new().await;
    place.version(|version| version.grants = "[".to_owned()).await;
    assert!(broken(&place.load_anew().await, "hostile").contains("grants"));
    place.version(|_| {}).await;
    stored::put(&place.store, "hostile", "{").await.expect("written");
    assert!(broken(&place.load_anew().await, "hostile").contains("settings"));
    stored::remove(&place.store, "hostile").await.expect("removed");
    assert!(place.load_anew().await.get("hostile").is_some_and(|installed| installed.plugin().is_ok()));

    place.row(|row| row.name = "other".to_owned()).await;
    assert!(broken(&place.load_anew().await, "other").contains("that of `hostile`"));
    store::plugins::remove(&place.store, "other").await.expect("removed");
    let foreign = [HOSTILE, b"\0\x05\x04more"].concat();
    versions::put_code(&place.store, &place.digest, &Code { component: foreign, source: None }).await.expect("written");
    assert!(broken(&place.load_anew().await, "hostile").contains("not that of this version"));
}
