//! A plugin that misbehaves on demand, for the tests of the server: each record of the collection `notes` says in its field
//! `behaviour` what goes wrong, each request to `/act/{behaviour}` in its path. Do not install it anywhere else.

mod answers;
mod compute;
mod flood;
mod memory;
mod reenter;
mod traps;

use ironrule_rules::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Note {
    #[serde(default)]
    behaviour: String,
    #[serde(default)]
    text: Option<String>,
}

fn plugin() -> Plugin {
    Plugin::new("hostile", env!("CARGO_PKG_VERSION"))
        .reads(["notes"])
        .searches(["audit"])
        .writes(["audit"])
        .setting(Setting::new("known").default("a default"))
        .rule(Rule::before_write("hostile", "notes").on([Create]), misbehave)
        .rule(Rule::before_write("count", "notes").on([Update]), count)
        .rule(Rule::before_write("again", "audit").on([Create]), reenter::again)
        .rule(Rule::job("later"), later)
        .rule(Rule::endpoint("act", "POST", "/act/{behaviour}").anyone(), act)
}

ironrule_rules::export!(plugin);

fn misbehave(event: &Event) -> Answer {
    let note: Note = event.after()?;
    behave(event, &note)
}

/// As a job: what a rule does after a commit, when nobody waits for it.
fn later(event: &Event) -> Answer {
    let note: Note = event.payload()?;
    behave(event, &note)
}

/// As an endpoint; the answers that only endpoints give come first.
fn act(event: &Event) -> Answer {
    let request = event.request()?;
    let behaviour = request.param("behaviour");
    match answers::answer(behaviour, &request) {
        Some(answer) => answer,
        None => behave(event, &Note { behaviour: behaviour.to_owned(), text: Some(request.text) }),
    }
}

/// Puts how often this instance was called into the record: 1 for each write of its own transaction.
fn count(_: &Event) -> Answer {
    patch(json!({ "count": memory::count() }))
}

fn behave(event: &Event, note: &Note) -> Answer {
    if let Some((behaviour, number)) = note.behaviour.split_once(':') {
        let number: u8 = number.parse().map_err(|_| Rejection::internal("no number"))?;
        return match behaviour {
            "trap-after" => traps::after(number.into(), event),
            "reenter" => reenter::deep(number.into()),
            _ => accept(),
        };
    }
    match note.behaviour.as_str() {
        "loop" => compute::loop_for_ever(),
        "allocate" => compute::allocate_without_end(),
        "recurse" => patch(json!({ "depth": compute::recurse(1) })),
        "panic" => panic!("as asked"),
        "trap-after-write" => traps::after_write(),
        "write" => write(),
        "write-elsewhere" => write_elsewhere(),
        "host-flood" => flood::host(event),
        "read-forever" => flood::read_forever(),
        "log-flood" => flood::log(),
        "giant-log" => flood::giant_log(),
        "effect-flood" => flood::effects(),
        "effect-forever" => flood::effects_forever(),
        "effect-giant" => flood::giant_effect(),
        "effect-garbage" => flood::garbage_effect(),
        "effect-not-granted" => flood::effect_not_granted(),
        "effect-chain" => flood::effect_chain(),
        "setting-flood" => flood::settings(),
        "setting-forever" => flood::settings_forever(),
        "setting-giant" => flood::giant_setting(),
        "setting" => patch(json!({ "text": format!("{:?} {:?}", host::setting("known"), host::setting("unknown")) })),
        "random-flood" => flood::random(),
        "giant-output" => patch(json!({ "text": "x".repeat(600_000) })),
        "gigantic-output" => patch(json!({ "text": "x".repeat(3_000_000) })),
        // not an object; an invalid pointer; an unknown kind
        "garbage" => patch(json!("a patch must be an object")),
        "garbage-pointer" => Err(Rejection::invalid().violation("no-pointer", "x", "x")),
        "garbage-details" => Ok(ironrule_rules::Outcome::raw(None, "no JSON".into())),
        "internal" => Err(Rejection::internal("as asked")),
        "retry" => Err(Rejection::retry("as asked")),
        "count-global" => patch(json!({ "count": memory::count() })),
        "remember" => memory::remember(note.text.as_deref()),
        "recall" => memory::recall(),
        "random" => patch(json!({ "random": host::random(8), "now": host::now_ms() })),
        "read-missing" => patch(json!({ "found": records::get::<Value>("notes", "missing")?.is_some() })),
        "reenter-forever" => reenter::for_ever(),
        "reenter-panic" => reenter::panicking(),
        "refuse" => Err(Rejection::invalid().violation("/behaviour", "note.refused", "as asked")),
        _ => accept(),
    }
}

fn write() -> Answer {
    records::create("audit", &json!({ "note": "written" }))?;
    accept()
}

fn write_elsewhere() -> Answer {
    records::update("notes", "n1", &json!({ "text": "not granted" }))?;
    accept()
}
