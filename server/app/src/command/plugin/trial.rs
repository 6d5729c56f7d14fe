//! `plugin test`: each fixture on a fresh database in memory, with the rule running as it would in a server.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use model::{
    Caller, Collection, Draft, NewRecord, Principal, Value,
    collection::Kind,
    principal::DEFAULT_TENANT,
    query::{LIMIT_MAX, List},
    validate,
    value::Object,
};
use plugins::{HostCall, Instances, Limits, Plugin, Refusal, Replayed, Runtime};
use serde_json::{Value as Json, json};

use super::{
    component,
    fixture::{Fixture, fits},
    project, read,
};
use crate::{
    App, Compiling, Error, bundle,
    call::Call,
    config::Config,
    plugins::{self as stories, Code, Granted},
    records::rules::{Detached, Tried, try_out},
};

/// What the file of the collections is, for somebody who has none.
const COLLECTIONS: &str = "it has the collections that the rules are about, \
     `{\"create\": [{\"name\": \"posts\", \"fields\": [{\"name\": \"title\", \"type\": \"text\"}]}]}` for instance; \
     `create` takes definitions as a server answers them to `GET /api/collections`, without `users`";

#[derive(Debug, Args)]
pub(in crate::command) struct Trial {
    /// The folder of the plugin, or its component or text.
    #[arg(default_value = ".")]
    place: PathBuf,
    /// Where the fixtures and `collections.json` are; the plugin's own unless given.
    #[arg(long)]
    fixtures: Option<PathBuf>,
    /// Fail when a run takes more instructions than this.
    #[arg(long)]
    limit_instructions: Option<u64>,
}

pub(super) async fn run(trial: &Trial) -> Result<(), Error> {
    let wasm = match trial.place.is_dir() {
        true => project::component_of(&trial.place).await?,
        false => component(&trial.place).await?,
    };
    let folder = match &trial.fixtures {
        Some(folder) => folder.clone(),
        None if trial.place.is_dir() => trial.place.clone(),
        None => trial.place.parent().map(Path::to_path_buf).unwrap_or_default(),
    };
    let collections = collections(&folder.join("collections.json"))?;
    let files = fixtures(&folder.join("tests"))?;
    let metered = Runtime::metered(Limits::default())?.load(wasm.clone()).await?;
    let bench = Bench { wasm, metered, collections, limit: trial.limit_instructions, folder: Scratch::new()? };
    let mut failed = 0;
    for file in &files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        match bench.check(&Fixture::read(file)?).await? {
            Report { differences, took } if differences.is_empty() => println!("ok      {name}  {took}"),
            Report { differences, took } => {
                failed += 1;
                println!("FAILED  {name}  {took}");
                differences.iter().for_each(|difference| println!("        {difference}"));
            }
        }
    }
    println!("{} fixtures, {failed} failed", files.len());
    if failed == 0 { Ok(()) } else { Err(Error::Command(format!("{failed} fixtures failed"))) }
}

/// The collections that the rules find, as a bundle has them.
fn collections(file: &Path) -> Result<String, Error> {
    if !file.exists() {
        return Err(Error::Command(format!("{}: there is no such file, and the tests need it: {COLLECTIONS}", file.display())));
    }
    Ok(String::from_utf8_lossy(&read(file)?).into_owned())
}

fn fixtures(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let nothing = |why: String| Error::Command(format!("{}: {why}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(|error| nothing(error.to_string()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    if files.is_empty() { Err(nothing("there are no fixtures".to_owned())) } else { Ok(files) }
}

/// What every fixture starts from.
struct Bench {
    wasm: Vec<u8>,
    /// The same where instructions are counted.
    metered: Plugin,
    collections: String,
    limit: Option<u64>,
    /// The databases are in memory; here the machine code is kept from one to the next.
    folder: Scratch,
}

struct Report {
    differences: Vec<String>,
    /// What the run took, for people.
    took: String,
}

impl Bench {
    async fn check(&self, fixture: &Fixture) -> Result<Report, Error> {
        let config = Config { data_dir: self.folder.0.clone(), database: "mem://".to_owned(), ..Config::default() };
        let app = App::open(config, Compiling::Child).await?;
        bundle::define_text(&Call::system(&app), &self.collections).await?;
        let installed = stories::install(&Call::system(&app), Code::Component(self.wasm.clone()), Granted::Wishes).await?;
        let name = installed.name().to_owned();
        if !fixture.settings.is_empty() {
            stories::set(&Call::system(&app), &name, fixture.settings.clone()).await?;
        }
        let call = at(asking(&app, fixture)?, fixture)?;
        seed(&call, fixture).await?;
        let installed = call.world.plugins.get(&name).cloned().ok_or_else(|| Error::Internal("the plugin is gone".to_owned()))?;
        let detached = Detached {
            installed,
            rule: fixture.rule.as_str().into(),
            hook: fixture.hook,
            operation: fixture.operation.clone(),
            collection: fixture.collection.clone(),
            id: fixture.id.clone().or_else(|| id_of(fixture)).unwrap_or_else(crate::records::next_id),
            before: fixture.before.as_ref().map(Json::to_string),
            after: fixture.subject(),
            context: object(&Json::Object(fixture.context.clone())),
        };
        let tried = try_out(&call, &detached).await?;
        let instructions = self.instructions(&tried).await;
        let mut differences = differences(&call, fixture, &tried).await?;
        if let (Some(limit), Some(took)) = (self.limit, instructions)
            && took > limit
        {
            differences.push(format!("took {took} instructions, the limit is {limit}"));
        }
        Ok(Report { differences, took: took(&tried, instructions) })
    }

    /// The same run once more where instructions are counted, with the answers that the host gave the first time.
    async fn instructions(&self, tried: &Tried) -> Option<u64> {
        let plugin = &self.metered;
        let transcript: Vec<HostCall> = tried.run.transcript.clone();
        let ground = ::plugins::Ground {
            grants: Arc::new(plugin.manifest().grants.clone()),
            settings: Arc::new(::plugins::recorded_settings(&transcript)),
            record: false,
        };
        let run = plugin.run(&Instances::default(), ground, Box::new(Replayed::new(transcript)), tried.event.clone()).await;
        run.fuel
    }
}

fn took(tried: &Tried, instructions: Option<u64>) -> String {
    let run = &tried.run;
    let instructions = instructions.map_or_else(String::new, |count| format!(", {count} instructions"));
    format!("{} us{instructions}, {} KiB, {} host calls", run.elapsed.as_micros(), run.memory_bytes >> 10, run.host_calls)
}

/// Gone with its files when the fixtures are done.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Error> {
        let folder = std::env::temp_dir().join(format!("ironrule-test-{}", ulid::Ulid::new()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn asking(app: &Arc<App>, fixture: &Fixture) -> Result<Call, Error> {
    let caller = match fixture.caller.as_deref() {
        None => Caller::system(),
        Some("anonymous") => Caller::anonymous(),
        Some(text) => {
            let principal: Principal =
                text.parse().map_err(|error: model::principal::UnknownPrincipal| Error::Command(format!("`caller`: {error}")))?;
            let own = fixture.records.get("users").into_iter().flatten().find(|user| user["id"].as_str() == principal.id());
            Caller::new(principal, DEFAULT_TENANT, own.map(|user| object(&Json::Object(user.clone()))).unwrap_or_default())
        }
    };
    Ok(Call::new(app, caller, "fixture"))
}

/// The same at the moment that the fixture says.
fn at(call: Call, fixture: &Fixture) -> Result<Call, Error> {
    let Some(text) = &fixture.now else { return Ok(call) };
    let now = model::time::canonical_datetime(text).ok_or_else(|| Error::Command(format!("`now`: `{text}` is no datetime")))?;
    let moment = now.parse().map_err(|error| Error::Internal(format!("{now}: {error}")))?;
    Ok(Call { now: now.into(), moment, ..call })
}

fn id_of(fixture: &Fixture) -> Option<String> {
    let record = fixture.before.as_ref().or(fixture.after.as_ref())?;
    Some(record["id"].as_str()?.to_owned())
}

fn object(json: &Json) -> Object {
    match Value::from_json(json.to_string().as_bytes()) {
        Ok(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

/// Writes the records of the fixture as they are: their rules and relations are nobody's business here.
async fn seed(call: &Call, fixture: &Fixture) -> Result<(), Error> {
    for (name, records) in &fixture.records {
        let collection = call.collection(name)?;
        for record in records {
            let new = new_record(call, &collection, record.clone().into())?;
            store::records::insert(&call.app.store, &collection, &new).await?;
        }
    }
    Ok(())
}

fn new_record(call: &Call, collection: &Collection, record: Json) -> Result<NewRecord, Error> {
    let mut draft = Draft { values: object(&record) };
    let id = draft.values.shift_remove("id").and_then(|id| id.as_text().map(str::to_owned)).unwrap_or_else(crate::records::next_id);
    for system in ["created", "updated"] {
        draft.values.shift_remove(system);
    }
    if collection.definition().kind == Kind::Auth {
        // A hash of nothing: nobody logs in with it.
        draft.values.entry("password".to_owned()).or_insert_with(|| Value::from("$argon2id$fixture"));
    }
    validate::fill_defaults(collection, &mut draft, None);
    let stamp = validate::Stamp { id, tenant: DEFAULT_TENANT.to_owned(), now: call.now.to_string(), caller: None };
    validate::create(collection, draft, stamp)
        .map_err(|violations| Error::Command(format!("a record of `{}`: {violations}", collection.name())))
}

/// What came out, in the words of fixtures.
fn outcome(tried: &Tried) -> Json {
    match &tried.run.result {
        Ok(outcome) => {
            let details: Json = serde_json::from_str(&outcome.details).unwrap_or_default();
            let patch = outcome.patch.as_deref().and_then(|patch| serde_json::from_str(patch).ok()).unwrap_or_else(|| json!({}));
            json!({ "patch": patch, "response": details["response"] })
        }
        Err(Refusal::Rejected(rejection)) => {
            json!({ "rejected": rejection.kind, "message": rejection.message, "violations": rejection.violations })
        }
        Err(Refusal::Failed(failure)) => json!({ "failed": failure.code, "message": failure.message, "stack": failure.stack }),
        Err(Refusal::Host(failure)) => json!({ "failed": "host", "message": failure.message }),
    }
}

async fn differences(call: &Call, fixture: &Fixture, tried: &Tried) -> Result<Vec<String>, Error> {
    let (expected, found) = (&fixture.expect, outcome(tried));
    let mut differences = Vec::new();
    let mut compare = |what: &str, wanted: Json| {
        if !fits(&wanted, &found[what]) {
            differences.push(format!("{what}: expected {wanted}, the rule answered {found}"));
        }
    };
    if let Some(patch) = &expected.patch {
        compare("patch", patch.clone());
    }
    if let Some(kind) = expected.rejected {
        compare("rejected", json!(kind));
    }
    if let Some(violations) = &expected.violations {
        compare("violations", json!(violations));
    }
    if let Some(code) = &expected.failed {
        compare("failed", json!(code));
    }
    if let Some(response) = &expected.response {
        compare("response", response.clone());
    }
    if expected.rejected.is_none() && expected.failed.is_none() && expected.violations.is_none() && tried.run.result.is_err() {
        differences.push(format!("expected the rule to accept, it answered {found}"));
    }
    if expected.patch.as_ref().is_some_and(|patch| *patch == json!({})) && found["patch"] != json!({}) {
        differences.push(format!("expected no patch, got {}", found["patch"]));
    }
    if let Some(effects) = &expected.effects {
        let found = effects_of(call).await?;
        if !fits(&json!(effects), &found) {
            differences.push(format!("effects: expected {}, found {found}", json!(effects)));
        }
    }
    for (name, wanted) in &expected.records {
        differences.extend(missing(call, name, wanted).await?);
    }
    Ok(differences)
}

async fn effects_of(call: &Call) -> Result<Json, Error> {
    let search = store::outbox::Search { limit: 1_000, ..store::outbox::Search::default() };
    let mut rows = store::outbox::list(&call.app.store, &search).await?;
    rows.retain(|delivery| matches!(delivery.row.kind.as_str(), "webhook" | "email" | "job"));
    rows.sort_by(|one, other| one.row.id.cmp(&other.row.id));
    let shown = rows.iter().map(|delivery| {
        let payload: Json = serde_json::from_str(&delivery.row.payload).unwrap_or_default();
        // The key as the rule gave it: the row has the plugin before it.
        let own = format!("{}:", delivery.row.plugin);
        let key = delivery.row.key.as_deref().map(|key| key.strip_prefix(&own).unwrap_or(key));
        json!({ "kind": delivery.row.kind, "rule": delivery.row.rule, "options": { "key": key }, "payload": payload })
    });
    Ok(shown.collect())
}

async fn missing(call: &Call, name: &str, wanted: &[Json]) -> Result<Vec<String>, Error> {
    let collection = call.collection(name)?;
    let ground = store::records::Ground { caller: &call.caller, now: &call.now, guards: &[] };
    let everything = List { limit: LIMIT_MAX, ..List::default() };
    let records = store::records::list(&call.app.store, &collection, ground, &everything).await?;
    let found: Vec<Json> = records.iter().filter_map(|record| serde_json::to_value(record.view(|_| true)).ok()).collect();
    if wanted.is_empty() && !found.is_empty() {
        return Ok(vec![format!("records of `{name}`: expected none, found {}", json!(found))]);
    }
    let lacking = wanted.iter().filter(|wanted| !found.iter().any(|found| fits(wanted, found)));
    Ok(lacking.map(|lacking| format!("records of `{name}`: {lacking} is not among {}", json!(found))).collect())
}
