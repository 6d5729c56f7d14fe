//! A record, the one before it, a caller and a time that are put together value by value.

use crate::{
    Caller, Record,
    condition::{Context, Path, Root},
    value::{Object, Value},
};

/// A path without its position: what a value is chosen for. `before` without members stands for whether there is a stored record at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) root: Root,
    pub(super) members: Vec<String>,
}

impl Place {
    pub(super) fn of(path: &Path) -> Self {
        Self { root: path.root, members: path.members.clone() }
    }

    /// As a policy writes it.
    pub(super) fn name(&self) -> String {
        Path { root: self.root, members: self.members.clone(), position: 0 }.to_string()
    }

    /// True if the value there decides whether there is anything at the other place, or is itself the value there.
    pub(super) fn leads_to(&self, other: &Place) -> bool {
        self.root == other.root && other.members.starts_with(&self.members)
    }
}

/// Everything that a condition may look at, changing.
pub(super) struct Situation {
    record: Record,
    before: Record,
    is_update: bool,
    caller: Caller,
    now: String,
}

impl Situation {
    pub(super) fn new() -> Self {
        let nothing = || Record {
            id: String::new(),
            tenant: String::new(),
            version: 1,
            created: String::new(),
            updated: String::new(),
            values: Object::new(),
        };
        Self { record: nothing(), before: nothing(), is_update: false, caller: Caller::anonymous(), now: String::new() }
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context { record: &self.record, before: self.is_update.then_some(&self.before), caller: &self.caller, now: &self.now }
    }

    /// Puts one value into its place, if there is such a place: a text has no members.
    pub(super) fn put(&mut self, place: &Place, value: &Value) {
        match (place.root, place.members.as_slice()) {
            (Root::Now, _) => value.as_text().unwrap_or_default().clone_into(&mut self.now),
            (Root::Before, []) => self.is_update = *value == Value::Bool(true),
            (Root::Record, [name]) => put_field(&mut self.record, name, value),
            (Root::Before, [name]) => put_field(&mut self.before, name, value),
            (Root::Caller, [name]) => put_member(&mut self.caller.attributes, name, value),
            (_, [name, rest @ ..]) => {
                let values = match place.root {
                    Root::Record => &mut self.record.values,
                    Root::Before => &mut self.before.values,
                    Root::Caller | Root::Now => &mut self.caller.attributes,
                };
                put_inside(values, name, rest, value);
            }
            (Root::Record | Root::Caller, []) => {}
        }
    }
}

fn put_field(record: &mut Record, name: &str, value: &Value) {
    let text = match name {
        "id" => &mut record.id,
        "created" => &mut record.created,
        "updated" => &mut record.updated,
        _ => return put_member(&mut record.values, name, value),
    };
    value.as_text().unwrap_or_default().clone_into(text);
}

fn put_member(object: &mut Object, name: &str, value: &Value) {
    match object.get_mut(name) {
        Some(old) => old.clone_from(value),
        None => {
            object.insert(name.to_owned(), value.clone());
        }
    }
}

fn put_inside(object: &mut Object, name: &str, rest: &[String], value: &Value) {
    let [next, rest @ ..] = rest else { return put_member(object, name, value) };
    // An object on the way that has no variable of its own is simply there; one that has may also be chosen to be something else.
    let inner = object.entry(name.to_owned()).or_insert_with(|| Value::Object(Object::new()));
    if let Value::Object(inner) = inner {
        put_inside(inner, next, rest, value);
    }
}
