//! The story of "why was this denied, or allowed": the same plan that decides, told in words, for anybody and any record.

use model::{
    Action, Caller, Collection, Draft, Pointer, Principal, Record, Value, Violation, collection::USERS, principal::DEFAULT_TENANT,
    record::SYSTEM_FIELDS, validate, value::Object,
};
use policies::{Access, Decision, Explanation, Inquiry, Reason, SYSTEM_OBJECTS};
use serde::{Deserialize, Serialize};
use store::records::Ground;

use super::OBJECT;
use crate::{
    Error, auth,
    call::Call,
    roles::{Named, check_tenant},
    world::World,
};

/// Who wants to do what.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// `anonymous`, `user:ID`, `user:EMAIL` or `service:ID`; the caller itself unless given.
    #[serde(default)]
    pub(crate) principal: Option<String>,
    /// The tenant in which; that of the account, or the default one, unless given.
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    /// `create`, `read`, `update` or `delete`.
    pub(crate) action: Action,
    /// A collection, or a system object such as `_policies`.
    pub(crate) object: String,
    /// The id of a stored record.
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// A record that need not be stored: for a new one, or instead of `id`.
    #[serde(default)]
    pub(crate) record: Option<Object>,
    /// What an update would change.
    #[serde(default)]
    pub(crate) change: Option<Object>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// About the record as it is stored (for an update and a deletion) or would be (for a new one).
    #[serde(flatten)]
    pub(crate) explanation: Explanation,
    /// The fields that were given and may not be written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused_fields: Vec<String>,
    /// About the record as an update would leave it, which must be allowed too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Explanation>,
    /// For `read`: what a list of this principal asks the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<Filter>,
}

/// A query in words.
#[derive(Debug, Serialize)]
pub struct Filter {
    /// The text of WHERE; null if no record could be among the answers, so that the database is not asked.
    pub(crate) text: Option<String>,
    /// Its parameters.
    pub(crate) parameters: std::collections::BTreeMap<String, serde_json::Value>,
}

/// Explains a decision of this moment. Whoever may read policies hears about itself and its own decisions; a question about others, or
/// about a stored record, tells what conditions say about their fields, and is only for those who could give themselves everything anyway.
///
/// # Errors
/// The policies, or a question about something that is not there.
pub async fn explain(call: &Call, question: &Question) -> Result<Answer, Error> {
    call.authorize(Action::Read, OBJECT)?;
    if question.principal.is_some() || question.id.is_some() {
        call.authorize(Action::Create, OBJECT)?;
    }
    let asked = Asked::read(call, question).await?;
    Ok(asked.answer(call, &call.world))
}

/// A question with everything that it speaks about at hand.
pub(crate) struct Asked {
    caller: Caller,
    action: Action,
    object: String,
    /// None for a part of the management API.
    collection: Option<Collection>,
    record: Option<Record>,
    result: Option<Record>,
    /// The fields that would be written.
    given: Vec<String>,
}

impl Asked {
    pub(crate) async fn read(call: &Call, question: &Question) -> Result<Self, Error> {
        question.tenant.as_deref().map_or(Ok(()), |tenant| check_tenant(tenant, "tenant"))?;
        let caller = match &question.principal {
            Some(name) => caller(call, name, question.tenant.as_deref()).await?,
            None => call.caller.as_ref().clone(),
        };
        if SYSTEM_OBJECTS.contains(&question.object.as_str()) {
            let (action, object) = (question.action, question.object.clone());
            return Ok(Self { caller, action, object, collection: None, record: None, result: None, given: Vec::new() });
        }
        let collection = call.collection(&question.object)?;
        let record = match (&question.id, &question.record) {
            (Some(_), Some(_)) => return Err(wrong("record", "`id` and `record` exclude each other")),
            (Some(id), None) => {
                let stored = store::records::get(&call.app.store, &collection, &caller.tenant, id).await?;
                Some(stored.ok_or_else(|| Error::no_record(id))?)
            }
            (None, Some(values)) => Some(record_of(call, &collection, &caller.tenant, values)?),
            (None, None) => None,
        };
        let result = match (&question.change, &record) {
            (None, _) => None,
            (Some(_), _) if question.action != Action::Update => return Err(wrong("change", "only an update changes something")),
            (Some(_), None) => return Err(wrong("change", "say which record: `id` or `record`")),
            (Some(change), Some(record)) => Some(changed(call, &collection, record, change)?),
        };
        let (action, object) = (question.action, question.object.clone());
        let given = match action {
            Action::Create => question.record.as_ref(),
            Action::Update => question.change.as_ref(),
            Action::Read | Action::Delete => None,
        };
        let given = given.into_iter().flat_map(|given| given.keys().cloned());
        let given = given.filter(|name| !SYSTEM_FIELDS.contains(&name.as_str())).collect();
        Ok(Self { caller, action, object, collection: Some(collection), record, result, given })
    }

    /// The answer that a picture of the world gives.
    pub(crate) fn answer(&self, call: &Call, world: &World) -> Answer {
        let caller = world.policies.with_roles(self.caller.clone());
        let Self { record, result, .. } = self;
        let Some(collection) = &self.collection else {
            let explanation = world.policies.explain_object(&caller, self.action, &self.object);
            return Answer { explanation, refused_fields: Vec::new(), result: None, filter: None };
        };
        let explain = |record: Option<&Record>, before: Option<&Record>| {
            let inquiry = Inquiry { caller: &caller, action: self.action, collection, record, before, now: &call.now };
            world.policies.explain(&inquiry)
        };
        // Before a stored record is touched, it is both the record and the one before.
        let before = record.as_ref().filter(|_| matches!(self.action, Action::Update | Action::Delete));
        let mut explanation = explain(record.as_ref(), before);
        let result = result.as_ref().map(|result| explain(Some(result), before));
        let mut refused_fields = Vec::new();
        if explanation.decision == Decision::Allow {
            // What is told first is what the caller would hear: the result counts too, and then the fields.
            let images = [Some(&explanation), result.as_ref()];
            let open = |name: &str| images.iter().flatten().all(|image| image.fields.allowed.iter().any(|field| field == name));
            refused_fields = self.given.iter().filter(|name| !open(name)).cloned().collect();
            match &result {
                Some(result) if result.decision != Decision::Allow => {
                    (explanation.decision, explanation.reason) = (result.decision, result.reason);
                    explanation.policy.clone_from(&result.policy);
                    explanation.nearest.clone_from(&result.nearest);
                }
                _ if !refused_fields.is_empty() => {
                    (explanation.decision, explanation.reason, explanation.policy) = (Decision::Deny, Reason::FieldForbidden, None);
                }
                _ => {}
            }
        }
        let filter = (self.action == Action::Read).then(|| filter(call, world, &caller, collection));
        Answer { explanation, refused_fields, result, filter }
    }
}

/// The caller that a principal would be: `anonymous`, `user:ID`, `user:EMAIL` or `service:ID`.
///
/// # Errors
/// A text that names no principal, or an address without an account.
pub(crate) async fn caller(call: &Call, text: &str, tenant: Option<&str>) -> Result<Caller, Error> {
    if let Some(email) = text.strip_prefix("user:").filter(|id| id.contains('@')) {
        let found = auth::account_of(call, email, tenant.unwrap_or(DEFAULT_TENANT)).await?;
        return found.ok_or_else(|| Error::no_record(email));
    }
    let principal = match Named::parse(text, "principal")? {
        Named::Principal(principal) => principal,
        Named::Role(_) => return Err(wrong("principal", "a role does nothing on its own: name somebody who holds it")),
    };
    if let Principal::User(id) = &principal {
        let users = call.collection(USERS)?;
        let account = store::records::get(&call.app.store, &users, tenant.unwrap_or(DEFAULT_TENANT), id).await?;
        // Policies may speak about users who are not there yet.
        if let Some(account) = account {
            return Ok(auth::caller_of(&users, &account));
        }
    }
    Ok(Caller::new(principal, tenant.unwrap_or(DEFAULT_TENANT), Object::new()))
}

fn record_of(call: &Call, collection: &Collection, tenant: &str, values: &Object) -> Result<Record, Error> {
    let mut draft = Draft { values: values.clone() };
    let id = match draft.values.get("id").and_then(Value::as_text) {
        Some(id) => id.to_owned(),
        None => ulid::Ulid::new().to_string(),
    };
    validate::fill_defaults(collection, &mut draft, None);
    let stamp = validate::Stamp { id, tenant: tenant.to_owned(), now: call.now.to_string(), caller: None };
    Ok(validate::create(collection, draft, stamp).map_err(Error::Invalid)?.into_record())
}

fn changed(call: &Call, collection: &Collection, record: &Record, change: &Object) -> Result<Record, Error> {
    let draft = validate::merged(record, Draft { values: change.clone() });
    Ok(validate::update(collection, record, draft, &call.now).map_err(Error::Invalid)?.into_record())
}

fn filter(call: &Call, world: &World, caller: &Caller, collection: &Collection) -> Filter {
    let plan = world.policies.plan(caller, Action::Read, collection);
    let guards = match plan.access() {
        Access::Never => return Filter { text: None, parameters: Default::default() },
        Access::Always => Vec::new(),
        Access::When(guard) => vec![guard],
    };
    let ground = Ground { caller, now: &call.now, guards: &guards };
    let Some((text, parameters)) = store::records::shown_filter(collection, ground) else {
        return Filter { text: None, parameters: Default::default() };
    };
    let parameters = parameters.into_iter().map(|(name, json)| (name, serde_json::from_str(&json).unwrap_or_default())).collect();
    Filter { text: Some(text), parameters }
}

fn wrong(field: &str, message: &str) -> Error {
    Error::Body(Violation::new(Pointer::field(field), "body.shape", message))
}
