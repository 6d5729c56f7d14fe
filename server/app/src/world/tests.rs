//! Several nodes on one database: each an `App` of its own, with nothing in common but the store.

use std::time::{Duration, Instant};

use ::plugins::{Hook, Operation};
use model::{Action, Caller, Principal, value::Object};
use policies::{Effect, PolicyDraft};

use super::*;
use crate::policies::{self as stories, ChangeDraft, LinkDraft};

/// How soon a change must be in force everywhere, half of the times at least: the machine of a test may be busy.
const EVERYWHERE_WITHIN: Duration = Duration::from_secs(1);

struct Nodes {
    nodes: Vec<Arc<App>>,
    folder: tempfile::TempDir,
}

impl Nodes {
    async fn start(count: usize) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let database = store::Database::Disk(folder.path().join("db"));
        let config = Config { data_dir: folder.path().to_owned(), policy_mode: Mode::Verify, ..Config::default() };
        let store = Store::open(&database, config.memory()).await.expect("a store");
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(App::on(store.clone(), config.clone(), Compiling::Here).await.expect("a node"));
        }
        Self { nodes, folder }
    }

    fn follow(&self) {
        for node in &self.nodes {
            let node = Arc::clone(node);
            tokio::spawn(async move { node.follow().await });
        }
    }
}

fn draft(subject: &str, effect: Effect) -> PolicyDraft {
    let (subject, object, action) = (subject.to_owned(), "_users".to_owned(), "read".to_owned());
    PolicyDraft { subject, domain: "*".to_owned(), object, action, fields: "*".to_owned(), condition: String::new(), effect }
}

fn allows(node: &App, user: &str) -> bool {
    let caller = Caller::new(Principal::User(user.to_owned()), "main", Object::new());
    node.world().policies.allows_object(&caller, Action::Read, "_users")
}

/// Waits for it without sleeping longer than needed, and says how long it took.
async fn until(node: &App, what: impl Fn(&App) -> bool) -> Duration {
    let start = Instant::now();
    while !what(node) {
        assert!(start.elapsed() < Duration::from_secs(20), "it never comes");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_follows_within_a_second() {
    let nodes = Nodes::start(3).await;
    nodes.follow();
    let [first, second, third] = [&nodes.nodes[0], &nodes.nodes[1], &nodes.nodes[2]];
    let mut times = Vec::new();
    for round in 0..6 {
        let user = format!("u{round}");
        // The nodes take turns, so that each builds upon what another has changed.
        let (writer, readers) = if round % 2 == 0 { (first, [second, third]) } else { (second, [first, third]) };
        let add = vec![draft(&format!("role:r{round}"), Effect::Allow)];
        let assign = vec![LinkDraft::new(&format!("user:{user}"), &format!("role:r{round}"), "*")];
        let change = ChangeDraft { add, assign, ..ChangeDraft::default() };
        let changed = stories::change(&Call::system(writer), change).await.expect("a change");
        assert!(allows(writer, &user), "a change is in force here when it is answered");
        for reader in readers {
            times.push(until(reader, |node| allows(node, &user)).await);
            assert!(reader.world().policies.epoch() >= changed.epoch);
        }
        let unassign = vec![LinkDraft::new(&format!("user:{user}"), &format!("role:r{round}"), "*")];
        stories::change(&Call::system(third), ChangeDraft { unassign, ..ChangeDraft::default() }).await.expect("a change");
        for reader in [first, second] {
            times.push(until(reader, |node| !allows(node, &user)).await);
        }
    }
    times.sort();
    assert!(times[times.len() / 2] < EVERYWHERE_WITHIN, "{times:?}");
    let policies =
        |node: &App| node.world().policies.policies().map(|policy| policy.columns().join("|")).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((policies(first), policies(second)), (policies(second), policies(third)));
}

/// Nobody looks for changes here: the node is asked for an epoch that it does not know yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_for_an_epoch_catches_up() {
    let nodes = Nodes::start(2).await;
    let [writer, reader] = [&nodes.nodes[0], &nodes.nodes[1]];
    let change = ChangeDraft { add: vec![draft("user:u", Effect::Allow)], ..ChangeDraft::default() };
    let changed = stories::change(&Call::system(writer), change).await.expect("a change");
    assert!(!allows(reader, "u"));
    assert!(reader.wait_for(changed.epoch, Duration::from_secs(2)).await && allows(reader, "u"));
    assert!(!reader.wait_for(changed.epoch + 1, Duration::from_millis(100)).await);
}

/// Two nodes that change at the same time: one may have to try again, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_two_nodes_at_once_are_both_kept() {
    let nodes = Nodes::start(2).await;
    let write = |node: &Arc<App>, number: usize| {
        let call = Call::system(node);
        async move {
            loop {
                let change = ChangeDraft { add: vec![draft(&format!("user:u{number}"), Effect::Allow)], ..ChangeDraft::default() };
                match stories::change(&call, change).await {
                    Ok(_) => return,
                    Err(error) => assert!(matches!(error, Error::Conflict) || error.is_conflict(), "{error}"),
                }
            }
        }
    };
    for number in (0..40).step_by(2) {
        tokio::join!(write(&nodes.nodes[0], number), write(&nodes.nodes[1], number + 1));
    }
    for node in &nodes.nodes {
        node.catch_up().await.expect("nothing is wrong");
        assert!((0..40).all(|number| allows(node, &format!("u{number}"))));
    }
}

/// A file that is wrong in the middle changes nothing, and is taken when it is mended; meanwhile the database can be changed.
#[tokio::test(flavor = "multi_thread")]
async fn policy_files_are_followed() {
    let nodes = Nodes::start(1).await;
    nodes.follow();
    let node = &nodes.nodes[0];
    let file = nodes.folder.path().join("policies");
    std::fs::create_dir(&file).expect("a folder");
    let file = file.join("a.csv");
    let write = |text: &str| std::fs::write(&file, text).expect("written");
    write("p, user:u, *, _users, read\np, user:v, *, _users, read\n");
    until(node, |node| allows(node, "u") && allows(node, "v")).await;
    write("p, user:w, *, _users, read\np, user:u, *, _users, read, *, , dney\n");
    let start = Instant::now();
    let refused = loop {
        assert!(start.elapsed() < Duration::from_secs(20), "the mistake is not told");
        match node.refused_files().await {
            Some(reason) => break reason,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert!(refused.contains("a.csv:2: column 8 (effect): `dney`"), "{refused}");
    assert!(allows(node, "u") && allows(node, "v") && !allows(node, "w"));
    let change = ChangeDraft { add: vec![draft("user:v", Effect::Deny)], ..ChangeDraft::default() };
    stories::change(&Call::system(node), change).await.expect("a change");
    assert!(allows(node, "u") && !allows(node, "v") && node.refused_files().await.is_some());
    write("p, user:w, *, _users, read\ns, _users\n");
    until(node, |node| allows(node, "w")).await;
    assert!(!allows(node, "u") && !allows(node, "v") && node.refused_files().await.is_none());
    // A seal puts what the database allows out of force.
    let change = ChangeDraft { add: vec![draft("user:x", Effect::Allow)], ..ChangeDraft::default() };
    stories::change(&Call::system(node), change).await.expect("a change");
    assert!(!allows(node, "x"));
    std::fs::remove_file(&file).expect("removed");
    until(node, |node| allows(node, "x") && !allows(node, "w")).await;
}

/// Accepts everything, when it is asked.
const RULE: &str = r#"
    import { beforeWrite, definePlugin, scheduled } from "@ironrule/rules";
    const written = beforeWrite({ name: "written", collections: ["users"], operations: ["create"], run() {} });
    const tick = scheduled({ name: "tick", schedule: "0 3 * * *", run() {} });
    export const rules = definePlugin({ name: "everywhere", version: "1.0.0", rules: [written, tick] });
"#;

async fn install(node: &Arc<App>) {
    let code = crate::plugins::Code::JavaScript(RULE.to_owned());
    crate::plugins::install(&Call::system(node), code, crate::plugins::Granted::Wishes).await.expect("a plugin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_one_node_installs_runs_on_every_node() {
    let nodes = Nodes::start(2).await;
    nodes.follow();
    let [writer, reader] = [&nodes.nodes[0], &nodes.nodes[1]];
    let runs = |node: &App| node.world().plugins.rules(Hook::BeforeWrite, Operation::Create, "users").len();
    install(writer).await;
    assert_eq!(runs(writer), 1);
    until(reader, |node| runs(node) == 1).await;
    let draft = serde_json::from_value(serde_json::json!({"enabled": false})).expect("a change");
    crate::plugins::change(&Call::system(reader), "everywhere", &draft).await.expect("a change");
    until(writer, |node| runs(node) == 0).await;
    crate::plugins::remove(&Call::system(writer), "everywhere").await.expect("a removal");
    until(reader, |node| node.world().plugins.get("everywhere").is_none()).await;
}

/// Every node looks at the same moment: one of them writes the row.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_nodes_one_takes_the_slot_of_a_schedule() {
    let nodes = Nodes::start(3).await;
    install(&nodes.nodes[0]).await;
    for node in &nodes.nodes {
        node.refresh().await.expect("the node follows");
    }
    let taken = async |slot: &str| {
        let looks = nodes.nodes.iter().map(|node| crate::outbox::take_slots(node, slot));
        let looks: Vec<_> = futures_util::future::join_all(looks).await;
        // Who loses against another has a conflict, or sees that the slot is gone.
        looks.into_iter().filter(|look| matches!(look, Ok(slots) if slots.contains(&store::outbox::slots::Slot::Taken))).count()
    };
    let rows = async || {
        let search = store::outbox::Search { limit: 100, ..store::outbox::Search::default() };
        store::outbox::list(&nodes.nodes[0].store, &search).await.expect("the outbox").len()
    };
    assert_eq!(taken("2026-01-01T03:00:00.000000Z").await, 0, "a new schedule counts from here on");
    assert_eq!((taken("2026-01-02T03:00:00.000000Z").await, rows().await), (1, 1));
    assert_eq!((taken("2026-01-02T03:00:00.000000Z").await, rows().await), (0, 1));
}
