//! The stories of policies at run time. Files and the built-in ones are shown too, but only those of the database can be changed here. A
//! change is one transaction with its row in the log; it is checked against everything that is in force before anything is written.

pub mod explain;

pub mod preview;

pub mod folder;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use model::{Action, Caller, Pointer, Principal, Violation, Violations, collection::USERS, condition::Root, value::Object};
use policies::{Change, Finding, Policy, PolicyDraft, RoleLink, Severity, Snapshot, Source};
use serde::{Deserialize, Serialize};
use store::policies::{PolicyRow, RoleRow, log::LogRow};

use crate::{Error, call::Call, world};

/// The objects that policies about these name.
const OBJECT: &str = "_policies";
const ROLES: &str = "_roles";

/// How many things one change may add and remove.
pub const CHANGE_MAX: usize = 1_000;

/// A change as somebody asks for it. What is so already is no mistake and changes nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeDraft {
    /// Policies to add.
    #[serde(default)]
    pub(crate) add: Vec<PolicyDraft>,
    /// Ids of policies to remove.
    #[serde(default)]
    pub(crate) remove: Vec<String>,
    /// Roles to give.
    #[serde(default)]
    pub(crate) assign: Vec<LinkDraft>,
    /// Roles to take.
    #[serde(default)]
    pub(crate) unassign: Vec<LinkDraft>,
    /// Why, for the log.
    #[serde(default)]
    pub(crate) reason: String,
}

/// A role link as somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkDraft {
    /// `user:ID`, `service:ID` or `role:NAME`.
    pub(crate) member: String,
    /// `NAME` or `role:NAME`.
    pub(crate) role: String,
    /// A tenant, or `*` for all.
    #[serde(default = "everywhere")]
    pub(crate) tenant: String,
}

impl LinkDraft {
    pub(crate) fn new(member: &str, role: &str, tenant: &str) -> Self {
        Self { member: member.to_owned(), role: role.to_owned(), tenant: tenant.to_owned() }
    }
}

fn everywhere() -> String {
    "*".to_owned()
}

/// What a change has done.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// The count of changes from which on it is in force, on every node.
    pub(crate) epoch: u64,
    pub(crate) added: Vec<Policy>,
    pub(crate) removed: Vec<Policy>,
    pub(crate) assigned: Vec<RoleLink>,
    pub(crate) unassigned: Vec<RoleLink>,
    /// What is odd about the added policies, though they are in force.
    pub(crate) findings: Vec<Finding>,
}

/// A new policy, or one that was there already.
#[derive(Debug, Serialize)]
pub struct Created {
    #[serde(flatten)]
    pub(crate) policy: Policy,
    pub(crate) epoch: u64,
    /// What is odd about it, though it is in force.
    pub(crate) findings: Vec<Finding>,
}

/// What a row of the log says.
#[derive(Serialize, Deserialize)]
struct LoggedChange {
    add: Vec<PolicyDraft>,
    remove: Vec<PolicyDraft>,
    assign: Vec<LinkDraft>,
    unassign: Vec<LinkDraft>,
}

/// A row of the log as the API shows it.
#[derive(Serialize)]
pub struct Entry {
    epoch: u64,
    at: String,
    by: String,
    request: String,
    reason: String,
    #[serde(flatten)]
    change: LoggedChange,
}

/// Which policies somebody wants to see; empty texts count as absent.
#[derive(Clone, Debug, Default)]
pub struct Search {
    pub(crate) subject: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

/// Policies in force, in the order of their ids; and whether there are more.
///
/// # Errors
/// The policies.
pub fn list(call: &Call, search: &Search) -> Result<(Vec<Arc<Policy>>, bool), Error> {
    call.authorize(Action::Read, OBJECT)?;
    let wanted = |policy: &&Arc<Policy>| {
        search.subject.as_deref().is_none_or(|subject| subject == policy.subject())
            && search.object.as_deref().is_none_or(|object| object == policy.object())
            && search.after.as_deref().is_none_or(|after| *after < *policy.id().to_string())
    };
    let mut found: Vec<_> = call.world.policies.policies().filter(wanted).collect();
    found.sort_by_key(|policy| (policy.id(), policy.source().is_database()));
    let more = found.len() > search.limit;
    Ok((found.into_iter().take(search.limit).cloned().collect(), more))
}

/// Changes policies and role links, all or nothing. What is asked for is in force when this returns.
///
/// # Errors
/// The policies, or everything that is wrong with the change: what is in force stays as it is.
pub async fn change(call: &Call, draft: ChangeDraft) -> Result<Changed, Error> {
    change_at(call, draft, &Place::Listed).await
}

/// Adds one policy; see [`change`].
///
/// # Errors
/// As there.
pub async fn create(call: &Call, draft: PolicyDraft) -> Result<Created, Error> {
    let policy = Policy::new(&draft, Source::Database)
        .map_err(|error| Error::Unacceptable { kind: "policy", violations: fault(&error, &Pointer::root()).into() });
    // Whoever may not change policies does not hear what is wrong with one.
    call.authorize(Action::Create, OBJECT)?;
    let policy = policy?;
    let changed = change_at(call, ChangeDraft { add: vec![draft], ..ChangeDraft::default() }, &Place::Whole).await?;
    let findings = findings(call, std::slice::from_ref(&policy));
    Ok(Created { policy, epoch: changed.epoch, findings })
}

/// Removes one policy of the database; one from a file is removed in the file.
///
/// # Errors
/// The policies, or no such policy.
pub async fn delete(call: &Call, id: &str) -> Result<(Policy, Changed), Error> {
    call.authorize(Action::Delete, OBJECT)?;
    if id.is_empty() {
        let violation = Violation::new(Pointer::field("id"), "query.value", "say which policy: `?id=ID`");
        return Err(Error::Query(violation.into()));
    }
    let policy = stored(call, id).await?;
    let changed = change_at(call, ChangeDraft { remove: vec![id.to_owned()], ..ChangeDraft::default() }, &Place::Whole).await?;
    Ok((policy, changed))
}

/// Where in a body the parts of a change stand.
pub(crate) enum Place {
    /// The body is the only part.
    Whole,
    /// In `add`, `remove`, `assign` and `unassign`.
    Listed,
}

impl Place {
    fn pointer(&self, list: &str, index: usize) -> Pointer {
        match self {
            Place::Whole => Pointer::root(),
            Place::Listed => Pointer::field(list).join(index),
        }
    }

    /// A part of a role link. In the path that gives a single role the member is called principal.
    fn member(&self, list: &str, index: usize, field: &str) -> Pointer {
        match (self, field) {
            (Place::Whole, "member") => Pointer::field("principal"),
            _ => self.pointer(list, index).join(field),
        }
    }
}

pub(crate) async fn change_at(call: &Call, draft: ChangeDraft, place: &Place) -> Result<Changed, Error> {
    authorize(call, &draft)?;
    let (changed, call) = {
        let (call, _alone) = &call.exclusive().await?;
        authorize(call, &draft)?;
        let reason = draft.reason.chars().take(REASON_MAX).collect();
        let change = effective(call, read(call, draft, place).await?);
        let epoch = commit(call, &change, reason).await?;
        (
            Changed {
                epoch,
                added: change.add,
                removed: change.remove,
                assigned: change.assign,
                unassigned: change.unassign,
                findings: Vec::new(),
            },
            call.clone(),
        )
    };
    // Looked for when others may go on: conditions can be made so that this takes long.
    let findings = findings(&call, &changed.added);
    Ok(Changed { findings, ..changed })
}

/// The longest reason that is kept, in characters.
const REASON_MAX: usize = 1_000;

/// How long one request may look for oddities.
const FINDING_WITHIN: Duration = Duration::from_millis(250);

/// What is odd about policies, as far as that is found in time.
pub(crate) fn findings(call: &Call, policies: &[Policy]) -> Vec<Finding> {
    let collections: Vec<_> = call.world.catalog.values().cloned().collect();
    let start = Instant::now();
    let looked_at = policies.iter().take_while(|_| start.elapsed() < FINDING_WITHIN);
    tokio::task::block_in_place(|| {
        looked_at
            .flat_map(|policy| ::policies::review_among(policy, &collections).into_iter().chain(unknown_of_caller(call, policy)))
            .collect()
    })
}

/// What a condition asks about its caller and no caller has.
fn unknown_of_caller(call: &Call, policy: &Policy) -> Vec<Finding> {
    let (Some(condition), Some(users)) = (policy.condition(), call.world.catalog.get(USERS)) else { return Vec::new() };
    let mut findings = Vec::new();
    condition.expression().each_path(&mut |path| {
        let Some(name) = path.members.first().filter(|_| path.root == Root::Caller) else { return };
        let known = ["id", "tenant", "roles"].contains(&name.as_str()) || users.field(name).is_some_and(|field| !field.is_secret());
        if !known {
            let message = format!("`caller.{name}` is never there: `users` has no such field that is no secret");
            let (id, source) = (policy.id().to_string(), policy.source().to_string());
            findings.push(Finding {
                code: "condition.unknown_caller",
                severity: Severity::Error,
                policy: Some(id),
                source: Some(source),
                column: Some("condition"),
                position: Some(path.position),
                message,
            });
        }
    });
    findings
}

fn authorize(call: &Call, draft: &ChangeDraft) -> Result<(), Error> {
    let parts = [
        (draft.add.is_empty(), Action::Create, OBJECT),
        (draft.remove.is_empty(), Action::Delete, OBJECT),
        (draft.assign.is_empty(), Action::Create, ROLES),
        (draft.unassign.is_empty(), Action::Delete, ROLES),
    ];
    let mut asked = parts.iter().filter(|(empty, ..)| !empty).peekable();
    if asked.peek().is_none() {
        return call.authorize(Action::Create, OBJECT);
    }
    asked.try_for_each(|(_, action, object)| call.authorize(*action, object))
}

/// Reads a change and reports everything that is wrong with its parts.
pub(crate) async fn read(call: &Call, draft: ChangeDraft, place: &Place) -> Result<Change, Error> {
    let mut violations = Violations::default();
    let count = draft.add.len() + draft.remove.len() + draft.assign.len() + draft.unassign.len();
    if count > CHANGE_MAX {
        violations.add(Pointer::root(), "policy.count", format!("{count} things at once, {CHANGE_MAX} are allowed"));
        return Err(Error::Unacceptable { kind: "policy", violations });
    }
    let mut change = Change::default();
    let known = |name: &str| call.world.catalog.get(name).cloned();
    for (index, draft) in draft.add.iter().enumerate() {
        let policy = Policy::new(draft, Source::Database).and_then(|policy| policies::check_fit(&policy, &known).map(|()| policy));
        match policy {
            Ok(policy) => change.add.push(policy),
            Err(error) => violations.0.push(fault(&error, &place.pointer("add", index))),
        }
    }
    for (index, id) in draft.remove.iter().enumerate() {
        match stored(call, id).await {
            Ok(policy) => change.remove.push(policy),
            Err(error @ Error::NotFound { .. }) => {
                violations.add(place.pointer("remove", index), "policy.not_found", error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    let kind = match place {
        Place::Whole if !draft.assign.is_empty() || !draft.unassign.is_empty() => "role",
        Place::Whole | Place::Listed => "policy",
    };
    for (list, drafts, links) in [("assign", &draft.assign, &mut change.assign), ("unassign", &draft.unassign, &mut change.unassign)] {
        for (index, draft) in drafts.iter().enumerate() {
            match link(draft) {
                Ok(link) => links.push(link),
                Err((field, code, message)) => violations.add(place.member(list, index, field), code, message),
            }
        }
    }
    violations.or(change).map_err(|violations| Error::Unacceptable { kind, violations })
}

/// A policy of the database.
async fn stored(call: &Call, id: &str) -> Result<Policy, Error> {
    let row = store::policies::get(&call.app.store, id).await?;
    let row = row.ok_or_else(|| Error::NotFound { kind: "policy", name: id.to_owned() })?;
    Ok(Policy::new(&world::draft(row)?, Source::Database)?)
}

fn link(draft: &LinkDraft) -> Result<RoleLink, (&'static str, &'static str, String)> {
    let LinkDraft { member, role, tenant } = draft;
    if !member.starts_with("role:") && member.parse::<Principal>().is_err() {
        let message = format!("`{member}` is not a principal: write `user:ID`, `service:ID` or `role:NAME`");
        return Err(("member", "role.member", message));
    }
    let role = if role.starts_with("role:") { role.to_owned() } else { format!("role:{role}") };
    RoleLink::new(member, &role, tenant, Source::Database).map_err(|error| match &error {
        policies::Error::Column { column, .. } => (column.name(), "policy.column", error.to_string()),
        _ => ("role", "policy.column", error.to_string()),
    })
}

fn fault(error: &policies::Error, at: &Pointer) -> Violation {
    match error {
        policies::Error::Column { column, .. } => Violation::new(at.join(column.name()), "policy.column", error.to_string()),
        _ => Violation::new(at.clone(), "policy.column", error.to_string()),
    }
}

/// Without the parts that are so already.
fn effective(call: &Call, mut change: Change) -> Change {
    let policies = &call.world.policies;
    change.add.retain(|policy| !policies.has(policy));
    change.remove.retain(|policy| policies.has(policy));
    change.assign.retain(|link| !policies.has_link(link));
    change.unassign.retain(|link| policies.has_link(link));
    change
}

/// Writes a change with its row in the log, and puts it in force.
async fn commit(call: &Call, change: &Change, reason: String) -> Result<u64, Error> {
    let known = |name: &str| call.world.catalog.get(name).cloned();
    if change.add.is_empty() && change.remove.is_empty() && change.assign.is_empty() && change.unassign.is_empty() {
        // What is so already may have changed when the request comes again under its key.
        call.note(&call.app.store).await?;
        return Ok(call.world.version);
    }
    let after = call.world.policies.with(change, 0, &known)?;
    check_not_locked_out(call, &after)?;
    let transaction = call.app.store.begin().await?;
    for policy in &change.remove {
        store::policies::remove(&transaction, &policy.id().to_string()).await?;
    }
    for policy in &change.add {
        store::policies::put(&transaction, &row(policy)).await?;
    }
    for link in &change.unassign {
        store::policies::remove_link(&transaction, &link_row(link)).await?;
    }
    for link in &change.assign {
        store::policies::put_link(&transaction, &link_row(link)).await?;
    }
    let epoch = world::advance(&transaction, call).await?;
    store::policies::log::append(&transaction, &log_row(call, change, epoch, reason)?).await?;
    transaction.commit().await?;
    call.app.adopt(change, epoch).await;
    let counts = [change.add.len(), change.remove.len(), change.assign.len(), change.unassign.len()];
    let [added, removed, assigned, unassigned] = counts;
    tracing::info!(request = %call.id, by = %call.caller.principal, epoch, added, removed, assigned, unassigned, "changed policies");
    Ok(epoch)
}

/// A change after which nobody could change policies any more is refused: only the operator could undo it, and not through the API.
fn check_not_locked_out(call: &Call, after: &Snapshot) -> Result<(), Error> {
    let keeps = |snapshot: &Snapshot, caller: &Caller| {
        [Action::Create, Action::Delete].iter().all(|action| snapshot.allows_object(caller, *action, OBJECT))
    };
    let before = &call.world.policies;
    if call.caller.principal == Principal::System || !keeps(before, &call.caller) || keeps(after, &call.caller) {
        return Ok(());
    }
    let others = after.links().filter_map(|link| link.member().parse::<Principal>().ok()).take(1_000);
    let mut others = others.map(|principal| Caller::new(principal, &call.caller.tenant, Object::new()));
    if others.any(|caller| keeps(after, &caller)) {
        return Ok(());
    }
    let message = "after this nobody could change policies any more";
    let violations = Violation::new(Pointer::root(), "policy.lockout", message).into();
    Err(Error::Unacceptable { kind: "policy", violations })
}

fn log_row(call: &Call, change: &Change, epoch: u64, reason: String) -> Result<LogRow, Error> {
    let drafts = |policies: &[Policy]| policies.iter().map(Policy::draft).collect();
    let links = |links: &[RoleLink]| links.iter().map(link_draft).collect();
    let logged = LoggedChange {
        add: drafts(&change.add),
        remove: drafts(&change.remove),
        assign: links(&change.assign),
        unassign: links(&change.unassign),
    };
    let change = serde_json::to_string(&logged).map_err(|error| Error::Internal(error.to_string()))?;
    let (by, request) = (call.caller.principal.to_string(), call.id.to_string());
    Ok(LogRow { epoch, at: call.now.to_string(), by, request, reason, change })
}

fn link_draft(link: &RoleLink) -> LinkDraft {
    LinkDraft::new(link.member(), link.role(), link.tenant())
}

/// What a row of the log has changed.
pub(crate) fn logged(row: &LogRow) -> Result<Change, Error> {
    let unreadable = |reason: String| Error::Internal(format!("row {} of the policy log: {reason}", row.epoch));
    let logged: LoggedChange = serde_json::from_str(&row.change).map_err(|error| unreadable(error.to_string()))?;
    let policies = |drafts: Vec<PolicyDraft>| drafts.iter().map(|draft| Policy::new(draft, Source::Database)).collect::<Result<_, _>>();
    let link = |link: &LinkDraft| RoleLink::new(&link.member, &link.role, &link.tenant, Source::Database);
    let links = |drafts: Vec<LinkDraft>| drafts.iter().map(link).collect::<Result<_, _>>();
    let read = || {
        Ok(Change {
            add: policies(logged.add)?,
            remove: policies(logged.remove)?,
            assign: links(logged.assign)?,
            unassign: links(logged.unassign)?,
        })
    };
    read().map_err(|error: policies::Error| unreadable(error.to_string()))
}

/// The latest changes before an epoch, newest first.
///
/// # Errors
/// The policies, or what the database reports.
pub async fn log(call: &Call, before: Option<u64>, limit: usize) -> Result<Vec<Entry>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    // The log also says who was given which role.
    call.authorize(Action::Read, ROLES)?;
    let rows = store::policies::log::latest(&call.app.store, before, limit).await?;
    let entry = |row: LogRow| {
        let change = serde_json::from_str(&row.change).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Entry { epoch: row.epoch, at: row.at, by: row.by, request: row.request, reason: row.reason, change })
    };
    rows.into_iter().map(entry).collect()
}

/// What is odd about the policies in force, and about files that are not.
///
/// # Errors
/// The policies.
pub async fn lint(call: &Call) -> Result<Vec<Finding>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    let collections: Vec<_> = call.world.catalog.values().cloned().collect();
    let mut findings = call.world.policies.lint(&collections);
    if let Some(reason) = call.app.refused_files().await {
        let message = format!("the policy files on disk are not in force: {reason}");
        let severity = Severity::Error;
        let finding = Finding { code: "files.refused", severity, policy: None, source: None, column: None, position: None, message };
        findings.insert(0, finding);
    }
    Ok(findings)
}

fn row(policy: &Policy) -> PolicyRow {
    let PolicyDraft { subject, domain, object, action, fields, condition, effect } = policy.draft();
    PolicyRow { id: policy.id().to_string(), subject, domain, object, action, fields, condition, effect: effect.name().to_owned() }
}

fn link_row(link: &RoleLink) -> RoleRow {
    RoleRow { member: link.member().to_owned(), role: link.role().to_owned(), tenant: link.tenant().to_owned() }
}
