//! `ironrule policy ...`: explain a decision, run the tests of policies, look for oddities.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::{Action, Value, value::Object};
use policies::{Finding, Severity};
use serde_json::Value as Json;

use crate::{
    App, Error,
    call::Call,
    config::{Config, Overrides},
    policies::{
        explain::{self, Question},
        folder::Folder,
    },
    world::Compiling,
};

/// Prints a line; a reader that has gone away (`| head`) is no fault.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($part)*);
    }};
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say why somebody may, or may not, do something.
    Explain(Box<Explain>),
    /// Run the tests (`*.test.toml`, `*.test.json`) that stand beside policies, and say which policies they cover.
    Test(Place),
    /// Look for policies that are probably not meant so.
    Lint(Place),
}

/// Where the policies are.
#[derive(Args, Debug)]
pub struct Place {
    /// A folder with `*.csv`, `collections.json` and tests; without it the data directory, while the server is stopped.
    folder: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// A question and whom to ask.
#[derive(Args, Debug)]
pub struct Explain {
    /// `anonymous`, `user:ID`, `user:EMAIL` or `service:ID`.
    #[arg(long = "as", value_name = "PRINCIPAL")]
    principal: String,
    /// `create`, `read`, `update` or `delete`.
    #[arg(value_parser = action)]
    action: Action,
    /// `COLLECTION`, `COLLECTION/ID`, or a system object such as `_policies`.
    target: String,
    /// The tenant in which.
    #[arg(long)]
    tenant: Option<String>,
    /// A record that need not be stored, as JSON.
    #[arg(long, value_parser = object)]
    record: Option<Object>,
    /// What an update would change, as JSON.
    #[arg(long, value_parser = object)]
    change: Option<Object>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The address of a running server; without it the data directory is opened, while the server is stopped.
    #[arg(long, conflicts_with_all = ["data_dir", "database"])]
    url: Option<String>,
    /// The access token of somebody who may read policies.
    #[arg(long, requires = "url", env = "IRONRULE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
}

fn action(text: &str) -> Result<Action, String> {
    Action::ALL.into_iter().find(|action| action.name() == text).ok_or_else(|| "write create, read, update or delete".to_owned())
}

fn object(text: &str) -> Result<Object, String> {
    match Value::from_json(text.as_bytes()) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("expected a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs a command.
///
/// # Errors
/// What kept it from being done; also tests that fail and oddities that are errors, so that builds stop.
pub async fn run(command: &PolicyCommand, load: impl Fn(&Overrides) -> Result<Config, Error>) -> Result<(), Error> {
    match command {
        PolicyCommand::Explain(explain) => run_explain(explain, load).await,
        PolicyCommand::Test(place) => test(&folder(place, load).await?, place.json),
        PolicyCommand::Lint(place) => lint(&folder(place, load).await?, place.json),
    }
}

async fn folder(place: &Place, load: impl Fn(&Overrides) -> Result<Config, Error>) -> Result<Folder, Error> {
    match &place.folder {
        Some(folder) => Folder::read(folder),
        None => Folder::of(&*App::open(load(&place.overrides)?, Compiling::Here).await?),
    }
}

fn test(folder: &Folder, json: bool) -> Result<(), Error> {
    let report = folder.test();
    let failed = report.results.iter().filter(|result| !result.passed).count();
    if json {
        say!("{}", in_json(&report)?);
    } else {
        for result in report.results.iter().filter(|result| !result.passed) {
            say!("FAILED {} in {}\n  {}", result.name, result.file, result.message.as_deref().unwrap_or_default());
        }
        for policy in &report.coverage.uncovered {
            say!("untested {}: {}", policy.source, policy.text);
        }
        let (tests, coverage) = (report.results.len(), &report.coverage);
        say!("{tests} policy tests, {failed} failed; {} of {} policies are covered by tests", coverage.covered, coverage.policies);
    }
    if failed == 0 { Ok(()) } else { Err(Error::Command(format!("{failed} policy tests failed"))) }
}

fn lint(folder: &Folder, json: bool) -> Result<(), Error> {
    let findings = folder.lint();
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    let errors = findings.iter().filter(|finding| is_error(finding)).count();
    if json {
        say!("{}", in_json(&findings)?);
    } else {
        for finding in &findings {
            let place = finding.source.as_deref().unwrap_or("policies");
            let column = finding.column.map(|column| format!("{column}: ")).unwrap_or_default();
            let position = finding.position.map(|position| format!(" at character {position}")).unwrap_or_default();
            let severity = if is_error(finding) { "error" } else { "warning" };
            say!("{place}: {severity}: {column}{}{position} [{}]", finding.message, finding.code);
        }
        say!("{} findings, {errors} of them errors", findings.len());
    }
    if errors == 0 { Ok(()) } else { Err(Error::Command(format!("{errors} errors in the policies"))) }
}

fn in_json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string_pretty(value).map_err(|error| Error::Internal(error.to_string()))
}

async fn run_explain(explain: &Explain, load: impl Fn(&Overrides) -> Result<Config, Error>) -> Result<(), Error> {
    let (object, id) = explain.target.split_once('/').map_or((explain.target.as_str(), None), |(object, id)| (object, Some(id)));
    let question = Question {
        principal: Some(explain.principal.clone()),
        tenant: explain.tenant.clone(),
        action: explain.action,
        object: object.to_owned(),
        id: id.map(str::to_owned),
        record: explain.record.clone(),
        change: explain.change.clone(),
    };
    let answer = match &explain.url {
        Some(url) => remotely(url, explain.token.as_deref(), &question).await?,
        None => {
            let app = App::open(load(&explain.overrides)?, Compiling::Here).await?;
            let answer = explain::explain(&Call::system(&app), &question).await?;
            serde_json::to_value(&answer).map_err(|error| Error::Internal(error.to_string()))?
        }
    };
    if explain.json {
        say!("{}", in_json(&answer)?);
    } else {
        say!("{}", told(&answer));
    }
    Ok(())
}

async fn remotely(url: &str, token: Option<&str>, question: &Question) -> Result<Json, Error> {
    let failed = |error: reqwest::Error| Error::Command(format!("cannot reach the server: {error}"));
    let url = format!("{}/api/policies/explain", url.trim_end_matches('/'));
    let mut request = reqwest::Client::new().post(url).json(question);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.map_err(failed)?;
    let (status, text) = (answer.status(), answer.text().await.map_err(failed)?);
    if !status.is_success() {
        return Err(Error::Command(format!("the server refused: {text}")));
    }
    serde_json::from_str(&text).map_err(|error| Error::Command(format!("the server answered no JSON: {error}")))
}

/// An explanation for people.
fn told(answer: &Json) -> String {
    let mut lines = about(answer);
    if !answer["result"].is_null() {
        lines.push("the record as it would be then:".to_owned());
        lines.extend(about(&answer["result"]).into_iter().map(|line| format!("  {line}")));
    }
    if !answer["filter"].is_null() {
        let text = answer["filter"]["text"].as_str().unwrap_or("(the database is not asked)");
        lines.push(format!("a list asks: {text}"));
        lines.push(format!("       with: {}", answer["filter"]["parameters"]));
    }
    lines.join("\n")
}

fn about(explanation: &Json) -> Vec<String> {
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |value: &Json| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ");
    let each = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let mut lines = vec![format!(
        "{} may {} {} in {}: {} ({})",
        text(&explanation["principal"]),
        text(&explanation["action"]),
        text(&explanation["object"]),
        text(&explanation["tenant"]),
        text(&explanation["decision"]).to_uppercase(),
        text(&explanation["reason"]),
    )];
    if let Some(source) = explanation["policy"]["source"].as_str() {
        lines.push(format!("decided by {source} ({})", text(&explanation["policy"]["id"])));
    }
    for role in each(&explanation["roles"]) {
        let steps = each(&role["via"]);
        let steps = steps.iter().map(|step| match step["source"].as_str() {
            Some(source) => format!("{} ({source})", text(&step["subject"])),
            None => text(&step["subject"]),
        });
        lines.push(format!("role: {}", steps.collect::<Vec<_>>().join(" -> ")));
    }
    for policy in each(&explanation["policies"]) {
        let condition = policy["condition"].as_str().filter(|text| !text.is_empty()).unwrap_or("(always)");
        let result = if policy["result"].is_null() { "depends".to_owned() } else { text(&policy["result"]) };
        lines.push(format!(
            "{} {}: {} [{}] {condition}: {result}",
            text(&policy["effect"]),
            text(&policy["source"]),
            text(&policy["subject"]),
            text(&policy["fields"])
        ));
        for doubt in each(&policy["doubts"]) {
            lines.push(format!("  {} is {}", text(&doubt["path"]), text(&doubt["found"])));
        }
        if let Some(ignored) = policy["ignored"].as_str() {
            lines.push(format!("  ignored: {ignored}"));
        }
    }
    lines.push(format!("fields: {}", list(&explanation["fields"]["allowed"])));
    lines.push(format!("not: {}", list(&explanation["fields"]["denied"])));
    for near in each(&explanation["nearest"]) {
        let misses = each(&near["misses"]).iter().map(text).collect::<Vec<_>>().join("; ");
        lines.push(format!("nearly: {}: {misses}", text(&near["policy"]["source"])));
    }
    lines
}
