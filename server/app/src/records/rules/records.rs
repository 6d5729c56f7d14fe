//! The records that a running rule sees: those of the same transaction, through the same steps as every other write.

use std::sync::{Arc, Mutex, PoisonError};

use model::{Collection, Draft, FieldType, Value};
use plugins::{BoxFuture, Failure, Records};
use store::{Transaction, records::Ground};

use super::{
    list::{Question, parse},
    rules::record_json,
    steps::{self, Authority, Change},
    update::Manner,
};
use crate::{Error, call::Call, plugins::Installed};

/// How deep rules may trigger rules.
const DEPTH_MAX: u8 = 4;

/// The error that made the transaction useless under a host call; the guest cannot carry it, so it waits here.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<Error>>>);

impl Fault {
    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// A rule's view of the running transaction. Grants are checked before these functions are called.
pub(super) struct RuleRecords {
    call: Call,
    transaction: Transaction,
    plugin: Arc<str>,
    fault: Fault,
}

impl RuleRecords {
    pub(super) fn new(call: &Call, transaction: &Transaction, installed: &Installed, fault: &Fault) -> Self {
        let call = Call { depth: call.depth + 1, ..call.clone() };
        Self { call, transaction: transaction.clone(), plugin: installed.name().into(), fault: fault.clone() }
    }

    /// What the guest hears of an error. One that leaves the transaction useless ends the guest.
    fn failure(&self, error: Error) -> Failure {
        let message = error.to_string();
        let violations = match &error {
            Error::Invalid(violations) | Error::Query(violations) | Error::Refused { violations, .. } => Some(violations),
            _ => None,
        };
        if let Some(violations) = violations {
            let details = serde_json::json!({ "errors": violations }).to_string();
            return Failure { details, ..Failure::new("invalid", message) };
        }
        match error {
            Error::NotFound { .. } => Failure::new("not-found", message),
            Error::Referenced { .. } => Failure::new("conflict", message),
            Error::Body(_) => Failure::new("invalid", message),
            error => {
                self.fault.put(error);
                Failure::fatal("unavailable", message)
            }
        }
    }

    /// What the guest hears of a write that failed. When it had written something already, only the whole transaction can undo that.
    fn failed_write(&self, error: Error, writes_before: u64) -> Failure {
        if self.transaction.writes() == writes_before {
            return self.failure(error);
        }
        let message = error.to_string();
        self.fault.put(error);
        Failure::fatal("invalid", message)
    }

    /// The draft of a write. Passwords are not for plugins to set: what they hand over would be taken for a hash.
    fn draft_for(collection: &Collection, content: &str) -> Result<Draft, Error> {
        let mut draft = Self::draft(content)?;
        draft.values.retain(|name, _| collection.field(name).is_none_or(|field| field.kind != FieldType::Password));
        Ok(draft)
    }

    fn authority(&self) -> Authority {
        Authority::Grant(Arc::clone(&self.plugin))
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

    async fn read(&self, collection: &str, id: &str) -> Result<Option<String>, Error> {
        let collection = self.collection(collection)?;
        // What a rule has read must not change before the commit, or it would have decided about something else.
        let record = store::records::get_locked(&self.transaction, &collection, &self.call.caller.tenant, id).await?;
        Ok(record.map(|record| record_json(&collection, &record)))
    }

    async fn search(&self, collection: &str, query: &str) -> Result<String, Error> {
        let collection = self.collection(collection)?;
        let parsed = parse(&collection, &question(query)?)?;
        let ground = Ground { caller: &self.call.caller, now: &self.call.now, guards: &[] };
        let records = store::records::list(&self.transaction, &collection, ground, &parsed.list).await?;
        let texts: Vec<String> = records.iter().map(|record| record_json(&collection, record)).collect();
        Ok(format!("[{}]", texts.join(",")))
    }
}

/// A plugin's query has the members of a client's list, as JSON.
fn question(query: &str) -> Result<Question, Error> {
    let Draft { values } = RuleRecords::draft(query)?;
    let mut question = Question::default();
    for (name, value) in values {
        let text = match value {
            Value::Text(text) => text,
            Value::Integer(number) => number.to_string(),
            _ => String::new(),
        };
        match name.as_str() {
            "filter" => question.filter = Some(text),
            "sort" => question.sort = Some(text),
            "limit" => question.limit = Some(text),
            "offset" => question.offset = Some(text),
            other => {
                let message = format!("unknown member `{other}`; a query has `filter`, `sort`, `limit` and `offset`");
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
                let record = steps::create(&self.call, &self.transaction, &collection, self.authority(), draft).await?;
                Ok(record_json(&collection, &record))
            };
            story.await.map_err(|error| self.failed_write(error, writes))
        })
    }

    fn update<'a>(&'a mut self, collection: &'a str, id: &'a str, patch: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            self.deeper()?;
            let writes = self.transaction.writes();
            let story = async {
                let collection = self.collection(collection)?;
                let change = Change { id, draft: Self::draft_for(&collection, patch)?, manner: Manner::Merge, if_match: None };
                let record = steps::update(&self.call, &self.transaction, &collection, self.authority(), change).await?;
                Ok(record_json(&collection, &record))
            };
            story.await.map_err(|error| self.failed_write(error, writes))
        })
    }

    fn delete<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            self.deeper()?;
            let writes = self.transaction.writes();
            let story = async {
                let collection = self.collection(collection)?;
                steps::delete(&self.call, &self.transaction, &collection, self.authority(), id, None).await.map(drop)
            };
            story.await.map_err(|error| self.failed_write(error, writes))
        })
    }
}
