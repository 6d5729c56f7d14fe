//! What a guest answered, or why it did not, in our types. Nothing that a guest says is passed on unchecked.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use wasmtime::Trap;

use crate::contract::types;
use crate::instance::Stop;
use crate::run::{Outcome, PluginFailure, Refusal, Rejection, RejectionKind, Violation};

/// What wasmtime says when a guest hands over more than the store allows; its error type is private.
const TRANSFER_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";
const MESSAGE_MAX_BYTES: usize = 1000;

/// The guest answered.
pub(crate) fn read(answer: Result<types::Outcome, types::Rejection>, output_max_bytes: usize) -> Result<Outcome, Refusal> {
    let bytes = answer.as_ref().map_or_else(rejection_bytes, outcome_bytes);
    if bytes > output_max_bytes {
        let message = format!("answered {bytes} bytes, at most {output_max_bytes} are allowed");
        return Err(failed("plugin.output", message));
    }
    match answer {
        Ok(outcome) => read_outcome(outcome).map_err(|why| failed("plugin.garbage", why)),
        Err(rejection) if rejection.kind == "internal" => {
            let stack = details_stack(&rejection.details);
            Err(Refusal::Failed(PluginFailure { stack, ..failure("plugin.internal", rejection.message) }))
        }
        Err(rejection) => Err(match read_rejection(rejection) {
            Ok(rejection) => Refusal::Rejected(rejection),
            Err(why) => failed("plugin.garbage", why),
        }),
    }
}

/// The guest did not answer.
pub(crate) fn stopped(error: &wasmtime::Error) -> Refusal {
    match error.downcast_ref::<Stop>() {
        Some(Stop::Fatal(failure)) => return Refusal::Host(failure.clone()),
        Some(stop @ Stop::Memory { .. }) => return failed("plugin.memory", stop.to_string()),
        Some(stop @ (Stop::HostCalls(_) | Stop::Effects(_))) => return failed("plugin.budget", stop.to_string()),
        None => {}
    }
    let cause = error.root_cause().to_string();
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt | Trap::OutOfFuel) => failed("plugin.timeout", "computed for too long"),
        Some(Trap::StackOverflow) => failed("plugin.stack", cause),
        _ if cause.contains(TRANSFER_EXHAUSTED) => failed("plugin.output", cause),
        _ => failed("plugin.trap", cause),
    }
}

pub(crate) fn failed(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::Failed(failure(code, message))
}

pub(crate) fn failure(code: &'static str, message: impl Into<String>) -> PluginFailure {
    let mut message = message.into();
    message.truncate(message.floor_char_boundary(MESSAGE_MAX_BYTES));
    PluginFailure { code, message, stack: None }
}

/// The SDKs catch exceptions and put their stack there.
fn details_stack(details: &str) -> Option<String> {
    let details: Map<String, Value> = serde_json::from_str(details).ok()?;
    details.get("stack")?.as_str().map(str::to_owned)
}

fn outcome_bytes(outcome: &types::Outcome) -> usize {
    outcome.patch.as_ref().map_or(0, String::len) + outcome.details.len()
}

fn rejection_bytes(rejection: &types::Rejection) -> usize {
    let violations = rejection.violations.iter();
    rejection.kind.len()
        + rejection.message.len()
        + rejection.details.len()
        + violations.map(|it| it.path.len() + it.code.len() + it.message.len() + it.params.len()).sum::<usize>()
}

fn read_outcome(outcome: types::Outcome) -> Result<Outcome, String> {
    parse_object("details", &outcome.details)?;
    if let Some(patch) = &outcome.patch {
        parse_object("patch", patch)?;
    }
    Ok(Outcome { patch: outcome.patch, details: outcome.details })
}

fn read_rejection(rejection: types::Rejection) -> Result<Rejection, String> {
    let kind = match rejection.kind.as_str() {
        "invalid" => RejectionKind::Invalid,
        "conflict" => RejectionKind::Conflict,
        "forbidden" => RejectionKind::Forbidden,
        "retry" => RejectionKind::Retry,
        other => return Err(format!("`{other}` is no kind of rejection")),
    };
    let violations = rejection.violations.into_iter().map(read_violation).collect::<Result<_, _>>()?;
    let details = object("details", rejection.details)?;
    Ok(Rejection { kind, message: rejection.message, violations, details })
}

fn read_violation(violation: types::Violation) -> Result<Violation, String> {
    if !is_pointer(&violation.path) {
        return Err(format!("`{}` is no JSON pointer", violation.path));
    }
    if violation.code.is_empty() {
        return Err("a violation has no code".to_owned());
    }
    let params = object("params", violation.params)?;
    Ok(Violation { path: violation.path, code: violation.code, message: violation.message, params })
}

/// RFC 6901: empty, or begins with `/`, and each `~` is part of `~0` or `~1`.
fn is_pointer(path: &str) -> bool {
    let escaped = path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    escaped && (path.is_empty() || path.starts_with('/'))
}

fn object(what: &str, text: String) -> Result<Box<RawValue>, String> {
    parse_object(what, &text)?;
    RawValue::from_string(text).map_err(|cause| format!("{what}: {cause}"))
}

fn parse_object(what: &str, text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|cause| format!("{what} is no JSON object: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_checked() {
        for good in ["", "/", "/items/0/product", "/a~0b~1c"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["items", "#/items", "/a~", "/a~2", " /a"] {
            assert!(!is_pointer(bad), "{bad}");
        }
    }

    fn check_outcome(patch: &str, details: &str, expected: Result<(), &str>) {
        let outcome = types::Outcome { patch: Some(patch.to_owned()), details: details.to_owned() };
        match (read(Ok(outcome), 100), expected) {
            (Ok(outcome), Ok(())) => assert_eq!((outcome.patch.as_deref(), &*outcome.details), (Some(patch), details)),
            (Err(Refusal::Failed(failure)), Err(code)) => assert_eq!(failure.code, code, "{patch}"),
            (read, _) => panic!("{patch}: {read:?}"),
        }
    }

    #[test]
    fn outcomes_are_checked() {
        check_outcome(r#"{"a":1}"#, "{}", Ok(()));
        check_outcome("{}", r#"{"warnings":[]}"#, Ok(()));
        check_outcome("[]", "{}", Err("plugin.garbage"));
        check_outcome("null", "{}", Err("plugin.garbage"));
        check_outcome("{", "{}", Err("plugin.garbage"));
        check_outcome("{}", "", Err("plugin.garbage"));
        check_outcome(&format!(r#"{{"a":"{}"}}"#, "x".repeat(100)), "{}", Err("plugin.output"));
    }

    #[test]
    fn unknown_kinds_are_garbage() {
        let internal = r#"{"stack":"at place (order.js:1:2)"}"#;
        for (kind, details, code, stack) in [
            ("maybe", "{}", "plugin.garbage", None),
            ("internal", "{}", "plugin.internal", None),
            ("internal", "garbage", "plugin.internal", None),
            ("internal", internal, "plugin.internal", Some("at place (order.js:1:2)")),
        ] {
            let (kind, details) = (kind.to_owned(), details.to_owned());
            let rejection = types::Rejection { kind: kind.clone(), message: String::new(), violations: Vec::new(), details };
            match read(Err(rejection), 100) {
                Err(Refusal::Failed(failure)) => assert_eq!((failure.code, failure.stack.as_deref()), (code, stack)),
                read => panic!("{kind}: {read:?}"),
            }
        }
    }
}
