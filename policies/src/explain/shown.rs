//! How policies and fields are named in what people read.

use std::borrow::Cow;

use model::{Action, Collection, record::SYSTEM_FIELDS};
use serde::Serialize;

use crate::{
    fields::FieldMask,
    policy::{Policy, PolicyId},
};

/// Which policy, so that people find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyName {
    /// See [`PolicyId`].
    pub id: PolicyId,
    /// `policies/shop.csv:3` or `database`.
    pub source: String,
    /// As a line of a file.
    pub text: String,
}

impl PolicyName {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self { id: policy.id(), source: policy.source().to_string(), text: columns_line(policy) }
    }
}

/// The policy as a line of a file; what may be left out is.
pub(crate) fn columns_line(policy: &Policy) -> String {
    let columns = policy.columns();
    let defaults = ["", "", "", "", "*", "", "allow"];
    let length = (4..columns.len()).rev().find(|&at| columns[at] != defaults[at]).map_or(4, |last| last + 1);
    let quoted = columns[..length].iter().map(|column| match column.contains([',', '"']) {
        true => Cow::Owned(format!("\"{}\"", column.replace('"', "\"\""))),
        false => Cow::Borrowed(*column),
    });
    std::iter::once(Cow::Borrowed("p")).chain(quoted).collect::<Vec<_>>().join(", ")
}

/// The fields of a collection, the system fields included, in two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldLists {
    /// What may be read, or written.
    pub allowed: Vec<String>,
    /// What may not.
    pub denied: Vec<String>,
}

/// Sorts the fields by what the mask says, and by what holds for everybody: the id of a record that may be read is always shown, secrets
/// never are, and nobody writes system fields. Without a mask all are denied.
pub(crate) fn listed(collection: &Collection, action: Action, mask: Option<&FieldMask>) -> FieldLists {
    let writes = matches!(action, Action::Create | Action::Update);
    let is_open = |name: &str, mask: &FieldMask| match collection.field(name) {
        Some(field) => mask.contains(name) && (writes || !field.is_secret()),
        None => !writes && (name == "id" || mask.contains(name)),
    };
    let names = collection.fields().map(|field| field.name.as_str()).chain(SYSTEM_FIELDS);
    let (allowed, denied): (Vec<_>, Vec<_>) = names.map(str::to_owned).partition(|name| mask.is_some_and(|mask| is_open(name, mask)));
    FieldLists { allowed, denied }
}
