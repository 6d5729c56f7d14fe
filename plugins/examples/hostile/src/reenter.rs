//! Rules that make themselves run again, by writing what they are asked about: records of `audit` whose note says how.

use ironrule_rules::prelude::*;
use serde::Deserialize;
use serde_json::json;

use crate::memory;

#[derive(Deserialize)]
struct Audit {
    #[serde(default)]
    note: String,
}

/// Goes so many writes deep. Each level has an instance of its own: the count of each is 1, before and after.
pub fn deep(levels: u32) -> Answer {
    let before = memory::count();
    write(&format!("again:{levels}"))?;
    patch(json!({ "depth": levels, "count": memory::count() - before }))
}

pub fn for_ever() -> Answer {
    write("for-ever")?;
    accept()
}

/// The inner instance dies; the outer one hears of it, or the whole write ends.
pub fn panicking() -> Answer {
    match write("panic") {
        Ok(()) => Err(Rejection::internal("the panic was not noticed")),
        Err(failure) => Err(Rejection::conflict(failure.message)),
    }
}

/// The rule of `audit`.
pub fn again(event: &Event) -> Answer {
    let audit: Audit = event.after()?;
    match audit.note.split_once(':') {
        Some(("again", level)) => match level.parse::<u32>().unwrap_or(0) {
            0 => patch(json!({ "note": format!("the bottom, call {}", memory::count()) })),
            level => {
                write(&format!("again:{}", level - 1))?;
                accept()
            }
        },
        _ if audit.note == "for-ever" => for_ever(),
        _ if audit.note == "panic" => panic!("in the inner instance"),
        _ => accept(),
    }
}

fn write(note: &str) -> Result<(), Failure> {
    records::create("audit", &json!({ "note": note })).map(drop)
}
