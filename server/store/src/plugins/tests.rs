use surrealdb::types::Bytes;

use super::{
    versions::{Code, VersionRow},
    *,
};
use crate::{Database, Memory, Store};

async fn store() -> Store {
    Store::open(&Database::Memory, Memory { block_cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20 }).await.expect("a store")
}

fn version(plugin: &str, digest: &str) -> VersionRow {
    VersionRow {
        plugin: plugin.to_owned(),
        digest: digest.to_owned(),
        version: "1.0.0".to_owned(),
        manifest: "{}".to_owned(),
        grants: "{}".to_owned(),
        text: Some("t".to_owned()),
        installed: "2026-01-01T00:00:00.000000Z".to_owned(),
        by: "user:u".to_owned(),
    }
}

fn plugin_row(name: &str, digest: &str) -> PluginRow {
    PluginRow {
        name: name.to_owned(),
        active: Some(digest.to_owned()),
        enabled: true,
        installed: "2026".to_owned(),
        ..PluginRow::default()
    }
}

async fn old_row(store: &Store, name: &str, content: &str, component: &[u8]) {
    let binds = vec![bind("id", record_id("_plugins", name)), bind("component", Stored::Bytes(Bytes::from(component.to_vec())))];
    store.run(format!("UPSERT $id CONTENT {content}"), binds).await.expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_again() {
    let store = store().await;
    let row = PluginRow { previous: Some("b".into()), shadow: Some("c".into()), enabled: false, revision: 7, ..plugin_row("p", "a") };
    put(&store, &row).await.expect("written");
    assert_eq!(all(&store).await.expect("read"), [row]);
    let code = Code { component: vec![0, 1, 255], source: Some("text".to_owned()) };
    versions::put_code(&store, "a", &code).await.expect("written");
    assert_eq!(versions::code(&store, "a").await.expect("read"), Some(code));
    assert_eq!(versions::code(&store, "b").await.expect("read"), None);
    settings::put(&store, "p", "{}").await.expect("written");
    assert_eq!(settings::all(&store).await.expect("read"), [("p".to_owned(), "{}".to_owned())]);
    let rules = ["p/b".to_owned(), "p/a".to_owned()];
    order::put(&store, "notes", &rules).await.expect("written");
    assert_eq!(order::all(&store).await.expect("read"), [("notes".to_owned(), rules.to_vec())]);
    order::put(&store, "notes", &[]).await.expect("written");
    assert!(order::all(&store).await.expect("read").is_empty());
}

/// The names of some plugins begin with those of others.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_has_its_own_versions_only() {
    let store = store().await;
    for (plugin, digest) in [("a", "1"), ("a", "2"), ("a-b", "3"), ("ab", "4")] {
        versions::put(&store, &version(plugin, digest)).await.expect("written");
        versions::put_code(&store, digest, &Code::default()).await.expect("written");
    }
    put(&store, &plugin_row("a", "1")).await.expect("written");
    assert_eq!(versions::of(&store, "a").await.expect("read"), [version("a", "1"), version("a", "2")]);
    assert_eq!(versions::all(&store).await.expect("read").len(), 4);

    assert!(remove(&store, "a").await.expect("removed"));
    assert!(!remove(&store, "a").await.expect("removed"));
    assert_eq!(versions::all(&store).await.expect("read"), [version("a-b", "3"), version("ab", "4")]);
    assert_eq!(versions::code(&store, "1").await.expect("read"), None);
    assert!(versions::code(&store, "3").await.expect("read").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_first_form_are_brought_into_todays() {
    let store = store().await;
    let content = "{ name: 'p', digest: 'd', component: $component, grants: '{\"read\":[\"a\"]}', enabled: false, installed: '2025' }";
    old_row(&store, "p", content, b"code").await;
    for _ in 0..2 {
        migrate(&store).await.expect("migrated");
        let row = PluginRow { enabled: false, installed: "2025".to_owned(), ..plugin_row("p", "d") };
        assert_eq!(all(&store).await.expect("read"), [row]);
    }
    let expected = VersionRow {
        plugin: "p".into(),
        digest: "d".into(),
        grants: "{\"read\":[\"a\"]}".into(),
        installed: "2025".into(),
        ..VersionRow::default()
    };
    assert_eq!(versions::of(&store, "p").await.expect("read"), [expected]);
    let code = versions::code(&store, "d").await.expect("read");
    assert_eq!(code, Some(Code { component: b"code".to_vec(), source: None }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_lost_its_columns_is_read_all_the_same() {
    let store = store().await;
    old_row(&store, "broken", "{ component: $component, enabled: 7 }", b"code").await;
    put(&store, &plugin_row("p", "d")).await.expect("written");
    migrate(&store).await.expect("migrated");
    let broken = PluginRow { name: "broken".to_owned(), enabled: true, ..PluginRow::default() };
    assert_eq!(all(&store).await.expect("read"), [broken, plugin_row("p", "d")]);
}
