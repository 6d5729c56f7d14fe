//! Every installed plugin of one moment, and which of their rules run when. Made once for each picture of the world: a write looks up its
//! rules, it does not search for them.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use plugins::{Hook, Operation, RuleDeclaration};
use store::plugins::{PluginRow, versions::VersionRow};

use super::{installed::Installed, load::Shelf, secrets::Secrets};

/// A rule of an installed plugin.
#[derive(Clone)]
pub(crate) struct Bound {
    pub(crate) installed: Arc<Installed>,
    pub(crate) rule: Arc<str>,
}

impl Bound {
    /// How the rule is named where rules of several plugins are meant.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.installed.name(), self.rule)
    }

    /// What the manifest says about the rule; none for a plugin whose rules nobody knows.
    pub(crate) fn declaration(&self) -> Option<&RuleDeclaration> {
        self.installed.manifest().rule(&self.rule)
    }
}

/// A plugin with all of its versions.
pub(crate) struct Entry {
    pub(crate) row: PluginRow,
    /// Every version that is kept, the one installed last first.
    pub(crate) versions: Vec<VersionRow>,
    /// The version whose rules run; none if there is only one to be watched.
    pub(crate) active: Option<Arc<Installed>>,
    /// The version that is only watched.
    pub(crate) shadow: Option<Arc<Installed>>,
}

impl Entry {
    /// The version of this digest.
    pub(crate) fn version(&self, digest: &str) -> Option<&VersionRow> {
        self.versions.iter().find(|version| version.digest == digest)
    }

    /// The one that runs, or else the one that is watched.
    pub(crate) fn foremost(&self) -> Option<&Arc<Installed>> {
        self.active.as_ref().or(self.shadow.as_ref())
    }
}

/// The installed plugins and their rules.
#[derive(Default)]
pub struct Rulebook {
    entries: Vec<Entry>,
    active: Index,
    watched: Index,
    /// For each collection the rules whose order somebody has given, as `plugin/rule`.
    orders: BTreeMap<String, Vec<String>>,
    /// Collections that rules may search.
    searched: HashSet<String>,
    pub(super) shelf: Arc<Shelf>,
}

/// Rules by what makes them run.
#[derive(Default)]
struct Index {
    by_write: HashMap<(Hook, Operation), HashMap<String, Vec<Bound>>>,
    /// Stands for the rules of broken plugins of which nobody knows when they run: before every write.
    before_any: Vec<Bound>,
    endpoints: Vec<Bound>,
    scheduled: Vec<Bound>,
}

impl Rulebook {
    /// Binds the rules of these plugins, which come in the order of their installation.
    pub(super) fn new(entries: Vec<Entry>, orders: BTreeMap<String, Vec<String>>, shelf: Arc<Shelf>) -> Self {
        let running = |installed: Option<&Arc<Installed>>| installed.filter(|installed| installed.enabled).cloned();
        let active = Index::new(entries.iter().filter_map(|entry| running(entry.active.as_ref())), &orders);
        let watched = entries.iter().filter_map(|entry| running(entry.shadow.as_ref())).filter(|installed| installed.broken().is_none());
        let watched = Index::new(watched, &orders);
        let searching = entries.iter().filter_map(|entry| running(entry.active.as_ref()));
        let searched = searching.flat_map(|installed| installed.grants().query.clone()).collect();
        Self { entries, active, watched, orders, searched, shelf }
    }

    /// The rules that run for this write, in the order in which they run.
    pub(crate) fn rules(&self, hook: Hook, operation: Operation, collection: &str) -> &[Bound] {
        self.active.rules(hook, operation, collection)
    }

    /// The rules for this write that are only watched, in the same order.
    pub(crate) fn shadows(&self, hook: Hook, operation: Operation, collection: &str) -> &[Bound] {
        self.watched.rules(hook, operation, collection)
    }

    /// The rules that answer requests.
    pub(crate) fn endpoints(&self) -> &[Bound] {
        &self.active.endpoints
    }

    /// The rules that run at certain times.
    pub(crate) fn scheduled(&self) -> &[Bound] {
        &self.active.scheduled
    }

    /// Whether rules may decide by a search in this collection.
    pub(crate) fn searches(&self, collection: &str) -> bool {
        self.searched.contains(collection)
    }

    /// The rules of all plugins about this collection, of disabled ones too, in the order in which they run.
    pub(crate) fn in_order(&self, collection: &str) -> Vec<Bound> {
        let mut rules = Vec::new();
        for installed in self.entries.iter().filter_map(|entry| entry.active.as_ref()) {
            let about = installed.manifest().rules.iter().filter(|rule| rule.collections.contains(collection));
            rules.extend(about.map(|rule| Bound { installed: Arc::clone(installed), rule: rule.name.as_str().into() }));
        }
        rules.sort_by(|one, other| compare(self.order(collection), one, other));
        rules
    }

    /// The plugin of that name, in the version whose rules run. It may be disabled or broken: [`Installed::plugin`] says so.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Installed>> {
        self.entry(name)?.active.as_ref()
    }

    /// Everything about the plugin of that name.
    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.row.name == name)
    }

    /// The secrets of the plugin of that name, as the version knows them that runs, or else the one that is watched.
    pub(crate) fn secrets(&self, name: &str) -> Option<&Secrets> {
        Some(&self.entry(name)?.foremost()?.secrets)
    }

    /// Every plugin, the oldest installation first.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The order that somebody gave to the rules of a collection.
    pub(crate) fn order(&self, collection: &str) -> &[String] {
        self.orders.get(collection).map_or(&[], Vec::as_slice)
    }
}

impl Index {
    fn new(all: impl Iterator<Item = Arc<Installed>>, orders: &BTreeMap<String, Vec<String>>) -> Self {
        let mut index = Self::default();
        for installed in all {
            if installed.manifest().rules.is_empty() {
                index.before_any.push(Bound { installed: Arc::clone(&installed), rule: "?".into() });
            }
            for rule in &installed.manifest().rules {
                let bound = Bound { installed: Arc::clone(&installed), rule: rule.name.as_str().into() };
                match rule.hook {
                    Hook::Endpoint => index.endpoints.push(bound),
                    Hook::Scheduled => index.scheduled.push(bound),
                    Hook::BeforeWrite | Hook::AfterCommit => index.bind(rule, &bound),
                }
            }
        }
        index.put_in_order(orders);
        index
    }

    fn bind(&mut self, rule: &RuleDeclaration, bound: &Bound) {
        for operation in &rule.operations {
            let by_collection = self.by_write.entry((rule.hook, *operation)).or_default();
            for collection in &rule.collections {
                by_collection.entry(collection.clone()).or_default().push(bound.clone());
            }
        }
    }

    /// Rules come here in the order of installation and declaration, and a stable sort keeps that among equals.
    fn put_in_order(&mut self, orders: &BTreeMap<String, Vec<String>>) {
        for ((hook, _), by_collection) in &mut self.by_write {
            for (collection, rules) in by_collection {
                let listed = orders.get(collection).map_or(&[][..], Vec::as_slice);
                rules.sort_by(|one, other| compare(listed, one, other));
                if *hook == Hook::BeforeWrite {
                    rules.extend(self.before_any.iter().cloned());
                }
            }
        }
    }

    fn rules(&self, hook: Hook, operation: Operation, collection: &str) -> &[Bound] {
        let found = self.by_write.get(&(hook, operation)).and_then(|by_collection| by_collection.get(collection));
        match (found, hook) {
            (Some(rules), _) => rules,
            (None, Hook::BeforeWrite) => &self.before_any,
            (None, Hook::AfterCommit | Hook::Scheduled | Hook::Endpoint) => &[],
        }
    }
}

/// What is listed comes first, as it is listed; then the order that rules give themselves.
fn compare(listed: &[String], one: &Bound, other: &Bound) -> Ordering {
    let place = |bound: &Bound| {
        let name = bound.name();
        let listed = listed.iter().position(|listed| *listed == name).unwrap_or(usize::MAX);
        (listed, bound.declaration().map_or(0, |rule| rule.order))
    };
    place(one).cmp(&place(other))
}

#[cfg(test)]
mod tests;
