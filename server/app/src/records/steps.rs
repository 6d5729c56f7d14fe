//! The steps of a write inside an open transaction: load, run rules, validate, check the result, write, log. Requests, plugins and cascades
//! all come through here.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use model::{
    Action, Caller, Collection, Draft, Field, FieldType, NewRecord, Pointer, Record, Value, Violations, collection::USERS,
    condition::Context, field::OnDelete, record::SYSTEM_FIELDS, validate,
};
use plugins::Operation;
use policies::Plan;
use store::{Transaction, changes};

use super::{
    rules::{self, Subject},
    update::Manner,
};
use crate::{Error, call::Call, decisions::Refused};

/// On which ground a write stands.
#[derive(Clone)]
pub(super) enum Authority {
    /// The policies allow it to the caller, as far as this plan goes.
    Plan(Arc<Plan>),
    /// The operator granted it to a plugin.
    Grant(Arc<Granted>),
}

/// What the operator granted to a plugin, as far as no policy denies it.
pub(super) struct Granted {
    /// The plugin as a caller.
    pub(super) caller: Caller,
    pub(super) plan: Arc<Plan>,
}

impl Authority {
    fn plan(&self) -> &Plan {
        match self {
            Authority::Plan(plan) => plan,
            Authority::Grant(granted) => &granted.plan,
        }
    }

    fn context<'a>(&'a self, call: &'a Call, record: &'a Record, before: Option<&'a Record>) -> Context<'a> {
        match self {
            Authority::Plan(_) => call.context(record, before),
            Authority::Grant(granted) => Context { caller: &granted.caller, ..call.context(record, before) },
        }
    }

    fn allows(&self, call: &Call, record: &Record, before: Option<&Record>) -> bool {
        self.plan().allows(&self.context(call, record, before))
    }

    /// The ground on which records that depend on this one are changed with it.
    fn of_dependents(&self, call: &Call, action: Action, collection: &Collection) -> Result<Authority, Error> {
        match self {
            Authority::Plan(_) => call.plan(action, collection).map(Authority::Plan),
            Authority::Grant(granted) => {
                let plan = call.world.policies.granted_plan(&granted.caller, action, collection);
                Ok(Authority::Grant(Arc::new(Granted { caller: granted.caller.clone(), plan })))
            }
        }
    }
}

/// Writes a new record.
pub(super) async fn create(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    mut draft: Draft,
) -> Result<Record, Error> {
    let given: Vec<String> = draft.values.keys().cloned().collect();
    let caller = call.caller.principal.id();
    validate::fill_defaults(collection, &mut draft, caller);
    let id = next_id();

    let subject = Subject { collection, operation: Operation::Create, id: &id, before: None };
    let ran = rules::before_write(call, transaction, &subject, Some(&mut draft)).await?;
    let stamp = validate::Stamp {
        id: id.clone(),
        tenant: call.caller.tenant.clone(),
        now: call.now.to_string(),
        caller: caller.map(str::to_owned),
    };
    let new = validate::create(collection, draft, stamp).map_err(Error::Invalid)?;
    check_relations(call, transaction, collection, &new, None).await?;
    if !authority.allows(call, new.record(), None) {
        return Err(call.denied(Refused { record: Some(new.record().clone()), ..Refused::records(Action::Create, collection) }));
    }
    check_write_mask(call, &authority, collection, (&new, None), (&given, &[]))?;

    take_turns(call, transaction, collection).await?;
    store::records::insert(transaction, collection, &new).await.map_err(|error| not_unique(collection, error))?;
    log(call, transaction, collection, &authority, "create", (None, Some(new.record())), ran).await?;
    rules::after_write(call, transaction, &subject, Some(new.record())).await?;
    Ok(new.into_record())
}

/// What an update is asked to do.
pub(super) struct Change<'a> {
    pub(super) id: &'a str,
    pub(super) draft: Draft,
    pub(super) manner: Manner,
    pub(super) if_match: Option<&'a str>,
}

/// Writes the next version of a stored record.
pub(super) async fn update(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    change: Change<'_>,
) -> Result<Record, Error> {
    let stored = load(call, transaction, (collection, Action::Update), &authority, change.id, change.if_match).await?;
    let (change, unseen) = blind(call, &authority, collection, &stored, change)?;
    let given: Vec<String> = match change.manner {
        Manner::Merge => change.draft.values.keys().cloned().collect(),
        Manner::Replace => collection.fields().map(|field| field.name.clone()).collect(),
    };
    let mut draft = match change.manner {
        Manner::Merge => validate::merged(&stored, change.draft),
        Manner::Replace => validate::replaced(collection, &stored, change.draft),
    };

    let subject = Subject { collection, operation: Operation::Update, id: change.id, before: Some(&stored) };
    let ran = rules::before_write(call, transaction, &subject, Some(&mut draft)).await?;
    let new = validate::update(collection, &stored, draft, &call.now).map_err(Error::Invalid)?;
    check_relations(call, transaction, collection, &new, Some(&stored)).await?;
    if !authority.allows(call, new.record(), Some(&stored)) {
        let (record, before) = (Some(new.record().clone()), Some(stored));
        return Err(call.denied(Refused {
            id: Some(change.id.to_owned()),
            record,
            before,
            ..Refused::records(Action::Update, collection)
        }));
    }
    check_write_mask(call, &authority, collection, (&new, Some(&stored)), (&given, &unseen))?;

    take_turns(call, transaction, collection).await?;
    store::records::update(transaction, collection, &new).await.map_err(|error| not_unique(collection, error))?;
    if password_changed(collection, &stored, new.record()) {
        store::sessions::remove_all(transaction, &stored.id).await?;
    }
    log(call, transaction, collection, &authority, "update", (Some(&stored), Some(new.record())), ran).await?;
    rules::after_write(call, transaction, &subject, Some(new.record())).await?;
    Ok(new.into_record())
}

/// A change that tells nothing about fields which the caller cannot see. Naming one that it cannot write either is refused whatever the value
/// is: a right guess must look like a wrong one. What the client cannot know stays when it replaces the record.
fn blind<'a>(
    call: &Call,
    authority: &Authority,
    collection: &Collection,
    stored: &Record,
    mut change: Change<'a>,
) -> Result<(Change<'a>, Vec<String>), Error> {
    let Authority::Plan(plan) = authority else { return Ok((change, Vec::new())) };
    let read = call.world.policies.plan(&call.caller, Action::Read, collection);
    let visible = call.shows(&read, collection, stored);
    let mask = plan.fields(&call.context(stored, Some(stored)));
    let (mut violations, mut unseen) = (Violations::default(), Vec::new());
    for field in collection.fields().filter(|field| !visible(&field.name)) {
        if change.draft.values.contains_key(&field.name) {
            unseen.push(field.name.clone());
            // An immutable field would answer whether the guess is what is stored.
            if field.immutable || !mask.contains(&field.name) {
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

/// Removes a stored record and returns it as it was.
pub(super) async fn delete(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    id: &str,
    if_match: Option<&str>,
) -> Result<Record, Error> {
    delete_with(call, transaction, collection, authority, (id, if_match), &mut Going::default()).await
}

/// The records that one deletion takes along, itself included: `collection` and `id`.
#[derive(Default)]
struct Going {
    records: BTreeSet<(String, String)>,
    depth: usize,
}

impl Going {
    fn has(&self, collection: &Collection, id: &str) -> bool {
        self.records.contains(&(collection.name().to_owned(), id.to_owned()))
    }
}

/// How many records one deletion may take along, and over how many relations in a row.
const GOING_MAX: usize = 1_000;
const GOING_DEPTH_MAX: usize = 16;

async fn delete_with(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: Authority,
    (id, if_match): (&str, Option<&str>),
    going: &mut Going,
) -> Result<Record, Error> {
    going.records.insert((collection.name().to_owned(), id.to_owned()));
    let stored = load(call, transaction, (collection, Action::Delete), &authority, id, if_match).await?;
    let subject = Subject { collection, operation: Operation::Delete, id, before: Some(&stored) };
    let ran = rules::before_write(call, transaction, &subject, None).await?;
    going.depth += 1;
    release_dependents(call, transaction, collection, &authority, id, going).await?;
    going.depth -= 1;
    take_turns(call, transaction, collection).await?;
    store::records::remove(transaction, collection, id).await?;
    if collection.name() == USERS {
        store::sessions::remove_all(transaction, id).await?;
    }
    log(call, transaction, collection, &authority, "delete", (Some(&stored), None), ran).await?;
    rules::after_write(call, transaction, &subject, None).await?;
    Ok(stored)
}

/// A rule that decides by a search must not miss what is written here: nothing in the database would notice.
pub(super) async fn take_turns(call: &Call, transaction: &Transaction, collection: &Collection) -> Result<(), Error> {
    if call.world.plugins.searches(collection.name()) {
        store::guards::take(transaction, collection.name(), &call.caller.tenant).await?;
    }
    Ok(())
}

/// Reads the stored record, locked. One that the plan does not allow is not there for this caller.
async fn load(
    call: &Call,
    transaction: &Transaction,
    (collection, action): (&Collection, Action),
    authority: &Authority,
    id: &str,
    if_match: Option<&str>,
) -> Result<Record, Error> {
    let stored = match store::records::get_locked(transaction, collection, &call.caller.tenant, id).await? {
        Some(stored) if authority.allows(call, &stored, Some(&stored)) => stored,
        stored => {
            return Err(match authority {
                Authority::Plan(_) => call.hidden(action, collection, id, stored),
                Authority::Grant(_) => Error::no_record(id),
            });
        }
    };
    if if_match.is_some_and(|tags| !matches_tag(tags, &stored.etag())) {
        return Err(Error::VersionMismatch);
    }
    Ok(stored)
}

/// RFC 9110, section 13.1.1: any of the listed strong tags, or `*`.
fn matches_tag(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == etag)
}

/// Every relation that is new must point to a record that is there and stays there until the commit.
pub(super) async fn check_relations(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    new: &NewRecord,
    before: Option<&Record>,
) -> Result<(), Error> {
    let known: Vec<&str> = before.iter().flat_map(|before| validate::relations(collection, before)).map(|(_, _, id)| id).collect();
    let mut violations = Violations::default();
    for (pointer, target, id) in validate::relations(collection, new.record()) {
        if known.contains(&id) {
            continue;
        }
        let found = match call.world.catalog.get(target) {
            Some(target) => store::records::get_locked(transaction, target, &call.caller.tenant, id).await?.is_some(),
            None => false,
        };
        if !found {
            violations.add(pointer, "relation.missing", format!("there is no record `{id}` in `{target}`"));
        }
    }
    violations.or(()).map_err(Error::Invalid)
}

/// Of the fields that the client named, those that changed must be among the fields that the policies let it write. What rules and
/// defaults set is not the client's doing.
fn check_write_mask(
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

/// What happens to the records that point to one that is deleted: each is authorized and runs through its own rules.
async fn release_dependents(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    id: &str,
    going: &mut Going,
) -> Result<(), Error> {
    for other in call.world.catalog.values() {
        for field in other.fields().filter(|field| field.collection.as_deref() == Some(collection.name())) {
            let dependents = dependents(call, transaction, other, field, id).await?;
            for record in dependents {
                // One that goes anyway is in nobody's way; that also ends circles.
                if going.has(other, &record.id) {
                    continue;
                }
                let released = release(call, transaction, (other, field), authority, (&record, id), going).await;
                released.map_err(|error| match error {
                    // What keeps the record is not for this caller to know.
                    Error::Decided { .. } => unreleased(other, field),
                    error => error,
                })?;
            }
        }
    }
    Ok(())
}

/// Deletes or changes one record that points to the one that is deleted, or says that it is in the way.
async fn release(
    call: &Call,
    transaction: &Transaction,
    (other, field): (&Collection, &Field),
    authority: &Authority,
    (record, id): (&Record, &str),
    going: &mut Going,
) -> Result<(), Error> {
    match field.on_delete.unwrap_or_default() {
        OnDelete::Restrict => Err(unreleased(other, field)),
        OnDelete::Cascade if going.depth >= GOING_DEPTH_MAX || going.records.len() >= GOING_MAX => Err(unreleased(other, field)),
        OnDelete::Cascade => {
            let authority = authority.of_dependents(call, Action::Delete, other)?;
            Box::pin(delete_with(call, transaction, other, authority, (&record.id, None), going)).await.map(drop)
        }
        OnDelete::Unset => {
            let authority = authority.of_dependents(call, Action::Update, other)?;
            let change = Change { id: &record.id, draft: without(record, &field.name, id), manner: Manner::Merge, if_match: None };
            update(call, transaction, other, authority, change).await.map(drop)
        }
    }
}

async fn dependents(call: &Call, transaction: &Transaction, other: &Collection, field: &Field, id: &str) -> Result<Vec<Record>, Error> {
    let found = store::records::referring(transaction, other, &call.caller.tenant, &field.name, id, GOING_MAX + 1).await?;
    if found.len() > GOING_MAX {
        return Err(unreleased(other, field));
    }
    Ok(found)
}

/// The caller may not change a record that would have to go along, so the one it depends on stays.
fn unreleased(other: &Collection, field: &Field) -> Error {
    Error::Referenced { collection: other.name().to_owned(), field: field.name.clone() }
}

fn without(record: &Record, field: &str, id: &str) -> Draft {
    let value = match record.values.get(field) {
        Some(Value::List(ids)) => Value::List(ids.iter().filter(|other| other.as_text() != Some(id)).cloned().collect()),
        _ => Value::Null,
    };
    let mut draft = Draft::default();
    draft.values.insert(field.to_owned(), value);
    draft
}

pub(super) fn password_changed(collection: &Collection, before: &Record, after: &Record) -> bool {
    let mut passwords = collection.fields().filter(|field| field.kind == FieldType::Password);
    passwords.any(|field| before.values.get(&field.name) != after.values.get(&field.name))
}

pub(super) fn not_unique(collection: &Collection, error: store::Error) -> Error {
    let store::Error::Unique { index } = &error else { return Error::Store(error) };
    let mut violations = Violations::default();
    for field in store::schema::index_fields(collection, index) {
        violations.add(Pointer::field(field), "field.unique", format!("another record has this `{field}`"));
    }
    Error::NotUnique(violations)
}

async fn log(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    authority: &Authority,
    action: &str,
    records: (Option<&Record>, Option<&Record>),
    plugins: Vec<String>,
) -> Result<(), Error> {
    let (principal, policies) = match authority {
        Authority::Plan(plan) => (call.caller.principal.to_string(), plan.rules().iter().map(|policy| policy.id().to_string()).collect()),
        Authority::Grant(granted) => (granted.caller.principal.to_string(), Vec::new()),
    };
    append(call, transaction, collection, (principal, policies), action, records, plugins).await
}

/// Appends to the change log: who did it, and the ids of the policies that allowed it.
pub(super) async fn append(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    (principal, policies): (String, Vec<String>),
    action: &str,
    (before, after): (Option<&Record>, Option<&Record>),
    plugins: Vec<String>,
) -> Result<(), Error> {
    let (before, after) =
        (before.map(|record| without_passwords(collection, record)), after.map(|record| without_passwords(collection, record)));
    let change = changes::Change {
        id: next_id(),
        action,
        collection: collection.name(),
        before: before.as_ref(),
        after: after.as_ref(),
        principal,
        plugins,
        policies,
        request: call.id.to_string(),
        at: call.now.to_string(),
    };
    changes::append(transaction, &change).await?;
    Ok(())
}

/// The change log is kept for long; hashes of passwords are not.
fn without_passwords(collection: &Collection, record: &Record) -> Record {
    let mut record = record.clone();
    for field in collection.fields().filter(|field| field.kind == FieldType::Password) {
        record.values.insert(field.name.clone(), Value::Null);
    }
    record
}

/// A new id: a ULID that is greater than every earlier one of this process, also within the same millisecond.
pub(crate) fn next_id() -> String {
    static GENERATOR: LazyLock<Mutex<ulid::Generator>> = LazyLock::new(Mutex::default);
    let mut generator = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    // The generator fails only after 2^80 ids in one millisecond.
    generator.generate().unwrap_or_else(|_| ulid::Ulid::new()).to_string()
}
