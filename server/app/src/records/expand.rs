//! Records that are shown beside others, along relations in both directions. Each relation is one step for all records together, under the
//! caller's own plan for the collection that it leads to: what the caller may not see there is not there.

mod branch;

use std::collections::{BTreeSet, HashMap};

use futures_util::future::BoxFuture;
use model::{Action, Collection, Pointer, Record, Value, Violations};
use policies::{Access, Plan};
use store::records::{
    Ground,
    related::{self, Bounds, Pointing},
};

use branch::Hop;
pub(super) use branch::{Branch, check_readable};
pub use branch::{Relation, possible};

use super::list::{BYTES_MAX, given, guards, size};
use crate::{Error, call::Call};

/// The most records that are shown of those that point to one record.
const POINTING_MAX: usize = 100;

/// The most records that one request fetches to show them beside others.
const FETCHED_MAX: usize = 1_000;

/// How many records are read at once, before it is known how large they are.
const PORTION: usize = 64;

/// The member of `expand` that names the relations of which not all records are shown. No relation is called so.
pub const MORE: &str = "(more)";

/// Reads the text of `expand`, if there is one.
///
/// # Errors
/// Relations that are not there, or too many of them.
pub(super) fn asked(call: &Call, collection: &Collection, text: &Option<String>) -> Result<Vec<Branch>, Error> {
    let mut violations = Violations::default();
    let branches = given(text).map_or_else(Vec::new, |text| branch::parse(&call.world.catalog, collection, text, &mut violations));
    violations.or(branches).map_err(Error::Query)
}

/// Finds what is to be shown beside each of the records, as the JSON of their members `expand`; nothing if nothing is asked for.
///
/// # Errors
/// More than the limits allow, or what the store reports.
pub(super) async fn expand(
    call: &Call,
    plan: &Plan,
    collection: &Collection,
    records: &[Record],
    branches: &[Branch],
) -> Result<Vec<Vec<u8>>, Error> {
    if branches.is_empty() {
        return Ok(Vec::new());
    }
    Walk { call, left: FETCHED_MAX, bytes: 0 }.members(plan, collection, records, branches).await
}

/// Puts the member `expand` into the JSON object of a record.
pub(super) fn append(object: &mut Vec<u8>, member: &[u8]) {
    // The object has an id, so there is something before the comma.
    object.pop();
    object.extend_from_slice(b",\"expand\":");
    object.extend_from_slice(member);
    object.push(b'}');
}

/// One request on its way through the relations.
struct Walk<'a> {
    call: &'a Call,
    /// How many records may still be fetched.
    left: usize,
    /// How many bytes were fetched.
    bytes: usize,
}

/// What stands at a relation of one record.
enum Beside {
    /// The caller may not see the relation of this record.
    Hidden,
    /// At most one record; none if there is none that the caller may see.
    One(Option<String>),
    /// Ids, and whether there are more.
    Several(Vec<String>, bool),
}

impl Walk<'_> {
    /// The JSON of the member `expand` of each record.
    fn members<'b>(
        &'b mut self,
        plan: &'b Plan,
        collection: &'b Collection,
        records: &'b [Record],
        branches: &'b [Branch],
    ) -> BoxFuture<'b, Result<Vec<Vec<u8>>, Error>> {
        Box::pin(async move {
            let mut members: Vec<Vec<u8>> = vec![vec![b'{']; records.len()];
            let mut more: Vec<Vec<&str>> = vec![Vec::new(); records.len()];
            let mut bytes = 0;
            for branch in branches {
                let (found, beside) = self.follow(plan, collection, records, branch).await?;
                for (index, beside) in beside.iter().enumerate() {
                    bytes += branch.key.len() + 8 + length(beside, &found);
                    if bytes > BYTES_MAX {
                        return Err(too_large());
                    }
                    write(&mut members[index], &branch.key, beside, &found);
                    if let Beside::Several(_, true) = beside {
                        more[index].push(&branch.key);
                    }
                }
            }
            for (member, more) in members.iter_mut().zip(more) {
                if !more.is_empty() {
                    write_key(member, MORE);
                    member.extend(Value::List(more.into_iter().map(Value::from).collect()).to_json().into_bytes());
                }
                member.push(b'}');
            }
            Ok(members)
        })
    }

    /// The JSON of the records that a relation leads to, by id, and which of them stand beside each record.
    async fn follow(
        &mut self,
        plan: &Plan,
        collection: &Collection,
        records: &[Record],
        branch: &Branch,
    ) -> Result<(HashMap<String, Vec<u8>>, Vec<Beside>), Error> {
        let target_plan = self.call.world.policies.plan(&self.call.caller, Action::Read, &branch.target);
        let closed = *target_plan.access() == Access::Never;
        let beside: Vec<Beside> = match &branch.hop {
            Hop::Forward { field } => records.iter().map(|record| self.named(plan, collection, record, field)).collect(),
            Hop::Backward { .. } if closed => records.iter().map(|_| Beside::Several(Vec::new(), false)).collect(),
            Hop::Backward { field } => self.pointing(&target_plan, &branch.target, field, records).await?,
        };
        let mut seen = if closed { Vec::new() } else { self.fetch(&branch.target, &beside).await? };
        seen.retain(|record| target_plan.allows(&self.call.context(record, None)));
        let members = match branch.branches.is_empty() {
            true => Vec::new(),
            false => self.members(&target_plan, &branch.target, &seen, &branch.branches).await?,
        };
        let mut texts = HashMap::with_capacity(seen.len());
        for (index, record) in seen.iter().enumerate() {
            let visible = self.call.shows(&target_plan, &branch.target, record);
            let mut text = serde_json::to_vec(&record.view(visible)).map_err(|error| Error::Internal(error.to_string()))?;
            if let Some(member) = members.get(index) {
                append(&mut text, member);
            }
            texts.insert(record.id.clone(), text);
        }
        Ok((texts, beside))
    }

    /// What a record points to, if the caller may see that.
    fn named(&self, plan: &Plan, collection: &Collection, record: &Record, field: &str) -> Beside {
        if !self.call.shows(plan, collection, record)(field) {
            return Beside::Hidden;
        }
        match record.value(field).as_ref() {
            Value::List(ids) => Beside::Several(ids.iter().filter_map(Value::as_text).map(str::to_owned).collect(), false),
            _ if collection.field(field).is_some_and(|field| field.many) => Beside::Several(Vec::new(), false),
            id => Beside::One(id.as_text().map(str::to_owned)),
        }
    }

    /// What points to each record, as far as the caller may see it.
    async fn pointing(&mut self, plan: &Plan, target: &Collection, field: &str, records: &[Record]) -> Result<Vec<Beside>, Error> {
        let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        let guards = guards(plan);
        let ground = Ground { caller: &self.call.caller, now: &self.call.now, guards: &guards };
        // One more than is shown tells whether there are more; one more than may be fetched, that it is too much.
        let bounds = Bounds { each: POINTING_MAX + 1, all: FETCHED_MAX + 1 };
        let found = related::pointing(&self.call.app.store, target, ground, field, &ids, bounds).await?;
        if found.len() > FETCHED_MAX {
            return Err(too_many());
        }
        Ok(grouped(&ids, found))
    }

    /// Reads the records that stand beside others.
    async fn fetch(&mut self, target: &Collection, beside: &[Beside]) -> Result<Vec<Record>, Error> {
        let ids = beside.iter().flat_map(|beside| match beside {
            Beside::Hidden => &[],
            Beside::One(id) => id.as_slice(),
            Beside::Several(ids, _) => ids.as_slice(),
        });
        let ids: BTreeSet<&str> = ids.map(String::as_str).collect();
        self.left = self.left.checked_sub(ids.len()).ok_or_else(too_many)?;
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut found = Vec::with_capacity(ids.len());
        for portion in ids.chunks(PORTION) {
            let records = related::get_many(&self.call.app.store, target, &self.call.caller.tenant, portion).await?;
            self.bytes += records.iter().map(size).sum::<usize>();
            if self.bytes > BYTES_MAX {
                return Err(too_large());
            }
            found.extend(records);
        }
        Ok(found)
    }
}

/// The ids of those that point to each of these.
fn grouped(ids: &[&str], found: Vec<Pointing>) -> Vec<Beside> {
    let mut by_target: HashMap<&str, Vec<String>> = ids.iter().map(|id| (*id, Vec::new())).collect();
    for source in found {
        let targets = match &source.value {
            Value::List(targets) => targets.as_slice(),
            one => std::slice::from_ref(one),
        };
        for target in targets.iter().filter_map(Value::as_text) {
            if let Some(sources) = by_target.get_mut(target) {
                sources.push(source.id.clone());
            }
        }
    }
    let beside = ids.iter().map(|id| {
        let mut sources = by_target.remove(id).unwrap_or_default();
        let more = sources.len() > POINTING_MAX;
        sources.truncate(POINTING_MAX);
        Beside::Several(sources, more)
    });
    beside.collect()
}

/// How many bytes a member will have, about.
fn length(beside: &Beside, found: &HashMap<String, Vec<u8>>) -> usize {
    let length = |id: &String| found.get(id).map_or(4, Vec::len) + 1;
    match beside {
        Beside::Hidden => 0,
        Beside::One(id) => id.as_ref().map_or(4, length),
        Beside::Several(ids, _) => ids.iter().map(length).sum(),
    }
}

/// One member of the JSON object.
fn write(member: &mut Vec<u8>, key: &str, beside: &Beside, found: &HashMap<String, Vec<u8>>) {
    match beside {
        Beside::Hidden => {}
        Beside::One(id) => {
            write_key(member, key);
            member.extend_from_slice(id.as_ref().and_then(|id| found.get(id)).map_or(b"null", Vec::as_slice));
        }
        Beside::Several(ids, _) => {
            write_key(member, key);
            member.push(b'[');
            for (index, text) in ids.iter().filter_map(|id| found.get(id)).enumerate() {
                if index > 0 {
                    member.push(b',');
                }
                member.extend_from_slice(text);
            }
            member.push(b']');
        }
    }
}

fn write_key(member: &mut Vec<u8>, key: &str) {
    if member.len() > 1 {
        member.push(b',');
    }
    // Keys are names with brackets and need no escapes.
    member.push(b'"');
    member.extend_from_slice(key.as_bytes());
    member.extend_from_slice(b"\":");
}

fn too_many() -> Error {
    too_much(format!("more than {FETCHED_MAX} records would have to be fetched"))
}

fn too_large() -> Error {
    too_much(format!("there would be more than {BYTES_MAX} bytes to show"))
}

/// The client can ask for less.
fn too_much(what: String) -> Error {
    let mut violations = Violations::default();
    violations.add(Pointer::field("expand"), "query.limit", format!("{what}: expand less, or ask for fewer records at once"));
    Error::Query(violations)
}
