//! What the rules of plugins did lately on this node: how often, how long, how it ended, what they logged, how they failed, and recorded runs
//! that can be looked at and run again. Kept in memory and within bounds, by the code that ran (`name@version#digest`), so that it outlives
//! changes of the world and is gone with the process.

mod histogram;

mod kept;

mod rule;

mod recorded;

mod metrics;

mod look;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use plugins::{Event, Run};
use tokio::sync::watch as channel;

use crate::{call::Call, plugins::Installed};
use kept::{Keep, Occasion, Source};
pub(crate) use look::{Look, failures, logs, metrics, run, runs, stats};
use rule::{Ended, RuleWatch};

/// Plugins of which something is known; the one that ran least lately is forgotten for one more.
const PLUGINS_MAX: usize = 100;

/// Versions of a plugin of which something is known, likewise.
const VERSIONS_MAX: usize = 4;

/// Bytes of log lines, failures and runs of all plugins together. Beyond, those of the plugin that ran least lately are forgotten.
const KEPT_MAX_BYTES: usize = 64 << 20;

/// A run that has just ended.
pub(crate) struct Observed<'a> {
    pub(crate) call: &'a Call,
    pub(crate) installed: &'a Installed,
    pub(crate) rule: &'a str,
    /// What the rule was asked, if the run has a transcript.
    pub(crate) event: Option<&'a Event>,
    pub(crate) run: &'a Run,
    /// True for a version that is only watched.
    pub(crate) shadow: bool,
}

/// What the rules of plugins did lately.
pub(crate) struct Watch {
    plugins: RwLock<HashMap<Arc<str>, Arc<PluginWatch>>>,
    /// The number of the next log line, failure or run. Begins with the time, so that whoever reads on after a restart misses nothing.
    next: AtomicU64,
    begun: Instant,
    /// True once nobody should wait for log lines any more.
    closed: channel::Sender<bool>,
}

/// One plugin.
struct PluginWatch {
    state: Mutex<State>,
    /// Told when there are new log lines.
    news: channel::Sender<()>,
    /// Milliseconds between the start and the last run.
    used: AtomicU64,
    /// Bytes that are kept beside the numbers.
    bytes: AtomicUsize,
}

#[derive(Default)]
struct State {
    versions: Vec<VersionWatch>,
}

/// One version: the code that a label names.
struct VersionWatch {
    label: String,
    used: u64,
    /// By name; the second ones are those that ran as a shadow.
    rules: [BTreeMap<String, RuleWatch>; 2],
}

impl Default for Watch {
    fn default() -> Self {
        let micros = u64::try_from(chrono::Utc::now().timestamp_micros()).unwrap_or_default();
        Self { plugins: RwLock::default(), next: AtomicU64::new(micros), begun: Instant::now(), closed: channel::Sender::new(false) }
    }
}

impl Watch {
    /// Whether the next run of this rule should come with a transcript: yes, up to a rate.
    pub(crate) fn wants_transcript(&self, label: &str, rule: &str, shadow: bool) -> bool {
        let plugin = self.plugin(name_of(label));
        let now = Instant::now();
        plugin.state().rule(label, rule, shadow, self.elapsed_ms()).wants_transcript(now)
    }

    /// Takes a run into account.
    pub(crate) fn note(&self, observed: &Observed<'_>) {
        let Observed { call, installed, rule, event, run, shadow } = *observed;
        let (label, now, ended) = (installed.label(), self.elapsed_ms(), Ended::of(run));
        let plugin = self.plugin(installed.name());
        plugin.used.store(now, Ordering::Relaxed);
        let (source, keep_run) = {
            let mut state = plugin.state();
            let watched = state.rule(&label, rule, shadow, now);
            let keep_run = watched.count(run, ended, &call.now, (event.is_some(), shadow));
            (Arc::clone(&watched.source), keep_run)
        };
        // Put together without the lock: most runs have nothing to be kept, and the others wait for nobody.
        let occasion = Occasion { at: Arc::clone(&call.now), request: Arc::clone(&call.id), source };
        let keep = Keep::of(&occasion, installed, event, run, keep_run.then_some(ended));
        if keep.is_nothing() {
            return;
        }
        let has_lines = !keep.lines.is_empty();
        {
            let mut state = plugin.state();
            // Numbered under the lock, so that whoever has read one number has seen all lower ones of this plugin.
            state.rule(&label, rule, shadow, now).keep(keep, || self.next.fetch_add(1, Ordering::Relaxed));
            plugin.bytes.store(state.bytes(), Ordering::Relaxed);
        }
        if has_lines {
            plugin.news.send_replace(());
        }
        self.make_room();
    }

    /// Ends the waiting for log lines, so that nobody keeps the server from stopping.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What is known of a plugin; begun if there is nothing yet.
    fn plugin(&self, name: &str) -> Arc<PluginWatch> {
        if let Some(known) = self.known(name) {
            return known;
        }
        let mut plugins = self.plugins.write().unwrap_or_else(PoisonError::into_inner);
        if plugins.len() >= PLUGINS_MAX && !plugins.contains_key(name) {
            let idle = plugins.iter().min_by_key(|(_, plugin)| plugin.used.load(Ordering::Relaxed)).map(|(name, _)| Arc::clone(name));
            idle.map(|name| plugins.remove(&name));
        }
        Arc::clone(plugins.entry(name.into()).or_insert_with(|| Arc::new(PluginWatch::new(self.elapsed_ms()))))
    }

    fn known(&self, name: &str) -> Option<Arc<PluginWatch>> {
        self.plugins.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Everything by name.
    fn all(&self) -> BTreeMap<Arc<str>, Arc<PluginWatch>> {
        let plugins = self.plugins.read().unwrap_or_else(PoisonError::into_inner);
        plugins.iter().map(|(name, plugin)| (Arc::clone(name), Arc::clone(plugin))).collect()
    }

    /// Forgets what was kept of the plugin that ran least lately, until the rest is within bounds.
    fn make_room(&self) {
        let kept = |plugin: &Arc<PluginWatch>| plugin.bytes.load(Ordering::Relaxed);
        let sum = || self.plugins.read().unwrap_or_else(PoisonError::into_inner).values().map(kept).sum::<usize>();
        while sum() > KEPT_MAX_BYTES {
            let idle = self.all().into_values().filter(|plugin| kept(plugin) > 0).min_by_key(|plugin| plugin.used.load(Ordering::Relaxed));
            let Some(idle) = idle else { return };
            let mut state = idle.state();
            state.rules_mut().for_each(RuleWatch::forget);
            idle.bytes.store(0, Ordering::Relaxed);
        }
    }
}

impl PluginWatch {
    fn new(now: u64) -> Self {
        Self { state: Mutex::default(), news: channel::Sender::new(()), used: AtomicU64::new(now), bytes: AtomicUsize::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is known of a rule; begun if there is nothing yet.
    fn rule(&mut self, label: &str, rule: &str, shadow: bool, now: u64) -> &mut RuleWatch {
        let found = self.versions.iter().position(|version| version.label == label);
        let index = found.unwrap_or_else(|| {
            if self.versions.len() >= VERSIONS_MAX {
                let idle = (0..self.versions.len()).min_by_key(|index| self.versions[*index].used);
                idle.map(|index| self.versions.remove(index));
            }
            self.versions.push(VersionWatch { label: label.to_owned(), used: now, rules: Default::default() });
            self.versions.len() - 1
        });
        let version = &mut self.versions[index];
        version.used = now;
        let rules = &mut version.rules[usize::from(shadow)];
        // Not `entry`, which would want a name of its own for every run.
        if !rules.contains_key(rule) {
            rules.insert(rule.to_owned(), RuleWatch::new(source(label, rule, shadow)));
        }
        // INVARIANT: it was there, or has just been put there.
        rules.get_mut(rule).expect("a rule that is known")
    }

    fn rules(&self) -> impl Iterator<Item = &RuleWatch> {
        self.versions.iter().flat_map(|version| version.rules.iter().flat_map(BTreeMap::values))
    }

    fn rules_mut(&mut self) -> impl Iterator<Item = &mut RuleWatch> {
        self.versions.iter_mut().flat_map(|version| version.rules.iter_mut().flat_map(BTreeMap::values_mut))
    }

    fn bytes(&self) -> usize {
        self.rules().map(RuleWatch::bytes).sum()
    }
}

/// The parts of a label, `name@version#digest`. The version is the plugin's own text and may hold either sign.
fn source(label: &str, rule: &str, shadow: bool) -> Source {
    let (code, digest) = label.rsplit_once('#').unwrap_or((label, ""));
    let version = code.split_once('@').map_or("", |(_, version)| version);
    let mode = if shadow { "shadow" } else { "active" };
    Source { version: version.to_owned(), digest: digest.to_owned(), rule: rule.to_owned(), mode }
}

fn name_of(label: &str) -> &str {
    label.split_once('@').map_or(label, |(name, _)| name)
}
