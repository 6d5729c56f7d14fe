//! Which operations are in the document of a caller: those that its policies let it do at all. The stories decide; this says beforehand what
//! they ask, and a test calls every operation to hold the two together.

use model::Action::{self, Create, Delete, Read, Update};
use serde_json::Value;

use super::{
    Object,
    audience::{Audience, Sight},
};

/// What an operation of the fixed API asks the policies.
enum Need {
    /// Nothing.
    Nothing,
    /// Somebody who is signed in.
    Account,
    /// To make a record of this collection.
    Record(&'static str),
    /// All of these.
    All(&'static [(Action, &'static str)]),
    /// One of these, depending on the body.
    Any(&'static [(Action, &'static str)]),
    /// To write into some collection.
    SomeWrite,
}

/// Leaves only what the audience may do. `sights` are those of all collections.
pub(super) fn keep_fixed(paths: &mut Object, audience: Audience<'_>, sights: &[Sight]) {
    if let Audience::Caller { .. } = audience {
        keep(paths, |path, method, _| is_met(&need(path, method), audience, sights));
    }
}

/// Leaves only what can be done with records of a collection.
pub(super) fn keep_records(paths: &mut Object, sight: &Sight) {
    let prefix = format!("{}_", sight.readable.name());
    keep(paths, |_, method, operation| {
        let verb = operation["operationId"].as_str().and_then(|id| id.strip_prefix(&prefix)).unwrap_or_default();
        of_verb(verb, method).iter().all(|action| sight.may(*action))
    });
}

fn keep(paths: &mut Object, wanted: impl Fn(&str, &str, &Value) -> bool) {
    paths.retain(|path, item| {
        let Some(operations) = item.as_object_mut() else { return false };
        operations.retain(|method, operation| operation.get("operationId").is_none() || wanted(path, method, operation));
        operations.values().any(|operation| operation.get("operationId").is_some())
    });
}

/// The actions that an operation on records needs.
fn of_verb(verb: &str, method: &str) -> &'static [Action] {
    match (verb, method) {
        // What a filter means is what the caller can read.
        ("update_all", _) => &[Read, Update],
        ("delete_all", _) => &[Read, Delete],
        (_, "get") => &[Read],
        (_, "put" | "patch") => &[Update],
        (_, "delete") => &[Delete],
        _ => &[Create],
    }
}

fn is_met(need: &Need, audience: Audience<'_>, sights: &[Sight]) -> bool {
    let asks = |(action, object): &(Action, &str)| audience.may(*action, object);
    match need {
        Need::Nothing => true,
        Need::Account => audience.is_known(),
        Need::Record(name) => sights.iter().any(|sight| sight.readable.name() == *name && sight.may(Create)),
        Need::All(questions) => questions.iter().all(asks),
        Need::Any(questions) => questions.iter().any(asks),
        Need::SomeWrite => sights.iter().any(|sight| [Create, Update, Delete].iter().any(|action| sight.may(*action))),
    }
}

fn need(path: &str, method: &str) -> Need {
    let parts: Vec<&str> = path.trim_start_matches("/api").split('/').filter(|part| !part.is_empty()).collect();
    match (parts.first().copied().unwrap_or_default(), parts.last().copied().unwrap_or_default(), method) {
        ("auth", "register", _) => Need::Record(model::collection::USERS),
        ("auth", "logout" | "me", _) | ("imports", ..) => Need::Account,
        ("policies", "log", _) => Need::All(&[(Read, "_policies"), (Read, "_roles")]),
        ("policies", "explain", _) => Need::All(&[(Read, "_policies")]),
        ("policies", "changes", _) => Need::Any(&[(Create, "_policies"), (Delete, "_policies"), (Create, "_roles"), (Delete, "_roles")]),
        ("roles", _, "put") => Need::All(&[(Create, "_roles")]),
        ("plugins", _, _) if parts.contains(&"runs") => Need::All(&[(Read, "_logs")]),
        ("plugins", "logs" | "failures", _) => Need::All(&[(Read, "_logs")]),
        ("plugins", "rollback" | "webhook-secret", _) => Need::All(&[(Update, "_plugins")]),
        ("deliveries", "replay", _) => Need::All(&[(Update, "_deliveries")]),
        ("metrics", ..) => Need::All(&[(Read, "_metrics")]),
        ("batch", ..) => Need::SomeWrite,
        ("collections", _, method) => by_method(method, COLLECTIONS),
        ("policies", _, method) => by_method(method, POLICIES),
        ("roles", _, method) => by_method(method, ROLES),
        ("plugins" | "rules", _, method) => by_method(method, PLUGINS),
        ("deliveries", _, method) => by_method(method, DELIVERIES),
        _ => Need::Nothing,
    }
}

/// The usual questions about an object: to create, read, update and delete it.
type Questions = &'static [(Action, &'static str); 4];

const COLLECTIONS: Questions = &[(Create, "_collections"), (Read, "_collections"), (Update, "_collections"), (Delete, "_collections")];
const POLICIES: Questions = &[(Create, "_policies"), (Read, "_policies"), (Update, "_policies"), (Delete, "_policies")];
const ROLES: Questions = &[(Create, "_roles"), (Read, "_roles"), (Update, "_roles"), (Delete, "_roles")];
const PLUGINS: Questions = &[(Create, "_plugins"), (Read, "_plugins"), (Update, "_plugins"), (Delete, "_plugins")];
const DELIVERIES: Questions = &[(Create, "_deliveries"), (Read, "_deliveries"), (Update, "_deliveries"), (Delete, "_deliveries")];

fn by_method(method: &str, questions: Questions) -> Need {
    let [create, read, update, delete] = questions.each_ref();
    Need::All(std::slice::from_ref(match method {
        "get" => read,
        "post" => create,
        "put" | "patch" => update,
        _ => delete,
    }))
}
