//! `/api/policies`: policies at run time, why something is decided as it is, and what a change would do.

use poem_openapi::{Enum, Object, OpenApi, param::Path, param::Query, types::Any};
use serde_json::Value as Json;

use super::payload::{Documented, Reply};
use crate::{
    Error,
    call::Call,
    decisions,
    policies::{self, ChangeDraft, Search},
};

pub(super) struct PoliciesApi;

/// How many policies a page has when nobody says, and at most.
const LIMIT_DEFAULT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

/// Whether a policy gives or takes.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the body in the document")]
enum Effect {
    Allow,
    Deny,
}

/// What is done to a record.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the body in the document")]
enum Action {
    Create,
    Read,
    Update,
    Delete,
}

/// That somebody may, or may not, do something with records of a collection.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct PolicyDraft {
    /// `role:x`, `user:ID`, `service:ID`, `role:anyone` or `role:authenticated`.
    subject: String,
    /// A tenant, or `*` for all.
    domain: Option<String>,
    /// A collection, a system object such as `_collections`, or `*` for all.
    object: String,
    /// `create`, `read`, `update`, `delete`, or `*` for all.
    action: String,
    /// Field names with spaces between them, or `*` for all.
    fields: Option<String>,
    /// A condition such as `record.owner == caller.id`; empty means always.
    condition: Option<String>,
    /// `allow` unless given; a denial wins over every allowance.
    effect: Option<Effect>,
}

/// A policy in force.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct Policy {
    /// The same policy has the same id everywhere.
    id: String,
    subject: String,
    domain: String,
    object: String,
    action: String,
    fields: String,
    condition: String,
    effect: Effect,
    /// The file and line, or the database.
    source: Any<Json>,
}

/// A new policy.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PolicyCreated {
    /// The same policy has the same id everywhere.
    id: String,
    subject: String,
    domain: String,
    object: String,
    action: String,
    fields: String,
    condition: String,
    effect: Effect,
    /// The file and line, or the database.
    source: Any<Json>,
    /// The count of changes from which on it is in force, on every node: see the header `Policy-Min-Epoch`.
    epoch: u64,
    /// What is odd about it, though it is in force.
    findings: Vec<PolicyFinding>,
}

/// That somebody has a role.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct RoleLinkDraft {
    /// `user:ID`, `service:ID` or `role:NAME`.
    member: String,
    /// `NAME` or `role:NAME`.
    role: String,
    /// A tenant, or `*` for all, which is also meant when nothing is said.
    tenant: Option<String>,
}

/// Several things that change together: all or nothing, in one transaction.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct PolicyChange {
    /// Policies to add.
    add: Option<Vec<PolicyDraft>>,
    /// Ids of policies to remove.
    remove: Option<Vec<String>>,
    /// Roles to give.
    assign: Option<Vec<RoleLinkDraft>>,
    /// Roles to take.
    unassign: Option<Vec<RoleLinkDraft>>,
    /// Why, for the log.
    reason: Option<String>,
}

/// What a change has done. What was so already is not listed.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PolicyChanged {
    /// The count of changes from which on it is in force, on every node: see the header `Policy-Min-Epoch`.
    epoch: u64,
    added: Vec<Policy>,
    removed: Vec<Policy>,
    assigned: Vec<Any<Json>>,
    unassigned: Vec<Any<Json>>,
    /// What is odd about the added policies, though they are in force.
    findings: Vec<PolicyFinding>,
}

/// Something odd about a policy.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PolicyFinding {
    /// Stable, such as `condition.always_true`.
    code: String,
    /// `error` or `warning`.
    severity: String,
    /// The id of the policy.
    policy: Option<String>,
    /// The file and line, or the database.
    source: Option<String>,
    /// The column.
    column: Option<String>,
    /// Where in the column, in bytes.
    position: Option<u64>,
    /// What is odd, in words.
    message: String,
}

/// A row of the log of changes.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PolicyLogEntry {
    epoch: u64,
    at: String,
    /// The principal.
    by: String,
    request: String,
    reason: String,
    add: Vec<PolicyDraft>,
    remove: Vec<PolicyDraft>,
    assign: Vec<RoleLinkDraft>,
    unassign: Vec<RoleLinkDraft>,
}

/// Who wants to do what.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct PolicyQuestion {
    /// `anonymous`, `user:ID`, `user:EMAIL` or `service:ID`; you unless given.
    principal: Option<String>,
    /// The tenant in which.
    tenant: Option<String>,
    action: Action,
    /// A collection, or a system object such as `_policies`.
    object: String,
    /// The id of a stored record.
    id: Option<String>,
    /// A record that need not be stored: for a new one, or instead of `id`.
    record: Option<Any<Json>>,
    /// What an update would change.
    change: Option<Any<Json>>,
}

/// A decision with its reasons.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PolicyExplanation {
    /// `allow`, `deny`, or `depends` (on the record, when none was given).
    decision: String,
    /// Stable: `allowed_by`, `denied_by`, `no_policy`, `no_condition_holds`, `system`.
    reason: String,
    /// The policy that decided.
    policy: Option<Any<Json>>,
    epoch: u64,
    principal: String,
    tenant: String,
    action: Action,
    object: String,
    /// What the principal acts as.
    subjects: Vec<String>,
    /// How each role is held.
    roles: Vec<Any<Json>>,
    /// Every policy that came into question, with what its condition came out as.
    policies: Vec<Any<Json>>,
    /// The fields that are open and those that are not.
    fields: Any<Json>,
    /// What would have allowed it, nearly.
    nearest: Option<Vec<Any<Json>>>,
    /// The same about the record as an update would leave it.
    result: Option<Any<Json>>,
    /// For `read`: what a list asks the database.
    filter: Option<Any<Json>>,
}

/// A change that is tried, and whom and what to look at.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the body in the document")]
struct PolicyPreview {
    change: PolicyChange,
    /// Principals and roles beside those that the change names.
    whom: Option<Vec<String>>,
    /// The tenant whose matrix is compared; yours unless given.
    tenant: Option<String>,
    /// Questions whose answers are compared.
    samples: Option<Vec<PolicySample>>,
}

/// A question with a name.
#[derive(Object)]
#[allow(dead_code, reason = "describes the body in the document")]
struct PolicySample {
    name: String,
    question: PolicyQuestion,
}

/// What a change would do.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct PolicyOutlook {
    epoch: u64,
    findings: Vec<PolicyFinding>,
    /// What principals and roles could do differently.
    matrix: Vec<Any<Json>>,
    /// The answers to the samples, before and after.
    samples: Vec<Any<Json>>,
}

#[OpenApi(prefix_path = "/policies")]
impl PoliciesApi {
    /// See the policies in force, from files and from the database, in the order of their ids.
    #[oai(path = "/", method = "get", operation_id = "policies_list")]
    async fn list(
        &self,
        call: Call,
        /// Only those about this subject.
        subject: Query<Option<String>>,
        /// Only those about this object.
        object: Query<Option<String>>,
        /// How many: 1000 unless given, 10000 at most.
        limit: Query<Option<String>>,
        /// Only those whose id comes after this one.
        after: Query<Option<String>>,
    ) -> poem::Result<Reply<Vec<Policy>>> {
        let limit = number("limit", &limit.0, LIMIT_DEFAULT, LIMIT_MAX)?;
        let after = behind("after", after.0, is_policy_id)?;
        let search = Search { subject: given(subject.0), object: given(object.0), after, limit };
        let (policies, more) = policies::list(&call, &search)?;
        let next = policies.last().filter(|_| more).map(|last| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in [("subject", &search.subject), ("object", &search.object)] {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
            query.append_pair("limit", &limit.to_string()).append_pair("after", &last.id().to_string());
            format!("/api/policies?{}", query.finish())
        });
        Ok(Reply::new(&policies)?.followed_by(next))
    }

    /// Add a policy. It is in force when this answers.
    #[oai(path = "/", method = "post", operation_id = "policies_create")]
    async fn create(&self, call: Call, body: Documented<PolicyDraft>) -> poem::Result<Reply<PolicyCreated, 201>> {
        let created = policies::create(&call, body.parse()?).await?;
        Ok(Reply::new(&created)?.at(created.epoch))
    }

    /// Remove a policy of the database, named in the query.
    #[oai(path = "/", method = "delete", operation_id = "policies_delete")]
    async fn delete(
        &self,
        call: Call,
        /// The id of the policy.
        id: Query<Option<String>>,
    ) -> poem::Result<Reply<Policy>> {
        let (policy, changed) = policies::delete(&call, id.0.as_deref().unwrap_or_default()).await?;
        Ok(Reply::new(&policy)?.at(changed.epoch))
    }

    /// Remove a policy of the database.
    #[oai(path = "/:id", method = "delete", operation_id = "policies_delete_one")]
    async fn delete_one(&self, call: Call, id: Path<String>) -> poem::Result<Reply<Policy>> {
        let (policy, changed) = policies::delete(&call, &id.0).await?;
        Ok(Reply::new(&policy)?.at(changed.epoch))
    }

    /// Change several policies and roles at once, all or nothing. It is in force when this answers.
    #[oai(path = "/changes", method = "post", operation_id = "policies_change")]
    async fn change(&self, call: Call, body: Documented<PolicyChange>) -> poem::Result<Reply<PolicyChanged>> {
        let changed = policies::change(&call, body.parse::<ChangeDraft>()?).await?;
        Ok(Reply::new(&changed)?.at(changed.epoch))
    }

    /// See what was changed, when and by whom, newest first.
    #[oai(path = "/log", method = "get", operation_id = "policies_log")]
    async fn log(
        &self,
        call: Call,
        /// Only changes before this epoch.
        before: Query<Option<String>>,
        /// How many: 100 unless given, 1000 at most.
        limit: Query<Option<String>>,
    ) -> poem::Result<Reply<Vec<PolicyLogEntry>>> {
        let before = match given(before.0) {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| unreadable("before", &text, "a whole number"))?),
        };
        Ok(Reply::new(&policies::log(&call, before, number("limit", &limit.0, 100, 1_000)?).await?)?)
    }

    /// Find out why somebody may, or may not, do something.
    #[oai(path = "/explain", method = "post", operation_id = "policies_explain")]
    async fn explain(&self, call: Call, body: Documented<PolicyQuestion>) -> poem::Result<Reply<PolicyExplanation>> {
        Ok(Reply::new(&policies::explain::explain(&call, &body.parse()?).await?)?)
    }

    /// Try a change without making it: what everybody concerned could do then, and which decisions would be others.
    #[oai(path = "/preview", method = "post", operation_id = "policies_preview")]
    async fn preview(&self, call: Call, body: Documented<PolicyPreview>) -> poem::Result<Reply<PolicyOutlook>> {
        Ok(Reply::new(&policies::preview::preview(&call, body.parse()?).await?)?)
    }

    /// See what is odd about the policies in force.
    #[oai(path = "/lint", method = "get", operation_id = "policies_lint")]
    async fn lint(&self, call: Call) -> poem::Result<Reply<Vec<PolicyFinding>>> {
        Ok(Reply::new(&policies::lint(&call).await?)?)
    }

    /// Look up why somebody was refused, by the `decision_id` in the refusal.
    #[oai(path = "/decisions/:id", method = "get", operation_id = "policies_decision")]
    async fn decision(&self, call: Call, id: Path<String>) -> poem::Result<Reply<Any<Json>>> {
        Ok(Reply::new(&decisions::look_up(&call, &id.0).await?)?)
    }
}

/// An empty text counts as absent.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A count between 1 and `max`.
pub(super) fn number(name: &str, text: &Option<String>, default: usize, max: usize) -> Result<usize, Error> {
    let Some(text) = given(text.clone()) else { return Ok(default) };
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(unreadable(name, &text, &format!("a whole number from 1 to {max}"))),
    }
}

/// The id behind which a page begins, which need not be there any more.
pub(super) fn behind(name: &str, text: Option<String>, is_id: fn(&str) -> bool) -> Result<Option<String>, Error> {
    match given(text) {
        Some(text) if !is_id(&text) => {
            let message = format!("`{name}` is not what the page before has given");
            Err(Error::Query(model::Violation::new(model::Pointer::field(name), "query.cursor", message).into()))
        }
        text => Ok(text),
    }
}

fn is_policy_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn unreadable(name: &str, text: &str, expected: &str) -> Error {
    let message = format!("`{text}` is not {expected}");
    Error::Query(model::Violation::new(model::Pointer::field(name), "query.value", message).into())
}
