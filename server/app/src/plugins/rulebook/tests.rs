use plugins::{Ground, Manifest};
use serde_json::json;

use super::{super::installed::State, *};

fn rule(name: &str, hook: &str, collection: &str, order: i32) -> serde_json::Value {
    json!({"name": name, "hook": hook, "collections": [collection], "operations": ["create", "update"], "order": order})
}

fn installed(name: &str, rules: serde_json::Value, state: State) -> Arc<Installed> {
    let manifest: Manifest = serde_json::from_value(json!({"name": name, "version": "1", "rules": rules})).expect("a manifest");
    let enabled = !matches!(state, State::Disabled);
    let digest = "0123456789abcdef".to_owned();
    let (ground, secrets) = (Ground::default(), Secrets::default());
    Arc::new(Installed { state, manifest, digest, ground, secrets, enabled, shadow: false, revision: 0 })
}

fn broken(name: &str, rules: serde_json::Value) -> Arc<Installed> {
    installed(name, rules, State::Broken("a test has no code".to_owned()))
}

fn entry(active: Option<Arc<Installed>>, shadow: Option<Arc<Installed>>) -> Entry {
    let name = active.as_ref().or(shadow.as_ref()).map(|installed| installed.name().to_owned());
    let row = PluginRow { name: name.expect("a name"), ..PluginRow::default() };
    Entry { row, versions: Vec::new(), active, shadow }
}

fn book(plugins: &[Arc<Installed>], orders: &[(&str, &[&str])]) -> Rulebook {
    let names = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>();
    let orders = orders.iter().map(|(collection, rules)| ((*collection).to_owned(), names(rules))).collect();
    Rulebook::new(plugins.iter().map(|one| entry(Some(Arc::clone(one)), None)).collect(), orders, Arc::default())
}

fn names(rules: &[Bound]) -> Vec<String> {
    rules.iter().map(Bound::name).collect()
}

fn before(book: &Rulebook, collection: &str) -> Vec<String> {
    names(book.rules(Hook::BeforeWrite, Operation::Create, collection))
}

#[test]
fn rules_run_as_listed_then_by_their_order_then_by_age() {
    let old = broken("old", json!([rule("b", "before-write", "notes", 0), rule("a", "before-write", "notes", 0)]));
    let new = broken("new", json!([rule("early", "before-write", "notes", -1), rule("late", "before-write", "notes", 0)]));
    let plugins = [old, new];
    assert_eq!(before(&book(&plugins, &[]), "notes"), ["new/early", "old/b", "old/a", "new/late"]);
    let listed: &[&str] = &["new/late", "gone/rule", "old/a"];
    let book = book(&plugins, &[("notes", listed), ("other", &["old/b"])]);
    assert_eq!(before(&book, "notes"), ["new/late", "old/a", "new/early", "old/b"]);
}

#[test]
fn rules_run_for_their_hook_operation_and_collection_only() {
    let rules = json!([rule("before", "before-write", "notes", 0), rule("after", "after-commit", "notes", 0),
        {"name": "tick", "hook": "scheduled", "schedule": "* * * * *"},
        {"name": "pay", "hook": "endpoint", "method": "POST", "path": "/pay"}]);
    let book = book(&[broken("p", rules)], &[]);
    assert_eq!(before(&book, "notes"), ["p/before"]);
    assert_eq!(before(&book, "other"), [""; 0]);
    assert_eq!(names(book.rules(Hook::AfterCommit, Operation::Update, "notes")), ["p/after"]);
    assert!(book.rules(Hook::BeforeWrite, Operation::Delete, "notes").is_empty());
    assert_eq!((names(book.endpoints()), names(book.scheduled())), (vec!["p/pay".to_owned()], vec!["p/tick".to_owned()]));
}

#[test]
fn a_plugin_whose_rules_nobody_knows_stands_before_every_write() {
    let known = broken("known", json!([rule("r", "before-write", "notes", 0), rule("after", "after-commit", "notes", 0)]));
    let book = book(&[broken("lost", json!([])), known], &[]);
    assert_eq!(before(&book, "notes"), ["known/r", "lost/?"]);
    assert_eq!(before(&book, "other"), ["lost/?"]);
    assert_eq!(names(book.rules(Hook::AfterCommit, Operation::Create, "notes")), ["known/after"]);
    assert!(book.rules(Hook::AfterCommit, Operation::Create, "other").is_empty());
    let error = book.rules(Hook::BeforeWrite, Operation::Delete, "other")[0].installed.plugin().expect_err("broken");
    assert!(matches!(error, crate::Error::PluginFailed { code: "plugin.broken", .. }), "{error}");
}

#[test]
fn nothing_of_a_disabled_plugin_runs_and_a_broken_shadow_is_in_nobodys_way() {
    let rules = || json!([rule("r", "before-write", "notes", 0)]);
    let disabled = installed("off", rules(), State::Disabled);
    let entries =
        vec![entry(Some(disabled), None), entry(None, Some(broken("shade", rules()))), entry(None, Some(broken("lost", json!([]))))];
    let book = Rulebook::new(entries, BTreeMap::new(), Arc::default());
    assert_eq!(before(&book, "notes"), [""; 0]);
    assert!(book.shadows(Hook::BeforeWrite, Operation::Create, "notes").is_empty());
    assert!(book.get("off").is_some_and(|installed| installed.plugin().is_err()));
    assert!(book.get("shade").is_none() && book.entry("shade").is_some() && book.entry("none").is_none());
}
