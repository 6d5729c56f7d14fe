//! What `expand` asks for: `customer,items.product,orders(customer)` as a tree of relations, read against the collections.

use model::{Action, Collection, FieldType, Pointer, Violation, Violations, record::EXPAND};
use policies::{Access, Plan};

use crate::{call::Call, world::Catalog};

/// The most relations in a row.
pub(super) const DEPTH_MAX: usize = 4;

/// The most paths in one request.
pub(super) const PATHS_MAX: usize = 16;

/// A relation that is followed, and those behind it.
#[derive(Debug)]
pub(in crate::records) struct Branch {
    /// As the client writes it; what it is called in the answer.
    pub(super) key: String,
    pub(super) hop: Hop,
    /// The collection that it leads to.
    pub(super) target: Collection,
    pub(super) branches: Vec<Branch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    /// To what this record points to.
    Forward { field: String },
    /// To the records that point here with this field of theirs.
    Backward { field: String },
}

/// A relation that records of a collection can be expanded by.
pub struct Relation<'a> {
    /// What `expand` and the answer call it.
    pub key: String,
    /// The collection that it leads to.
    pub target: &'a str,
    /// It leads to any number of records.
    pub several: bool,
}

/// The relations of a collection, and those that lead to it.
#[must_use]
pub fn possible<'a>(catalog: &'a Catalog, collection: &'a Collection) -> Vec<Relation<'a>> {
    if collection.field(EXPAND).is_some() {
        return Vec::new();
    }
    let forward = collection
        .fields()
        .filter_map(|field| Some(Relation { key: field.name.clone(), target: target(collection, &field.name)?, several: field.many }));
    let backward = catalog.values().flat_map(|source| source.fields().map(move |field| (source, field)));
    let backward = backward.filter(|(source, field)| target(source, &field.name) == Some(collection.name()));
    let key = |source: &Collection, field: &str| format!("{}({field})", source.name());
    forward
        .filter(|relation| catalog.contains_key(relation.target))
        .chain(backward.map(|(source, field)| Relation { key: key(source, &field.name), target: source.name(), several: true }))
        .collect()
}

/// Reads the text of `expand`.
pub(super) fn parse(catalog: &Catalog, collection: &Collection, text: &str, violations: &mut Violations) -> Vec<Branch> {
    let mut branches = Vec::new();
    let paths: Vec<&str> = text.split(',').map(str::trim).collect();
    if paths.len() > PATHS_MAX {
        violations.add(Pointer::field("expand"), "query.value", format!("more than {PATHS_MAX} paths"));
        return branches;
    }
    for path in paths {
        let segments: Vec<&str> = path.split('.').map(str::trim).collect();
        let grown = if segments.len() > DEPTH_MAX {
            Err(format!("`{path}` has more than {DEPTH_MAX} relations in a row"))
        } else {
            grow(catalog, collection, &segments, &mut branches)
        };
        if let Err(message) = grown {
            violations.add(Pointer::field("expand"), "query.value", message);
        }
    }
    branches
}

fn grow(catalog: &Catalog, collection: &Collection, segments: &[&str], branches: &mut Vec<Branch>) -> Result<(), String> {
    let Some((first, rest)) = segments.split_first() else { return Ok(()) };
    if collection.field(EXPAND).is_some() {
        return Err(format!("`{}` has a field `expand`, so nothing can be shown beside its records", collection.name()));
    }
    let position = match branches.iter().position(|branch| branch.key == *first) {
        Some(position) => position,
        None => {
            let (hop, target) = hop(catalog, collection, first)
                .ok_or_else(|| format!("`{first}` is no relation of `{}`, nor one that leads to it", collection.name()))?;
            branches.push(Branch { key: (*first).to_owned(), hop, target, branches: Vec::new() });
            branches.len() - 1
        }
    };
    let branch = &mut branches[position];
    grow(catalog, &branch.target, rest, &mut branch.branches)
}

fn hop(catalog: &Catalog, collection: &Collection, segment: &str) -> Option<(Hop, Collection)> {
    let Some((source, field)) = segment.strip_suffix(')').and_then(|segment| segment.split_once('(')) else {
        let target = target(collection, segment)?;
        return Some((Hop::Forward { field: segment.to_owned() }, catalog.get(target)?.clone()));
    };
    let source = catalog.get(source)?;
    let points_here = target(source, field)? == collection.name();
    points_here.then(|| (Hop::Backward { field: field.to_owned() }, source.clone()))
}

/// The collection that a relation points into; none for other fields and for what nobody can read.
fn target<'a>(collection: &'a Collection, field: &str) -> Option<&'a str> {
    let field = collection.field(field).filter(|field| field.kind == FieldType::Relation && !field.is_secret())?;
    field.collection.as_deref()
}

/// Reports relations that the caller may not look at. A relation of a record may be followed where it is shown; what points here is
/// found by a field of its own, so that must be readable in every record, as for a filter.
pub(in crate::records) fn check_readable(
    call: &Call,
    plan: &Plan,
    collection: &Collection,
    branches: &[Branch],
    violations: &mut Violations,
) {
    for branch in branches {
        let target_plan = call.world.policies.plan(&call.caller, Action::Read, &branch.target);
        let hidden = match &branch.hop {
            Hop::Forward { field } => (!plan.may_show(field)).then(|| (field, collection.name())),
            Hop::Backward { field } => {
                let open = *target_plan.access() == Access::Never || target_plan.unconditional_fields().contains(field);
                (!open).then(|| (field, branch.target.name()))
            }
        };
        if let Some((field, owner)) = hidden {
            let message = format!("`{field}` of `{owner}` cannot be read, so it cannot be used in `expand`");
            let violation = Violation::new(Pointer::field("expand"), "field.unreadable", message);
            if !violations.0.contains(&violation) {
                violations.0.push(violation);
            }
        }
        // Where nothing can be seen, there is nothing behind it.
        if *target_plan.access() != Access::Never {
            check_readable(call, &target_plan, &branch.target, &branch.branches, violations);
        }
    }
}
