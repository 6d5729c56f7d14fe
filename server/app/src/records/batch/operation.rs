//! The operations of a batch as they are sent. What has not the right shape is refused before anything is looked up.

use model::{Draft, Pointer, Value, Violation, collection::is_name, value::Object};

use crate::records::Preconditions;

/// How many operations one batch may have.
pub const OPERATIONS_MAX: usize = 1_000;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Update,
    Replace,
    Delete,
    Upsert,
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "create" => Some(Kind::Create),
            "update" => Some(Kind::Update),
            "replace" => Some(Kind::Replace),
            "delete" => Some(Kind::Delete),
            "upsert" => Some(Kind::Upsert),
            _ => None,
        }
    }

    /// The members that an operation must have, and those that it may have.
    fn members(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Kind::Create => (&["record"], &[]),
            Kind::Update | Kind::Replace => (&["id", "record"], &["if_match"]),
            Kind::Delete => (&["id"], &["if_match"]),
            Kind::Upsert => (&["record", "on"], &["if_match"]),
        }
    }
}

/// One write of a batch.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) kind: Kind,
    pub(super) collection: String,
    /// A text or a reference; null where the kind needs none.
    pub(super) id: Value,
    /// Empty where the kind needs none.
    pub(super) draft: Draft,
    /// What an upsert finds its record by; empty for others.
    pub(super) on: String,
    pub(super) preconditions: Preconditions,
    /// What the result is called in references.
    pub(super) name: Option<String>,
}

/// Reads a body.
///
/// # Errors
/// A violation with the code `body.malformed`, `body.shape`, `body.too_many_operations` or `body.too_many_keys`.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Operation>, Violation> {
    let body = Value::from_body(body).map_err(|error| model::draft::unreadable(&error))?;
    let mut members = object(body, &Pointer::root())?;
    let at = Pointer::field("operations");
    let operations = members.shift_remove("operations");
    if let Some(name) = members.keys().next() {
        return Err(shape(Pointer::field(name), format!("unknown member `{name}`")));
    }
    let operations = match operations {
        Some(Value::List(operations)) if operations.is_empty() => return Err(shape(at, "expected at least one operation")),
        Some(Value::List(operations)) if operations.len() > OPERATIONS_MAX => {
            return Err(Violation::new(at, "body.too_many_operations", format!("more than {OPERATIONS_MAX} operations")));
        }
        Some(Value::List(operations)) => operations,
        _ => return Err(shape(at, "expected an array")),
    };
    let mut parsed: Vec<Operation> = Vec::with_capacity(operations.len());
    for (index, operation) in operations.into_iter().enumerate() {
        let at = at.join(index);
        let operation = one(operation, &at)?;
        if operation.name.is_some() && parsed.iter().any(|other| other.name == operation.name) {
            return Err(shape(at.join("as"), "another operation has this name"));
        }
        parsed.push(operation);
    }
    Ok(parsed)
}

fn one(operation: Value, at: &Pointer) -> Result<Operation, Violation> {
    let mut members = object(operation, at)?;
    let word = text(&mut members, "op", at)?.unwrap_or_default();
    let kind = Kind::parse(&word).ok_or_else(|| shape(at.join("op"), "expected `create`, `update`, `replace`, `delete` or `upsert`"))?;
    let collection =
        text(&mut members, "collection", at)?.ok_or_else(|| shape(at.join("collection"), "expected the name of a collection"))?;
    let name = text(&mut members, "as", at)?;
    if name.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(shape(at.join("as"), "a name begins with a letter and has at most 63 lowercase letters, digits and underscores"));
    }
    let (needed, possible) = kind.members();
    if let Some(missing) = needed.iter().find(|name| !members.contains_key(**name)) {
        return Err(shape(at.join(missing), format!("`{word}` needs `{missing}`")));
    }
    if let Some(other) = members.keys().find(|name| !needed.contains(&name.as_str()) && !possible.contains(&name.as_str())) {
        return Err(shape(at.join(other), format!("`{word}` takes no `{other}`")));
    }
    let if_match = text(&mut members, "if_match", at)?;
    let on = on(&mut members, at)?;
    let id = members.shift_remove("id").unwrap_or_default();
    let draft = match members.shift_remove("record") {
        None => Draft::default(),
        Some(record) => {
            let located = |violation: Violation| Violation { pointer: at.join("record").followed_by(&violation.pointer), ..violation };
            Draft::from_value(record).map_err(located)?
        }
    };
    let preconditions = Preconditions { if_match, if_none_match: None };
    Ok(Operation { kind, collection, id, draft, on, preconditions, name })
}

/// Names of fields, in one text or in a list.
fn on(members: &mut Object, at: &Pointer) -> Result<String, Violation> {
    let names = match members.shift_remove("on") {
        None => return Ok(String::new()),
        Some(Value::Text(text)) => return Ok(text),
        Some(Value::List(names)) => names,
        Some(_) => Vec::new(),
    };
    let names: Option<Vec<&str>> = names.iter().map(Value::as_text).collect();
    let names = names.filter(|names| !names.is_empty()).ok_or_else(|| shape(at.join("on"), "expected `id` or names of unique fields"))?;
    Ok(names.join(","))
}

fn object(value: Value, at: &Pointer) -> Result<Object, Violation> {
    match value {
        Value::Object(members) => Ok(members),
        other => Err(shape(at.clone(), format!("expected a JSON object, got {}", other.kind()))),
    }
}

fn text(members: &mut Object, name: &str, at: &Pointer) -> Result<Option<String>, Violation> {
    match members.shift_remove(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(other) => Err(shape(at.join(name), format!("expected a string, got {}", other.kind()))),
    }
}

fn shape(at: Pointer, message: impl Into<String>) -> Violation {
    Violation::new(at, "body.shape", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operation: &str, error: &str) {
        let body = format!(r#"{{"operations": [{{"op": "create", "collection": "a", "record": {{}}, "as": "first"}}, {operation}]}}"#);
        let found =
            parse(body.as_bytes()).map_or_else(|violation| format!("{} {}", violation.pointer.as_str(), violation.code), |_| String::new());
        assert_eq!(found, error, "{operation}");
    }

    #[test]
    fn operations_have_the_members_of_their_kind() {
        check(r#"{"op": "update", "collection": "a", "id": "x", "record": {}, "if_match": "*", "as": "second"}"#, "");
        check(r#"{"op": "delete", "collection": "a", "id": {"$ref": "first.id"}}"#, "");
        check(r#"{"op": "upsert", "collection": "a", "on": ["x", "y"], "record": {}}"#, "");
        check(r#"{"op": "merge", "collection": "a"}"#, "/operations/1/op body.shape");
        check(r#"{"collection": "a"}"#, "/operations/1/op body.shape");
        check(r#"{"op": "create", "record": {}}"#, "/operations/1/collection body.shape");
        check(r#"{"op": "create", "collection": 7, "record": {}}"#, "/operations/1/collection body.shape");
        check(r#"{"op": "create", "collection": "a"}"#, "/operations/1/record body.shape");
        check(r#"{"op": "create", "collection": "a", "record": []}"#, "/operations/1/record body.shape");
        check(r#"{"op": "create", "collection": "a", "record": {}, "id": "x"}"#, "/operations/1/id body.shape");
        check(r#"{"op": "create", "collection": "a", "record": {}, "if_match": "*"}"#, "/operations/1/if_match body.shape");
        check(r#"{"op": "delete", "collection": "a", "id": "x", "record": {}}"#, "/operations/1/record body.shape");
        check(r#"{"op": "upsert", "collection": "a", "record": {}}"#, "/operations/1/on body.shape");
        check(r#"{"op": "upsert", "collection": "a", "record": {}, "on": [7]}"#, "/operations/1/on body.shape");
        check(r#"{"op": "upsert", "collection": "a", "record": {}, "on": []}"#, "/operations/1/on body.shape");
        check(r#"{"op": "create", "collection": "a", "record": {}, "as": "First"}"#, "/operations/1/as body.shape");
        check(r#"{"op": "create", "collection": "a", "record": {}, "as": "first"}"#, "/operations/1/as body.shape");
        check("7", "/operations/1 body.shape");
    }

    #[test]
    fn a_batch_has_operations() {
        for (body, error) in [
            ("{}", "/operations body.shape"),
            ("[]", " body.shape"),
            (r#"{"operations": []}"#, "/operations body.shape"),
            (r#"{"operations": {}}"#, "/operations body.shape"),
            (r#"{"operations": [], "more": 1}"#, "/more body.shape"),
            ("{", " body.malformed"),
        ] {
            let violation = parse(body.as_bytes()).expect_err(body);
            assert_eq!(format!("{} {}", violation.pointer.as_str(), violation.code), error, "{body}");
        }
        let many = |count: usize| {
            format!(
                r#"{{"operations": [{}{{"op": "delete", "collection": "a", "id": "x"}}]}}"#,
                r#"{"op": "delete", "collection": "a", "id": "x"},"#.repeat(count - 1)
            )
        };
        assert_eq!(parse(many(1_000).as_bytes()).expect("as many as there may be").len(), 1_000);
        assert_eq!(parse(many(1_001).as_bytes()).expect_err("too many").code, "body.too_many_operations");
    }
}
