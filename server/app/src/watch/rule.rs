//! What is known of one rule in one version: how often it ran, how that ended, how long it took, and the last few of what it said.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use plugins::{Refusal, RejectionKind, Run};
use serde::Serialize;

use super::{
    histogram::Histogram,
    kept::{Failed, Keep, Line, Numbered, Recorded, Ring, Source},
};

/// Log lines that are kept, and their bytes.
const LINES: (usize, usize) = (100, 128 << 10);

/// Failures that are kept, and their bytes.
const FAILURES: (usize, usize) = (20, 128 << 10);

/// Recorded runs that are kept, and their bytes: those that were refused or failed, and the others, which must not push them out.
const STOPPED_RUNS: (usize, usize) = (30, 512 << 10);
const OTHER_RUNS: (usize, usize) = (20, 256 << 10);

/// Transcripts that are made per second in the long run, and how many more at once. A rule that is called more often has no transcript of
/// some calls, and of none it takes longer for it.
const TRANSCRIPTS_PER_SECOND: f64 = 20.0;
const TRANSCRIPTS_AT_ONCE: f64 = 50.0;

/// Of the runs that were neither refused nor failed, the first is kept and then one in so many.
pub(super) const ONE_IN: u64 = 100;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ended {
    /// `accepted`, `changed`, `rejected`, `failed` or `aborted`.
    pub(super) outcome: &'static str,
    /// The kind of a rejection or the code of a failure.
    pub(super) code: Option<&'static str>,
}

impl Ended {
    pub(super) fn of(run: &Run) -> Self {
        let (outcome, code) = match &run.result {
            Ok(outcome) if outcome.patch.is_some() => ("changed", None),
            Ok(_) => ("accepted", None),
            Err(Refusal::Rejected(rejection)) => ("rejected", Some(kind(rejection.kind))),
            Err(Refusal::Failed(failure)) => ("failed", Some(failure.code)),
            // The transaction went away under a host call: a conflict, most likely, after which all is run again.
            Err(Refusal::Host(_)) => ("aborted", None),
        };
        Self { outcome, code }
    }

    pub(super) fn is_stopped(self) -> bool {
        matches!(self.outcome, "rejected" | "failed")
    }

    /// True for failures that are a limit of the server or of the manifest.
    fn is_limit(self) -> bool {
        let limits = ["plugin.timeout", "plugin.wall", "plugin.busy", "plugin.memory", "plugin.stack", "plugin.budget", "plugin.output"];
        self.outcome == "failed" && self.code.is_some_and(|code| limits.contains(&code))
    }
}

fn kind(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::Invalid => "invalid",
        RejectionKind::Conflict => "conflict",
        RejectionKind::Forbidden => "forbidden",
        RejectionKind::Retry => "retry",
    }
}

/// The numbers of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// By outcome and code.
    pub(super) outcomes: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) limits_hit: u64,
    /// The whole call, without waiting for a free slot.
    pub(super) total: Histogram,
    /// Of it, the guest's own computing.
    pub(super) guest: Histogram,
    /// Of it, the host calls.
    pub(super) host: Histogram,
    /// Of it, making the instance; only calls that needed a new one.
    pub(super) instantiate: Histogram,
    pub(super) host_calls: u64,
    pub(super) memory_max_bytes: usize,
    pub(super) log_lines: u64,
    pub(super) log_lines_dropped: u64,
    pub(super) last_call: Option<Arc<str>>,
}

impl Counters {
    fn note(&mut self, run: &Run, ended: Ended, at: &Arc<str>) {
        *self.outcomes.entry((ended.outcome, ended.code.unwrap_or_default())).or_default() += 1;
        self.limits_hit += u64::from(ended.is_limit());
        let instantiate = run.instantiate.unwrap_or_default();
        self.total.note(run.elapsed);
        self.guest.note(run.elapsed.saturating_sub(run.host).saturating_sub(instantiate));
        self.host.note(run.host);
        if run.instantiate.is_some() {
            self.instantiate.note(instantiate);
        }
        self.host_calls += u64::from(run.host_calls);
        self.memory_max_bytes = self.memory_max_bytes.max(run.memory_bytes);
        self.log_lines += run.logs.len() as u64;
        self.log_lines_dropped += run.logs_dropped;
        self.last_call = Some(Arc::clone(at));
    }

    /// How many runs ended like this; with any code if none is named.
    pub(super) fn count(&self, outcome: &str) -> u64 {
        self.outcomes.iter().filter(|((one, _), _)| *one == outcome).map(|(_, count)| count).sum()
    }

    /// The codes with which runs ended like this.
    pub(super) fn codes(&self, outcome: &str) -> BTreeMap<&'static str, u64> {
        let same = self.outcomes.iter().filter(|((one, _), _)| *one == outcome);
        same.map(|((_, code), count)| (*code, *count)).collect()
    }
}

/// One rule in one version.
pub(super) struct RuleWatch {
    pub(super) source: Arc<Source>,
    pub(super) counters: Counters,
    pub(super) lines: Ring<Line>,
    pub(super) failures: Ring<Failed>,
    stopped_runs: Ring<Recorded>,
    other_runs: Ring<Recorded>,
    allowance: (f64, Instant),
    /// Runs since the last one that was kept though it was neither refused nor failed.
    unkept: u64,
}

impl RuleWatch {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source: Arc::new(source),
            counters: Counters::default(),
            lines: Ring::new(LINES.0, LINES.1),
            failures: Ring::new(FAILURES.0, FAILURES.1),
            stopped_runs: Ring::new(STOPPED_RUNS.0, STOPPED_RUNS.1),
            other_runs: Ring::new(OTHER_RUNS.0, OTHER_RUNS.1),
            allowance: (TRANSCRIPTS_AT_ONCE, Instant::now()),
            unkept: ONE_IN,
        }
    }

    /// Whether the next run should come with a transcript. How it ends is not known yet.
    pub(super) fn wants_transcript(&mut self, now: Instant) -> bool {
        let (left, since) = self.allowance;
        let earned = now.saturating_duration_since(since).min(Duration::from_secs(60)).as_secs_f64() * TRANSCRIPTS_PER_SECOND;
        let left = (left + earned).min(TRANSCRIPTS_AT_ONCE);
        let wants = left >= 1.0;
        self.allowance = (if wants { left - 1.0 } else { left }, now);
        wants
    }

    /// Counts a run. True if it is one to be kept, given that it has a transcript: what a watched version says is why it is watched.
    pub(super) fn count(&mut self, run: &Run, ended: Ended, at: &Arc<str>, (recorded, shadow): (bool, bool)) -> bool {
        self.counters.note(run, ended, at);
        if shadow || ended.is_stopped() {
            return recorded;
        }
        self.unkept += 1;
        let keep = recorded && self.unkept >= ONE_IN;
        if keep {
            self.unkept = 0;
        }
        keep
    }

    /// Keeps what there is to be kept of a run.
    pub(super) fn keep(&mut self, keep: Keep, mut next: impl FnMut() -> u64) {
        for (bytes, line) in keep.lines {
            self.lines.push(next(), bytes, Arc::new(line));
        }
        if let Some((bytes, failure)) = keep.failure {
            self.failures.push(next(), bytes, Arc::new(failure));
        }
        if let Some((bytes, run)) = keep.run {
            let ring = if run.ended.is_stopped() { &mut self.stopped_runs } else { &mut self.other_runs };
            ring.push(next(), bytes, Arc::new(run));
        }
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = &Numbered<Recorded>> {
        self.stopped_runs.iter().chain(self.other_runs.iter())
    }

    /// Bytes of what is kept beside the numbers.
    pub(super) fn bytes(&self) -> usize {
        self.lines.bytes() + self.failures.bytes() + self.stopped_runs.bytes() + self.other_runs.bytes()
    }

    pub(super) fn forget(&mut self) {
        self.lines.clear();
        self.failures.clear();
        self.stopped_runs.clear();
        self.other_runs.clear();
    }
}
