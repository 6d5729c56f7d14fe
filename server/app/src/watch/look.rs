//! The stories of looking at what rules did. Numbers are for whoever may read `_plugins`; log lines, failures and runs show parts of records,
//! so they are for whoever may read `_logs`; all numbers at once for a monitor, with `_metrics`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use model::Action;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    PluginWatch,
    histogram::Histogram,
    kept::{Failed, Line, Numbered, Recorded, Source},
    metrics::{self, Series},
    rule::{Counters, RuleWatch},
};
use crate::{Error, call::Call, plugins::OBJECT};

/// The object of policies about what is logged.
const LOGS: &str = "_logs";

/// The object of policies about metrics.
const METRICS: &str = "_metrics";

/// The longest that somebody waits for log lines.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// The log lines of one answer.
const LINES_DEFAULT: usize = 100;
const LINES_MAX: usize = 1_000;

/// The numbers of a plugin.
#[derive(Serialize)]
pub(crate) struct Stats {
    plugin: String,
    rules: Vec<RuleStats>,
}

#[derive(Serialize)]
struct RuleStats {
    #[serde(flatten)]
    source: Arc<Source>,
    calls: u64,
    outcomes: Outcomes,
    limits_hit: u64,
    latency_us: Latency,
    host_calls: u64,
    memory_max_bytes: usize,
    log_lines: u64,
    log_lines_dropped: u64,
    last_call: Option<Arc<str>>,
}

#[derive(Serialize)]
struct Outcomes {
    accepted: u64,
    changed: u64,
    rejected: BTreeMap<&'static str, u64>,
    failed: BTreeMap<&'static str, u64>,
    aborted: u64,
}

#[derive(Serialize)]
struct Latency {
    total: Summary,
    guest: Summary,
    host: Summary,
    instantiate: Summary,
}

#[derive(Serialize)]
struct Summary {
    count: u64,
    mean: u64,
    p50: u64,
    p95: u64,
    p99: u64,
    max: u64,
}

/// Which log lines somebody wants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Those with a higher number; the newest ones if it is not said.
    pub(crate) after: Option<u64>,
    pub(crate) limit: Option<usize>,
    /// Seconds to wait for some if there are none.
    pub(crate) wait: Option<u64>,
}

/// Log lines in the order in which they were written.
#[derive(Serialize)]
pub(crate) struct Lines {
    lines: Vec<Numbered<Line>>,
    /// What `after` is next.
    last: u64,
}

/// A recorded run with everything that is known of it.
#[derive(Serialize)]
pub(crate) struct Whole {
    #[serde(flatten)]
    run: Numbered<Recorded>,
    /// The event, the transcript and so on, digit for digit.
    #[serde(flatten)]
    detail: BTreeMap<String, Box<RawValue>>,
}

/// How often the rules of a plugin ran, how that ended, and how long it took.
///
/// # Errors
/// The policies, or no such plugin.
pub(crate) fn stats(call: &Call, name: &str) -> Result<Stats, Error> {
    call.authorize(Action::Read, OBJECT)?;
    let plugin = plugin(call, name)?;
    let rules = plugin.state().rules().map(|rule| (Arc::clone(&rule.source), rule.counters.clone())).collect::<Vec<_>>();
    let rules = rules.into_iter().map(|(source, counters)| RuleStats::of(source, &counters)).collect();
    Ok(Stats { plugin: name.to_owned(), rules })
}

/// What the rules of a plugin logged. Waits for it if asked to.
///
/// # Errors
/// The policies, or no such plugin.
pub(crate) async fn logs(call: &Call, name: &str, look: Look) -> Result<Lines, Error> {
    call.authorize(Action::Read, LOGS)?;
    let plugin = plugin(call, name)?;
    let (mut news, mut closed) = (plugin.news.subscribe(), call.app.watch.closed.subscribe());
    let wait = Duration::from_secs(look.wait.unwrap_or_default()).min(WAIT_MAX);
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        news.mark_unchanged();
        let found = lines(&plugin, look);
        let over = !found.lines.is_empty() || *closed.borrow_and_update();
        if over || tokio::time::Instant::now() >= deadline {
            return Ok(found);
        }
        tokio::select! {
            _ = news.changed() => {}
            _ = closed.changed() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

/// The last failures of a plugin, the newest first.
///
/// # Errors
/// The policies, or no such plugin.
pub(crate) fn failures(call: &Call, name: &str) -> Result<Vec<Numbered<Failed>>, Error> {
    call.authorize(Action::Read, LOGS)?;
    Ok(newest_first(&*plugin(call, name)?, |rule| rule.failures.iter().cloned().collect()))
}

/// The recorded runs of a plugin, the newest first, without what they were asked and answered.
///
/// # Errors
/// The policies, or no such plugin.
pub(crate) fn runs(call: &Call, name: &str) -> Result<Vec<Numbered<Recorded>>, Error> {
    call.authorize(Action::Read, LOGS)?;
    Ok(newest_first(&*plugin(call, name)?, |rule| rule.runs().cloned().collect()))
}

/// A recorded run.
///
/// # Errors
/// The policies, or no such plugin or run.
pub(crate) fn run(call: &Call, name: &str, id: &str) -> Result<Whole, Error> {
    call.authorize(Action::Read, LOGS)?;
    let plugin = plugin(call, name)?;
    let seq = id.parse::<u64>().ok();
    let found = plugin.state().rules().flat_map(RuleWatch::runs).find(|run| Some(run.seq) == seq).cloned();
    let run = found.ok_or_else(|| Error::NotFound { kind: "run", name: id.to_owned() })?;
    // What was not kept at all is null.
    let detail: Option<BTreeMap<String, Box<RawValue>>> =
        serde_json::from_str(run.item.detail.get()).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Whole { detail: detail.unwrap_or_default(), run })
}

/// All numbers, in the text format of Prometheus.
///
/// # Errors
/// The policies.
pub(crate) fn metrics(call: &Call) -> Result<String, Error> {
    call.authorize(Action::Read, METRICS)?;
    let mut series = Vec::new();
    for (name, plugin) in call.app.watch.all() {
        let of = |rule: &RuleWatch| Series { plugin: name.to_string(), source: Arc::clone(&rule.source), counters: rule.counters.clone() };
        series.extend(plugin.state().rules().map(of));
    }
    Ok(metrics::render(&series, call.world.version))
}

/// What is known of a plugin that is installed, or that was and ran.
fn plugin(call: &Call, name: &str) -> Result<Arc<PluginWatch>, Error> {
    let watch = &call.app.watch;
    if let Some(known) = watch.known(name) {
        return Ok(known);
    }
    match call.world.plugins.entry(name) {
        Some(_) => Ok(watch.plugin(name)),
        None => Err(Error::NotFound { kind: "plugin", name: name.to_owned() }),
    }
}

fn lines(plugin: &PluginWatch, look: Look) -> Lines {
    let limit = look.limit.unwrap_or(LINES_DEFAULT).clamp(1, LINES_MAX);
    let after = look.after.unwrap_or_default();
    let state = plugin.state();
    let mut lines: Vec<_> = state.rules().flat_map(|rule| rule.lines.iter()).filter(|line| line.seq > after).cloned().collect();
    drop(state);
    lines.sort_unstable_by_key(|line| line.seq);
    match look.after {
        Some(_) => lines.truncate(limit),
        None => drop(lines.drain(..lines.len().saturating_sub(limit))),
    }
    Lines { last: lines.last().map_or(after, |line| line.seq), lines }
}

fn newest_first<T>(plugin: &PluginWatch, of: impl Fn(&RuleWatch) -> Vec<Numbered<T>>) -> Vec<Numbered<T>> {
    let mut found: Vec<Numbered<T>> = plugin.state().rules().flat_map(of).collect();
    found.sort_unstable_by_key(|one| std::cmp::Reverse(one.seq));
    found
}

impl RuleStats {
    fn of(source: Arc<Source>, counters: &Counters) -> Self {
        let Counters { total, guest, host, instantiate, .. } = counters;
        Self {
            source,
            calls: total.count(),
            outcomes: Outcomes {
                accepted: counters.count("accepted"),
                changed: counters.count("changed"),
                rejected: counters.codes("rejected"),
                failed: counters.codes("failed"),
                aborted: counters.count("aborted"),
            },
            limits_hit: counters.limits_hit,
            latency_us: Latency { total: total.into(), guest: guest.into(), host: host.into(), instantiate: instantiate.into() },
            host_calls: counters.host_calls,
            memory_max_bytes: counters.memory_max_bytes,
            log_lines: counters.log_lines,
            log_lines_dropped: counters.log_lines_dropped,
            last_call: counters.last_call.clone(),
        }
    }
}

impl From<&Histogram> for Summary {
    fn from(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count(),
            mean: histogram.mean_us(),
            p50: histogram.quantile_us(0.5),
            p95: histogram.quantile_us(0.95),
            p99: histogram.quantile_us(0.99),
            max: histogram.max_us(),
        }
    }
}
