//! The stories of policies at run time. Files and the built-in ones are shown too, but only those of the database can be changed here.

use model::{Action, Pointer, Violation};
use policies::{Policy, PolicyDraft, Snapshot, Source};
use store::policies::PolicyRow;

use crate::{Error, call::Call, world};

/// The object that policies about this name.
const OBJECT: &str = "_policies";

/// Every policy in force.
///
/// # Errors
/// The policies.
pub fn list(call: &Call) -> Result<Vec<Policy>, Error> {
    call.authorize(Action::Read, OBJECT)?;
    Ok(call.world.policies.policies().iter().map(|policy| policy.as_ref().clone()).collect())
}

/// Adds a policy. The same policy again changes nothing. It is in force when this returns.
///
/// # Errors
/// The policies, or what is wrong with the new one: the set in force stays as it is.
pub async fn create(call: &Call, draft: PolicyDraft) -> Result<Policy, Error> {
    let (call, _alone) = &call.exclusive().await;
    call.authorize(Action::Create, OBJECT)?;
    let known = Policy::new(draft.clone(), Source::Database { id: "new".to_owned() })?;
    let policy = Policy { source: Source::Database { id: known.id.clone() }, ..known };
    let (mut policies, links) = world::sources(&call.app.config, &call.app.store).await?;
    policies.push(policy.clone());
    Snapshot::build(policies, links, 0, &|name| call.world.catalog.get(name).cloned())?;

    let transaction = call.app.store.begin().await?;
    store::policies::put(&transaction, &row(&policy)).await?;
    world::advance(&transaction, call).await?;
    transaction.commit().await.map_err(|_| Error::Conflict)?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, policy = policy.id, by = %call.caller.principal, "added a policy");
    Ok(policy)
}

/// Removes a policy of the database.
///
/// # Errors
/// The policies, or no such policy; one from a file is removed in the file.
pub async fn delete(call: &Call, id: &str) -> Result<Policy, Error> {
    let (call, _alone) = &call.exclusive().await;
    call.authorize(Action::Delete, OBJECT)?;
    if id.is_empty() {
        let violation = Violation::new(Pointer::field("id"), "query.value", "say which policy: `?id=ID`");
        return Err(Error::Query(violation.into()));
    }
    let unknown = || Error::NotFound { kind: "policy", name: id.to_owned() };
    let stored = |policy: &&std::sync::Arc<Policy>| policy.id == id && matches!(policy.source, Source::Database { .. });
    let policy = call.world.policies.policies().iter().find(stored).map(|policy| policy.as_ref().clone()).ok_or_else(unknown)?;
    // With a source that cannot be read the removal would be stored and not be in force.
    world::sources(&call.app.config, &call.app.store).await?;
    let transaction = call.app.store.begin().await?;
    if !store::policies::remove(&transaction, id).await? {
        transaction.rollback().await;
        return Err(unknown());
    }
    world::advance(&transaction, call).await?;
    transaction.commit().await.map_err(|_| Error::Conflict)?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, policy = id, by = %call.caller.principal, "removed a policy");
    Ok(policy)
}

fn row(policy: &Policy) -> PolicyRow {
    PolicyRow {
        id: policy.id.clone(),
        subject: policy.subject.clone(),
        domain: policy.domain.clone(),
        object: policy.object.clone(),
        action: policy.action.clone(),
        fields: policy.fields.clone(),
        condition: policy.condition.clone(),
        effect: policy.effect.name().to_owned(),
    }
}
