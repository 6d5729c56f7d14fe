//! `/api/plugins/{name}/stats`, `/logs`, `/failures`, `/runs`, and `/metrics`: what the rules of plugins did lately on this node.

use std::collections::HashMap;

use poem::{Endpoint, Request, Response};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    types::Any,
};

use super::{payload::Reply, system, visitor};
use crate::{
    call::Call,
    watch::{self as stories, Look},
};

pub(super) struct WatchApi;

/// The numbers of a plugin on this node, since it started.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PluginStats {
    plugin: String,
    rules: Vec<RuleStats>,
}

/// The numbers of one rule in one version.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct RuleStats {
    version: String,
    /// The beginning of the digest of the component.
    digest: String,
    rule: String,
    /// `active`, or `shadow` for a version that is only watched.
    mode: String,
    calls: u64,
    outcomes: RuleOutcomes,
    /// Calls that a limit ended.
    limits_hit: u64,
    latency_us: RuleLatency,
    /// Calls that the rule made to the host.
    host_calls: u64,
    /// The largest memory of a call.
    memory_max_bytes: u64,
    log_lines: u64,
    /// Lines beyond the limit of a call.
    log_lines_dropped: u64,
    /// When it ran last.
    last_call: Option<String>,
}

/// How calls ended.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct RuleOutcomes {
    accepted: u64,
    /// Accepted with a patch.
    changed: u64,
    /// By kind: `invalid`, `conflict`, `forbidden`, `retry`.
    rejected: HashMap<String, u64>,
    /// By code, such as `plugin.timeout`.
    failed: HashMap<String, u64>,
    /// The transaction went away under the rule, most often to be run again.
    aborted: u64,
}

/// Where the time went, in microseconds.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct RuleLatency {
    /// The whole call, without waiting for a free slot.
    total: LatencySummary,
    /// The rule's own computing.
    guest: LatencySummary,
    /// Calls to the host, the database included.
    host: LatencySummary,
    /// Making the instance; only calls that needed a new one.
    instantiate: LatencySummary,
}

/// Microseconds. Quantiles are at most an eighth too high.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct LatencySummary {
    count: u64,
    mean: u64,
    p50: u64,
    p95: u64,
    p99: u64,
    max: u64,
}

/// Log lines in the order in which they were written.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PluginLogs {
    lines: Vec<PluginLogLine>,
    /// What `after` is next.
    last: u64,
}

/// A line of a rule's log.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PluginLogLine {
    seq: u64,
    at: String,
    /// The id of the request.
    request: String,
    version: String,
    digest: String,
    rule: String,
    /// `active` or `shadow`.
    mode: String,
    /// `debug`, `info`, `warn` or `error`.
    level: String,
    message: String,
    fields: Any<serde_json::Value>,
}

/// A run that gave no answer that counts.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PluginFailureEntry {
    seq: u64,
    at: String,
    /// The id of the request.
    request: String,
    version: String,
    digest: String,
    rule: String,
    /// `active` or `shadow`.
    mode: String,
    /// Like what follows it, only when the run was recorded.
    hook: Option<String>,
    operation: Option<String>,
    collection: Option<String>,
    record: Option<String>,
    /// Such as `plugin.trap`.
    code: String,
    message: String,
    /// Where in the plugin.
    stack: Option<String>,
}

/// A recorded run.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PluginRun {
    /// Its id.
    seq: u64,
    at: String,
    /// The id of the request.
    request: String,
    version: String,
    digest: String,
    rule: String,
    /// `active` or `shadow`.
    mode: String,
    hook: Option<String>,
    operation: Option<String>,
    collection: Option<String>,
    record: Option<String>,
    /// `accepted`, `changed`, `rejected`, `failed` or `aborted`.
    outcome: String,
    /// The kind of a rejection or the code of a failure.
    code: Option<String>,
    elapsed_us: u64,
    /// Secret settings were taken out.
    redacted: bool,
    /// It was too long to be kept whole.
    truncated: bool,
    /// What the rule was asked. Like all that follows, only of a single run, and null where it was too long.
    event: Option<Any<serde_json::Value>>,
    /// The host calls with their answers, as JSON texts: `{"call", "input", "output"}`.
    transcript: Option<Vec<Any<serde_json::Value>>>,
    /// One of `{"outcome"}`, `{"rejected"}`, `{"failed"}`, `{"aborted"}`.
    result: Option<Any<serde_json::Value>>,
    logs: Option<Vec<Any<serde_json::Value>>>,
    host_us: Option<u64>,
    instantiate_us: Option<u64>,
    host_calls: Option<u32>,
    memory_bytes: Option<u64>,
    fuel: Option<u64>,
}

#[OpenApi(prefix_path = "/plugins")]
impl WatchApi {
    /// See how often the rules of a plugin ran, how that ended and how long it took, on this node since it started.
    #[oai(path = "/:name/stats", method = "get", operation_id = "plugins_stats")]
    async fn stats(&self, call: Call, name: Path<String>) -> poem::Result<Reply<PluginStats>> {
        Ok(Reply::new(&stories::stats(&call, &name.0)?)?)
    }

    /// See what the rules of a plugin logged lately. With `after` and `wait` it can be followed.
    #[oai(path = "/:name/logs", method = "get", operation_id = "plugins_logs")]
    async fn logs(
        &self,
        call: Call,
        name: Path<String>,
        /// Only lines after this `seq`; without it the newest ones.
        after: Query<Option<u64>>,
        /// The most lines of the answer, at most 1000. 100 if it is not said.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
        /// Seconds to wait for a line if there is none, at most 20.
        #[oai(validator(maximum(value = "20")))]
        wait: Query<Option<u32>>,
    ) -> poem::Result<Reply<PluginLogs>> {
        let look = Look { after: after.0, limit: limit.0.map(|limit| limit as usize), wait: wait.0.map(u64::from) };
        Ok(Reply::new(&stories::logs(&call, &name.0, look).await?)?)
    }

    /// See how the rules of a plugin failed lately, the newest first.
    #[oai(path = "/:name/failures", method = "get", operation_id = "plugins_failures")]
    async fn failures(&self, call: Call, name: Path<String>) -> poem::Result<Reply<Vec<PluginFailureEntry>>> {
        Ok(Reply::new(&stories::failures(&call, &name.0)?)?)
    }

    /// See which runs of a plugin were recorded, the newest first: those that were refused or failed, and one of many others.
    #[oai(path = "/:name/runs", method = "get", operation_id = "plugins_runs")]
    async fn runs(&self, call: Call, name: Path<String>) -> poem::Result<Reply<Vec<PluginRun>>> {
        Ok(Reply::new(&stories::runs(&call, &name.0)?)?)
    }

    /// See a recorded run: what the rule was asked, what it asked the host, and what it said.
    #[oai(path = "/:name/runs/:id", method = "get", operation_id = "plugins_run")]
    async fn run(&self, call: Call, name: Path<String>, id: Path<String>) -> poem::Result<Reply<PluginRun>> {
        Ok(Reply::new(&stories::run(&call, &name.0, &id.0)?)?)
    }
}

/// `/metrics`: everything that is counted, for a monitor.
pub(super) struct Metrics;

impl Endpoint for Metrics {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        system::only_get(&request)?;
        let call = visitor::call(&request).await?;
        let page = stories::metrics(&call)?;
        Ok(Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(page))
    }
}
