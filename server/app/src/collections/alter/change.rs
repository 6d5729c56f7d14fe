//! What a change of a collection does to one record, and what gets lost by that.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Collection, Draft, FieldType, Pointer, Record, Value, Violations,
    collection::{Definition, Index, Kind},
    field::Field,
    validate,
    value::Object,
};
use serde::Deserialize;

use super::super::{
    check_policies, check_targets,
    fill::{self, Fill},
    rename::{self, Renames},
};
use crate::{Error, call::Call};

/// What may be changed; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alteration {
    /// New names of fields, by the old ones. What is stored in them stays.
    #[serde(default)]
    pub rename: Renames,
    /// What stored records get in fields that are null.
    #[serde(default)]
    pub fill: Fill,
    /// All fields as they shall be, under their new names.
    pub fields: Option<Vec<Field>>,
    /// All declared indexes as they shall be.
    pub indexes: Option<Vec<Index>>,
    /// All fields whose words can be searched for.
    pub search: Option<Vec<String>>,
    /// The description.
    pub description: Option<String>,
}

/// The ways of a collection from what it is to what it shall be.
pub(super) struct Change {
    pub(super) before: Collection,
    /// With the new names, and otherwise as before.
    renamed: Collection,
    pub(super) after: Collection,
    renames: Renames,
    fill: Fill,
}

impl Change {
    pub(super) fn new(call: &Call, name: &str, alteration: Alteration) -> Result<Self, Error> {
        let before = call.collection(name)?;
        let (renames, fill) = (alteration.rename.clone(), alteration.fill.clone());
        let renamed = rename::renamed(&before, &renames)?;
        let after = altered(&renamed, alteration)?;
        rename::check(&after, &renames)?;
        let fill = fill::checked(&after, fill)?;
        let change = Self { before, renamed, after, renames, fill };
        change.check(call)?;
        Ok(change)
    }

    /// Holds the new definition against the other collections and the policies of this moment.
    pub(super) fn check(&self, call: &Call) -> Result<(), Error> {
        check_targets(&self.after, &call.world.catalog)?;
        check_policies(call, &self.after)
    }

    /// False if every stored record is as good under the new definition as under the old one.
    pub(super) fn concerns_records(&self) -> bool {
        let kept = |field: &Field| self.after.field(&field.name).is_some_and(|new| constraints(new) == constraints(field));
        let added = |field: &Field| self.before.field(&field.name).is_none();
        let harmless = |field: &Field| !added(field) || !field.required && !field.unique;
        let same_fields = self.before.fields().all(kept) && self.after.fields().all(harmless);
        let same_indexes = self.before.indexes() == self.after.indexes() && self.before.search() == self.after.search();
        !(same_fields && same_indexes && self.renames.is_empty() && self.fill.is_empty())
    }

    /// The record in its new form. What gets lost by that is added to the losses.
    pub(super) fn convert(&self, record: &Record, losses: &mut Losses) -> Record {
        let renamed = self.renamed_values(record, losses);
        let filled = fill::filled(&Record { values: renamed, ..record.clone() }, &self.fill);
        self.check_record(&filled, losses);
        let mut values = Object::with_capacity(self.after.fields().len());
        for field in self.after.fields() {
            let value = filled.values.get(&field.name).cloned().unwrap_or_default();
            let keeps = self.renamed.field(&field.name).is_none_or(|old| shape(old) == shape(field));
            // What does not fit is what `force` has given up.
            let value =
                if keeps || value.is_null() { value } else { validate::retyped(&self.after, &field.name, value).unwrap_or_default() };
            values.insert(field.name.clone(), value);
        }
        Record { values, ..filled }
    }

    /// The values under their new names, without those that are given up.
    fn renamed_values(&self, record: &Record, losses: &mut Losses) -> Object {
        let mut values = Object::with_capacity(record.values.len());
        for (old, value) in record.values.iter().filter(|(_, value)| !value.is_null()) {
            let name = self.renames.get(old).unwrap_or(old);
            match (self.renamed.field(name), self.after.field(name)) {
                (_, None) => *losses.dropped.entry(name.clone()).or_default() += 1,
                (Some(before), Some(after)) if means_nothing(before, after) => drop(losses.voided.insert(name.clone())),
                _ => drop(values.insert(name.clone(), value.clone())),
            }
        }
        values
    }

    fn check_record(&self, record: &Record, losses: &mut Losses) {
        let draft = Draft { values: record.values.clone() };
        let Err(violations) = validate::update(&self.after, record, draft, &record.updated) else { return };
        let changed = |name: &str| self.after.field(name).is_some_and(|field| self.renamed.field(name) != Some(field));
        for violation in violations.0 {
            let field = violation.pointer.as_str().trim_start_matches('/').split('/').next().unwrap_or_default();
            if changed(field) && losses.broken.0.len() < NAMED_MAX {
                losses.broken.add(violation.pointer, &violation.code, format!("record `{}`: {}", record.id, violation.message));
            }
        }
    }
}

/// What makes a difference for stored values.
fn constraints(field: &Field) -> Field {
    Field { hidden: false, immutable: false, default: Value::Null, on_delete: None, description: String::new(), ..field.clone() }
}

fn shape(field: &Field) -> (FieldType, bool, &Option<String>) {
    (field.kind, field.many, &field.collection)
}

/// Ids of another collection, and secrets that would be shown.
fn means_nothing(before: &Field, after: &Field) -> bool {
    let elsewhere = before.kind == FieldType::Relation && after.kind == FieldType::Relation && before.collection != after.collection;
    elsewhere || before.kind == FieldType::Password && after.kind != FieldType::Password
}

fn altered(before: &Collection, alteration: Alteration) -> Result<Collection, Error> {
    let old = before.definition().clone();
    let mut fields = alteration.fields.unwrap_or(old.fields);
    if before.kind() == Kind::Auth {
        // The fields of the kind stay, whether they are repeated or not.
        fields.retain(|field| !["email", "password", "verified"].contains(&field.name.as_str()));
    }
    let definition = Definition {
        fields,
        indexes: alteration.indexes.unwrap_or(old.indexes),
        search: alteration.search.unwrap_or(old.search),
        description: alteration.description.unwrap_or(old.description),
        ..old
    };
    Collection::new(definition).map_err(|violations| Error::Unacceptable { kind: "collection", violations })
}

/// How many broken values are named; there may be as many as there are records.
const NAMED_MAX: usize = 20;

/// What stored values a change would lose or leave invalid.
#[derive(Default)]
pub(super) struct Losses {
    /// How many records have something in a field that goes.
    dropped: BTreeMap<String, u64>,
    /// Fields whose values would mean something else.
    voided: BTreeSet<String>,
    broken: Violations,
}

impl Losses {
    pub(super) fn are_none(&self) -> bool {
        self.dropped.is_empty() && self.voided.is_empty() && self.broken.0.is_empty()
    }

    pub(super) fn told(&self) -> Violations {
        let mut told = Violations::default();
        for (field, filled) in &self.dropped {
            told.add(Pointer::field(field), "field.dropped", format!("{filled} records have a value in `{field}`, which would be lost"));
        }
        for field in &self.voided {
            told.add(Pointer::field(field), "field.retyped", format!("the values of `{field}` would mean nothing any more"));
        }
        told.0.extend(self.broken.0.iter().cloned());
        told
    }
}

/// The refusal of values that would have to be unique.
pub(super) fn not_unique(fields: &[&str]) -> Error {
    let mut violations = Violations::default();
    violations.add(Pointer::field("indexes"), "field.unique", format!("stored records have the same `{}`", fields.join(", ")));
    Error::DataLoss(violations)
}
