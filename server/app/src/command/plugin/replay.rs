//! `plugin replay`: a run that a server recorded, once more, with the answers that the host gave then.

use std::{path::Path, sync::Arc};

use plugins::{Compiler, Event, Ground, HostCall, Instances, Limits, Refusal, Replayed, Runtime, recorded_settings};
use serde::Deserialize;
use serde_json::{Value as Json, json, value::RawValue};

use super::{component, failed, read};
use crate::Error;

/// The parts of a recorded run that matter here.
#[derive(Deserialize)]
struct Recorded {
    event: Asked,
    transcript: Vec<HostCall>,
    result: Json,
    #[serde(default)]
    redacted: bool,
}

#[derive(Deserialize)]
struct Asked {
    rule: String,
    hook: plugins::Hook,
    operation: String,
    collection: String,
    id: String,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    context: Box<RawValue>,
    now_ms: u64,
    /// As text, because it is beyond what JSON numbers hold everywhere.
    seed: String,
    depth: usize,
}

impl Asked {
    fn event(self) -> Result<Event, Error> {
        let text = |json: Option<Box<RawValue>>| json.map(|json| json.get().to_owned());
        Ok(Event {
            rule: self.rule,
            hook: self.hook,
            operation: self.operation,
            collection: self.collection,
            id: self.id,
            before: text(self.before),
            after: text(self.after),
            context: self.context.get().to_owned(),
            now_ms: self.now_ms,
            seed: self.seed.parse().map_err(|error| Error::Command(format!("`seed`: {error}")))?,
            depth: self.depth,
        })
    }
}

pub(super) async fn run(run: &Path, file: &Path) -> Result<(), Error> {
    let unreadable = |error: serde_json::Error| Error::Command(format!("{} is no recorded run: {error}", run.display()));
    let recorded: Recorded = serde_json::from_slice(&read(run)?).map_err(unreadable)?;
    let plugin = Runtime::new(Limits::default(), Compiler::here())?.load(component(file).await?).await.map_err(failed)?;
    let settings = recorded_settings(&recorded.transcript);
    let ground = Ground { grants: Arc::new(plugin.manifest().grants.clone()), settings: Arc::new(settings), record: false };
    let records = Replayed::new(recorded.transcript);
    let again = plugin.run(&Instances::default(), ground, Box::new(records), recorded.event.event()?).await;
    for line in &again.logs {
        println!("{:?} {}", line.level, line.message);
    }
    let (then, now) = (essence(&recorded.result), said(&again.result));
    println!("then  {then}\nnow   {now}");
    if recorded.redacted {
        println!("secret settings were taken out of the record: what depends on them may differ");
    }
    match then == now {
        true => Ok(()),
        false => Err(Error::Command("the run came out differently".to_owned())),
    }
}

/// What two runs must agree in: not in words for people, which may be mended.
fn essence(result: &Json) -> Json {
    let codes =
        |violations: &Json| violations.as_array().into_iter().flatten().map(|one| json!([one["path"], one["code"]])).collect::<Json>();
    match result.as_object().and_then(|result| result.iter().next()) {
        Some((kind, said)) if kind == "outcome" => json!({ "outcome": said["patch"] }),
        Some((kind, said)) if kind == "rejected" => json!({ "rejected": [said["kind"], codes(&said["violations"])] }),
        Some((kind, said)) => json!({ kind: said["code"] }),
        None => result.clone(),
    }
}

fn said(result: &Result<plugins::Outcome, Refusal>) -> Json {
    essence(&match result {
        Ok(outcome) => {
            let patch: Json = outcome.patch.as_deref().and_then(|patch| serde_json::from_str(patch).ok()).unwrap_or_default();
            json!({ "outcome": { "patch": patch } })
        }
        Err(Refusal::Rejected(rejection)) => json!({ "rejected": rejection }),
        Err(Refusal::Failed(failure)) => json!({ "failed": failure }),
        Err(Refusal::Host(failure)) => json!({ "aborted": failure }),
    })
}
