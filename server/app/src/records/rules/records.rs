//! The records that a running rule sees: those of the same transaction, through the same steps as every other write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Action, Caller, Collection, Draft, FieldType, Modifiers, NewRecord, Principal, Record, Value, validate, value::Object};
use plugins::{BoxFuture, Effect, Failure, Records, RejectionKind, WritesAs};
use store::{Transaction, records::Ground};

use super::{record_json, run::Play};
use crate::{
    Error,
    call::{Call, Doing},
    outbox,
    plugins::Bound,
    records::{
        Preconditions,
        list::{Question, parse},
        steps::{self, Authority, Change, Granted},
        update::Manner,
    },
};

/// How deep rules may trigger rules.
const DEPTH_MAX: u8 = 4;

/// The errors of host calls that the guest cannot carry, so they wait here.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// The one that made the transaction useless.
    fatal: Option<Error>,
    /// The last with which the policies refused something to the caller, and what the guest heard of it.
    denied: Option<(String, Error)>,
}

impl Fault {
    pub(super) fn take(&self) -> Option<Error> {
        self.waiting().fatal.take()
    }

    fn put(&self, error: Error) {
        self.waiting().fatal = Some(error);
    }

    fn deny(&self, message: &str, error: Error) {
        self.waiting().denied = Some((message.to_owned(), error));
    }

    /// True if a guest that ends with these words has only passed on what the policies refused to the caller. That is what ends the run then.
    pub(super) fn was_denied(&self, words: &str) -> bool {
        let mut waiting = self.waiting();
        match waiting.denied.take_if(|(message, _)| words.contains(message.as_str())) {
            Some((_, error)) => {
                waiting.fatal = Some(error);
                true
            }
            None => false,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rule's view of the running transaction. Grants are checked before these functions are called.
pub(super) struct RuleRecords {
    call: Call,
    transaction: Transaction,
    bound: Bound,
    play: Play,
    fault: Fault,
}

impl RuleRecords {
    pub(super) fn new(call: &Call, transaction: &Transaction, bound: &Bound, play: Play, fault: &Fault) -> Self {
        let call = Call { depth: call.depth + 1, ..call.clone() };
        Self { call, transaction: transaction.clone(), bound: bound.clone(), play, fault: fault.clone() }
    }

    /// What the guest hears of an error. One that leaves the transaction useless ends the guest.
    fn failure(&self, error: Error) -> Failure {
        heard(&error).unwrap_or_else(|| self.fatal("unavailable", error))
    }

    /// What the guest hears of a write that failed. When it had written something already, only the whole transaction can undo that. Whoever
    /// hears of it instead of the guest has not sent what the guest wrote.
    fn failed_write(&self, error: Error, collection: &str, writes_before: u64) -> Failure {
        let undone = self.transaction.writes() == writes_before;
        let failure = heard(&error).filter(|_| undone);
        let as_caller = self.bound.installed.manifest().writes_as == WritesAs::Caller;
        let denied = as_caller && is_denied(&error);
        let error = error.elsewhere(&format!("in `{collection}`"));
        let Some(failure) = failure else {
            return self.fatal(if undone { "unavailable" } else { "invalid" }, error);
        };
        if denied {
            self.fault.deny(&failure.message, error);
        }
        failure
    }

    fn fatal(&self, code: &str, error: Error) -> Failure {
        let message = error.to_string();
        self.fault.put(error);
        Failure::fatal(code, message)
    }

    /// The draft of a write. Passwords are not for plugins to set: what they hand over would be taken for a hash.
    fn draft_for(collection: &Collection, content: &str) -> Result<Draft, Error> {
        let mut draft = Self::draft(content)?;
        draft.values.retain(|name, _| collection.field(name).is_none_or(|field| field.kind != FieldType::Password));
        Ok(draft)
    }

    /// On which ground the plugin writes: its grants as far as no policy denies them, or also what the policies allow to the caller.
    fn authority(&self, action: Action, collection: &Collection) -> Result<Authority, Error> {
        match self.bound.installed.manifest().writes_as {
            WritesAs::Caller => self.call.plan(action, collection).map(Authority::Plan),
            WritesAs::Plugin => {
                let name = self.bound.installed.name().to_owned();
                let caller = Caller::new(Principal::Plugin(name), &self.call.caller.tenant, Object::new());
                let caller = self.call.world.policies.with_roles(caller);
                let plan = self.call.world.policies.granted_plan(&caller, action, collection);
                Ok(Authority::Grant(Arc::new(Granted { caller, plan })))
            }
        }
    }

    fn draft(content: &str) -> Result<Draft, Error> {
        Draft::parse(content.as_bytes()).map_err(Error::Body)
    }

    fn collection(&self, name: &str) -> Result<Collection, Error> {
        self.call.collection(name)
    }

    /// Rules that write make other rules run, which may write.
    fn deeper(&self) -> Result<(), Failure> {
        if self.call.depth > DEPTH_MAX {
            return Err(Failure::new("limit", format!("rules trigger rules more than {DEPTH_MAX} deep")));
        }
        Ok(())
    }

    async fn stored(&self, collection: &Collection, id: &str) -> Result<Option<Record>, Error> {
        let tenant = &self.call.caller.tenant;
        Ok(match self.play {
            // What a rule has read must not change before the commit, or it would have decided about something else.
            Play::Real => store::records::get_locked(&self.transaction, collection, tenant, id).await?,
            Play::Shadow => store::records::get(&self.transaction, collection, tenant, id).await?,
        })
    }

    async fn read(&self, collection: &str, id: &str) -> Result<Option<String>, Error> {
        let collection = self.collection(collection)?;
        Ok(self.stored(&collection, id).await?.map(|record| record_json(&collection, &record)))
    }

    /// What would be stored, without the rules that it would run.
    fn shadow_create(&self, collection: &Collection, mut draft: Draft) -> Result<Record, Error> {
        let caller = self.call.caller.principal.id();
        validate::fill_defaults(collection, &mut draft, caller);
        let (tenant, now) = (self.call.caller.tenant.clone(), self.call.now.to_string());
        let stamp = validate::Stamp { id: steps::next_id(), tenant, now, caller: caller.map(str::to_owned) };
        validate::create(collection, draft, stamp).map(NewRecord::into_record).map_err(Error::Invalid)
    }

    async fn shadow_update(&self, collection: &Collection, id: &str, draft: Draft) -> Result<Record, Error> {
        self.call.attempt.under_way.check(Doing::Writing, collection, id)?;
        let stored = self.stored(collection, id).await?.ok_or_else(|| Error::no_record(id))?;
        let mut draft = draft;
        let modifiers = Modifiers::split(&mut draft);
        modifiers.apply(collection, &stored.values, &mut draft).map_err(Error::Invalid)?;
        let draft = validate::merged(&stored, draft);
        validate::update(collection, &stored, draft, &self.call.now).map(NewRecord::into_record).map_err(Error::Invalid)
    }

    async fn enqueue_effect(&self, effect: Effect) -> Result<String, Error> {
        let row = outbox::effect(&self.call, &self.bound, effect)?;
        if self.play == Play::Real {
            self.call.enqueue(&self.transaction, &row).await?;
        }
        Ok(row.id)
    }

    async fn search(&self, collection: &str, query: &str) -> Result<String, Error> {
        let collection = self.collection(collection)?;
        let parsed = parse(&collection, &question(query)?)?;
        if self.play == Play::Real {
            // What the search has not found must not appear before the commit either.
            store::guards::take(&self.transaction, collection.name(), &self.call.caller.tenant).await?;
        }
        let ground = Ground { caller: &self.call.caller, now: &self.call.now, guards: &[] };
        let records = store::records::list(&self.transaction, &collection, ground, &parsed.list).await?;
        let chosen = parsed.fields;
        let texts = records.into_iter().map(|mut record| {
            record.values.retain(|name, _| chosen.as_ref().is_none_or(|chosen| chosen.iter().any(|field| field == name)));
            record_json(&collection, &record)
        });
        Ok(format!("[{}]", texts.collect::<Vec<_>>().join(",")))
    }
}

/// What a guest hears of an error that leaves the transaction as it was.
fn heard(error: &Error) -> Option<Failure> {
    let cause = if let Error::Decided { error, .. } = error { &**error } else { error };
    let (code, violations) = match cause {
        Error::Invalid(violations) | Error::Query(violations) => ("invalid", Some(violations)),
        Error::Refused { kind, violations, .. } => (code_of(*kind), Some(violations)),
        // What the index itself refuses has been written, and never comes here.
        Error::NotUnique(violations) => ("exists", Some(violations)),
        Error::FieldsDenied(violations) => ("not-allowed", Some(violations)),
        Error::Body(_) => ("invalid", None),
        Error::NotFound { .. } => ("not-found", None),
        Error::Denied { .. } | Error::Unauthenticated | Error::BeingWritten { .. } => ("not-allowed", None),
        Error::Referenced { .. } | Error::TooManyDependents { .. } => ("conflict", None),
        _ => return None,
    };
    let failure = Failure::new(code, error.to_string());
    Some(match violations {
        Some(violations) => Failure { details: serde_json::json!({ "errors": violations }).to_string(), ..failure },
        None => failure,
    })
}

fn code_of(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::Invalid => "invalid",
        RejectionKind::Conflict | RejectionKind::Retry => "conflict",
        RejectionKind::Forbidden => "not-allowed",
    }
}

/// True for what the policies refuse.
fn is_denied(error: &Error) -> bool {
    let Error::Decided { error, .. } = error else { return false };
    matches!(**error, Error::Denied { .. } | Error::Unauthenticated | Error::FieldsDenied(_))
}

/// A plugin's query has the members of a client's list, as JSON.
fn question(query: &str) -> Result<Question, Error> {
    let Draft { values } = RuleRecords::draft(query)?;
    let mut question = Question::default();
    for (name, value) in values {
        let text = match value {
            Value::Text(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::List(names) => names.iter().filter_map(Value::as_text).collect::<Vec<_>>().join(","),
            _ => String::new(),
        };
        match name.as_str() {
            "filter" => question.filter = Some(text),
            "sort" => question.sort = Some(text),
            "limit" => question.limit = Some(text),
            "offset" => question.offset = Some(text),
            "fields" => question.fields = Some(text),
            other => {
                let message = format!("unknown member `{other}`; a query has `filter`, `sort`, `limit`, `offset` and `fields`");
                return Err(Error::Query(model::Violation::new(model::Pointer::field(other), "query.unknown", message).into()));
            }
        }
    }
    Ok(question)
}

impl Records for RuleRecords {
    fn get<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        Box::pin(async move { self.read(collection, id).await.map_err(|error| self.failure(error)) })
    }

    fn get_many<'a>(&'a mut self, collection: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<String>>, Failure>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(self.read(collection, id).await.map_err(|error| self.failure(error))?);
            }
            Ok(found)
        })
    }

    fn query<'a>(&'a mut self, collection: &'a str, query: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move { self.search(collection, query).await.map_err(|error| self.failure(error)) })
    }

    fn create<'a>(&'a mut self, collection: &'a str, content: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            self.deeper()?;
            let writes = self.transaction.writes();
            let story = async {
                let collection = self.collection(collection)?;
                let draft = Self::draft_for(&collection, content)?;
                let record = match self.play {
                    Play::Shadow => self.shadow_create(&collection, draft)?,
                    Play::Real => {
                        let authority = self.authority(Action::Create, &collection)?;
                        steps::create(&self.call, &self.transaction, &collection, authority, draft).await?
                    }
                };
                Ok(record_json(&collection, &record))
            };
            story.await.map_err(|error| self.failed_write(error, collection, writes))
        })
    }

    fn update<'a>(&'a mut self, collection: &'a str, id: &'a str, patch: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            self.deeper()?;
            let writes = self.transaction.writes();
            let story = async {
                let collection = self.collection(collection)?;
                let draft = Self::draft_for(&collection, patch)?;
                let record = match self.play {
                    Play::Shadow => self.shadow_update(&collection, id, draft).await?,
                    Play::Real => {
                        let authority = self.authority(Action::Update, &collection)?;
                        let change = Change { id, draft, manner: Manner::Merge, preconditions: Preconditions::NONE };
                        steps::update(&self.call, &self.transaction, &collection, authority, change).await?
                    }
                };
                Ok(record_json(&collection, &record))
            };
            story.await.map_err(|error| self.failed_write(error, collection, writes))
        })
    }

    fn delete<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            self.deeper()?;
            let writes = self.transaction.writes();
            let story = async {
                let collection = self.collection(collection)?;
                match self.play {
                    Play::Shadow => {
                        self.call.attempt.under_way.check(Doing::Deleting, &collection, id)?;
                        self.stored(&collection, id).await?.map(drop).ok_or_else(|| Error::no_record(id))
                    }
                    Play::Real => {
                        let authority = self.authority(Action::Delete, &collection)?;
                        steps::delete(&self.call, &self.transaction, &collection, authority, (id, Preconditions::NONE)).await.map(drop)
                    }
                }
            };
            story.await.map_err(|error| self.failed_write(error, collection, writes))
        })
    }

    fn enqueue<'a>(&'a mut self, effect: Effect) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move { self.enqueue_effect(effect).await.map_err(|error| self.failure(error)) })
    }
}
