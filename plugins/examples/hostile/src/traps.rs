//! Panics at bad moments: after a write, and after each host call in turn.

use ironrule_rules::prelude::*;
use serde_json::{Value, json};

pub fn after_write() -> Answer {
    records::create("audit", &json!({ "note": "half written" }))?;
    panic!("after the first write");
}

type Call = fn(&Event) -> Result<(), Failure>;

/// Every sort of host call.
const CALLS: [Call; 11] = [
    |_| {
        log!("about to panic");
        Ok(())
    },
    |_| {
        host::now_ms();
        Ok(())
    },
    |_| {
        host::random(8);
        Ok(())
    },
    |_| {
        host::setting("known");
        Ok(())
    },
    |event| records::get::<Value>("notes", event.id()).map(drop),
    |event| records::get_many::<Value>("notes", &[event.id().to_owned()]).map(drop),
    |_| records::query::<Value>("audit", &ONE).map(drop),
    |_| records::create("audit", &json!({ "note": "created" })).map(drop),
    |_| with_one("audit", |id| records::update("audit", id, &json!({ "note": "updated" })).map(drop)),
    |_| with_one("audit", |id| records::delete("audit", id)),
    |_| effects::job("later", json!({})).enqueue().map(drop),
];

const ONE: records::Query = records::Query { filter: None, sort: None, limit: Some(1), offset: None, fields: None };

/// Makes so many of the host calls, and panics. There is no panic when that is more than there are.
pub fn after(calls: usize, event: &Event) -> Answer {
    for call in CALLS.iter().take(calls) {
        call(event)?;
    }
    if calls > CALLS.len() {
        return accept();
    }
    panic!("after {calls} host calls");
}

fn with_one(collection: &str, change: impl Fn(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let found: Vec<Value> = records::query(collection, &ONE)?;
    match found.first().and_then(|record| record["id"].as_str()) {
        Some(id) => change(id),
        None => Ok(()),
    }
}
