//! Which fields of a record a write may name: those in the mask of its policies, and, of those that the caller cannot see, none whose stored
//! value the answer would tell.

use std::collections::BTreeSet;

use model::{Action, Collection, Modifiers, NewRecord, Pointer, Record, Violations, record::SYSTEM_FIELDS, validate};

use super::{Authority, Change, Manner};
use crate::{Error, call::Call, decisions::Refused};

/// A change that tells nothing about fields which the caller cannot see. Naming one that it cannot write either is refused whatever the value
/// is: a right guess must look like a wrong one. What comes of a modifier depends on what is stored, so none is taken for them. What the
/// client cannot know stays when it replaces the record.
pub(super) fn blind<'a>(
    call: &Call,
    authority: &Authority,
    collection: &Collection,
    stored: &Record,
    (mut change, modifiers): (Change<'a>, &Modifiers),
) -> Result<(Change<'a>, Vec<String>), Error> {
    let Authority::Plan(plan) = authority else { return Ok((change, Vec::new())) };
    let read = call.world.policies.plan(&call.caller, Action::Read, collection);
    let visible = call.shows(&read, collection, stored);
    let mask = plan.fields(&call.context(stored, Some(stored)));
    let (mut violations, mut unseen) = (Violations::default(), Vec::new());
    for field in collection.fields().filter(|field| !visible(&field.name)) {
        let modified = modifiers.change(&field.name);
        if modified || change.draft.values.contains_key(&field.name) {
            unseen.push(field.name.clone());
            // An immutable field would answer whether the guess is what is stored.
            if modified || field.immutable || !mask.contains(&field.name) {
                violations.add(Pointer::field(&field.name), "field.forbidden", format!("not allowed to write `{}`", field.name));
            }
        } else if change.manner == Manner::Replace {
            let value = stored.values.get(&field.name).cloned().unwrap_or_default();
            change.draft.values.insert(field.name.clone(), value);
        }
    }
    let refused = |violations| forbidden(call, collection, (stored, Some(stored)), violations);
    violations.or((change, unseen)).map_err(refused)
}

/// The refusal of fields that the caller may not write.
fn forbidden(call: &Call, collection: &Collection, (record, before): (&Record, Option<&Record>), violations: Violations) -> Error {
    let action = if before.is_some() { Action::Update } else { Action::Create };
    let fields = violations.0.iter().map(|violation| violation.pointer.as_str().trim_start_matches('/').to_owned()).collect();
    let id = before.map(|before| before.id.clone());
    let (record, before) = (Some(record.clone()), before.cloned());
    call.decided(Refused { id, record, before, fields, ..Refused::records(action, collection) }, Error::FieldsDenied(violations))
}

/// Of the fields that the client named, those that changed must be among the fields that the policies let it write. What rules and
/// defaults set is not the client's doing.
pub(super) fn check_write_mask(
    call: &Call,
    authority: &Authority,
    collection: &Collection,
    (new, before): (&NewRecord, Option<&Record>),
    (given, unseen): (&[String], &[String]),
) -> Result<(), Error> {
    let plan = authority.plan();
    let after = new.record();
    let mask = plan.fields(&authority.context(call, after, before));
    let mask_before = before.map(|before| plan.fields(&authority.context(call, before, Some(before))));
    let mut violations = Violations::default();
    let changed = validate::changed_fields(before, after).into_iter();
    let fields: BTreeSet<&str> = changed.chain(unseen.iter().map(String::as_str)).collect();
    for field in fields {
        let writable = mask.contains(field) && mask_before.as_ref().is_none_or(|mask| mask.contains(field));
        if !writable && given.iter().any(|name| name == field) && !SYSTEM_FIELDS.contains(&field) {
            violations.add(Pointer::field(field), "field.forbidden", format!("not allowed to write `{field}`"));
        }
    }
    violations.or(()).map_err(|violations| forbidden(call, collection, (after, before), violations))
}
