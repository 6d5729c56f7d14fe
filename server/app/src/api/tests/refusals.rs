//! "Each refusal leaves the database byte for byte as it was": a catalogue of refused requests, one of every code of the contract that a test can
//! bring about, each between two looks at everything that is stored, down to ids, versions and the definitions of tables and indexes.
//!
//! The server is the real one, with its sockets, on a database in memory. What only time moves is not running: the workers of the outbox,
//! the removal of what has expired, other nodes.

mod ask;

mod world;

mod bodies;

mod records;

mod rules;

mod management;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use ::policies::Mode;
use serde_json::json;
use tokio::net::TcpListener;

use self::{
    ask::{
        Dump, Refusal,
        Who::{Admin, Ann},
        changed,
    },
    bodies::{NOTHING, SMALL},
    world::World,
};
use crate::{
    App, Compiling,
    api::{self, setup::Setup},
    command::create_admin,
    config::Config,
    server,
};

/// What is stored because a request was refused, and why that is right: everything else is compared.
const NEVER_COMPARED: [(&str, &str); 1] = [("_decisions:", "what policies refuse can be looked up under the `decision_id` of the answer")];

/// Codes of the contract that are not in the catalogue, and why.
const ELSEWHERE: [(&str, &str); 16] = [
    ("idempotency.in_flight", "of two requests at once; the second is refused by a map of the process, before any transaction"),
    ("idempotency.unanswered", "of a server that has died between a change and its answer: tests/http/collections/once.rs"),
    ("collection.altering", "while another request changes the collection, which changes the database"),
    ("delivery.under_way", "while a worker tells the delivery, which changes the database"),
    ("import.taken_over", "while another request goes on with the import, which changes the database"),
    ("import.busy", "while four others import"),
    ("export.busy", "reads only"),
    ("write.too_large", "takes 64 MiB"),
    ("delete.too_many", "takes more relations in a row, or records, than the world has: tests/http/records/delete.rs"),
    ("plugin.wall", "while many rules wait for each other: tests/http/server/patience.rs"),
    ("plugin.busy", "while all places of a plugin are taken"),
    ("plugin.broken", "of a plugin that cannot be loaded at the start: tests/http/plugins/settings.rs"),
    ("store.unknown_outcome", "nobody knows what was written"),
    ("store.unavailable", "there is no database to look at"),
    ("server.busy", "refused before there is a request: tests/http/server/crowd.rs"),
    ("internal", "a fault of ours, which no request should bring about"),
];

/// In the order in which they are asked.
fn catalogue() -> Vec<Refusal> {
    let mut all = Vec::new();
    all.extend(bodies::of_bodies());
    all.extend(bodies::of_queries());
    all.extend(bodies::of_callers());
    all.extend(bodies::of_heads());
    all.extend(records::that_are_not_valid());
    all.extend(records::that_policies_deny());
    all.extend(records::that_have_terms());
    all.extend(records::of_several());
    all.extend(records::of_imports());
    all.extend(rules::of_the_clerk());
    all.extend(rules::of_the_hostile());
    all.extend(management::of_collections());
    all.extend(management::of_policies());
    all.extend(management::of_roles());
    all.extend(management::of_plugins());
    all.extend(management::under_keys());
    all.extend(management::of_lossy_changes());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_leaves_the_database_as_it_was() {
    let config = Config { login_attempts: 1, plugin_call_ms: 500, ..Config::default() };
    proved(config, catalogue()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_leaves_the_database_as_it_was() {
    let config = Config { body_read_seconds: 1, request_seconds: 3, plugin_call_ms: 60_000, ..Config::default() };
    proved(config, bodies::that_take_time()).await;
}

#[test]
fn every_code_of_the_contract_is_in_the_catalogue() {
    let contract = contract();
    let asked: BTreeSet<&str> = catalogue().iter().chain(&bodies::that_take_time()).map(|refusal| refusal.code).collect();
    let missing: Vec<_> =
        contract.iter().filter(|code| !asked.contains(**code) && !ELSEWHERE.iter().any(|(name, _)| name == *code)).collect();
    assert!(missing.is_empty(), "nothing proves what these leave: {missing:?}");
    let unknown: Vec<_> = asked.iter().filter(|code| !contract.contains(**code)).collect();
    assert!(unknown.is_empty(), "the contract does not have these: {unknown:?}");
    let stale: Vec<_> = ELSEWHERE.iter().filter(|(code, _)| asked.contains(code) || !contract.contains(code)).collect();
    assert!(stale.is_empty(), "these need no reason: {stale:?}");
}

/// The codes in the table of docs/API.md.
fn contract() -> BTreeSet<&'static str> {
    let (_, rest) = include_str!("../../../../../docs/API.md").split_once("| status | code | when |").expect("the table of codes");
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(2)).flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

/// Asks everything of a fresh server.
async fn proved(config: Config, refusals: Vec<Refusal>) {
    let folder = tempfile::TempDir::new().expect("a folder");
    let (data_dir, database) = (folder.path().to_owned(), "mem://".to_owned());
    let app = App::open(Config { data_dir, database, policy_mode: Mode::Verify, ..config }, Compiling::Here).await.expect("a server");
    create_admin(&app, world::ADMIN, world::PASSWORD).await.expect("an admin");
    let keeping = Arc::clone(&app);
    tokio::spawn(async move { keeping.keep_decisions().await });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let endpoint = api::endpoint(&app, Setup::open(&app).await.expect("a set-up"), address).expect("a service");
    tokio::select! {
        ended = server::serve(listener, endpoint, &app.config, std::future::pending::<()>()) => panic!("the server has ended: {ended:?}"),
        () = Box::pin(compared(&app, address, &refusals)) => {}
    }
}

async fn compared(app: &App, address: SocketAddr, refusals: &[Refusal]) {
    let world = World::open(address).await;
    let mut before = stored(app).await;
    assert!(before == stored(app).await, "what is stored changes by itself");
    let mut faults = Vec::new();
    for refusal in refusals {
        let answer = world.ask(&refusal.ask).await;
        let after = stored(app).await;
        faults.extend(refusal.faults(&answer, &before, &after));
        before = after;
    }
    assert!(faults.is_empty(), "{} of {} lines:\n{}", faults.len(), refusals.len(), faults.join("\n"));
    seen(app, &world).await;
}

/// Everything that is compared.
async fn stored(app: &App) -> Dump {
    let mut stored = everything(app).await;
    stored.retain(|name, _| !NEVER_COMPARED.iter().any(|(start, _)| name.starts_with(start)));
    stored
}

async fn everything(app: &App) -> Dump {
    store::dump::everything(&app.store).await.expect("everything can be read")
}

/// A look that did not see what is accepted would prove nothing about what is refused.
async fn seen(app: &App, world: &World) {
    let before = stored(app).await;
    world.made(Admin.post("/api/records/orders").json(&json!({"text": "fine", "page": "{page}", "gone": "{leaf}"}))).await;
    let after = stored(app).await;
    let found = changed(&before, &after);
    for start in ["orders-", "ledger-", "_changes:", "_outbox:"] {
        assert!(found.iter().any(|name| name.starts_with(start) && !before.contains_key(*name)), "no new `{start}` in {found:?}");
    }
    assert!(found.iter().any(|name| before.contains_key(*name) && after.contains_key(*name)), "the page has not changed: {found:?}");
    assert!(found.iter().any(|name| !after.contains_key(*name)), "the leaf is not gone: {found:?}");

    world.made(Admin.post("/api/collections").json(&json!({"name": "more", "fields": []}))).await;
    let later = stored(app).await;
    assert!(changed(&after, &later).contains(&"definitions"), "a new collection is not seen");

    assert_eq!(world.send(&Ann.delete(SMALL)).await.status, 403);
    // Looking for one of them waits for all that came before.
    world.send(&Admin.get(&format!("/api/policies/decisions/{NOTHING}"))).await;
    for (start, why) in NEVER_COMPARED {
        assert!(everything(app).await.keys().any(|name| name.starts_with(start)), "`{start}` need not be left out: {why}");
    }
}
