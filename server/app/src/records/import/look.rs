//! The stories of looking at imports and ending them: one's own, and with a policy about `_imports` those of others.

use model::Action;

use super::{
    OBJECT,
    progress::{self, Import},
};
use crate::{Error, call::Call, decisions::Refused};

/// Some imports, the newest first.
pub(crate) struct Page {
    pub(crate) imports: Vec<Import>,
    /// Where the next page begins; none after the last one.
    pub(crate) next: Option<String>,
}

/// Some imports: those that the caller began, or those of everybody for whom policies allow that.
///
/// # Errors
/// Nobody is logged in, or what the database reports.
pub(crate) async fn list(call: &Call, below: Option<&str>, limit: usize) -> Result<Page, Error> {
    let all = may(call, Action::Read);
    let own = call.caller.principal.to_string();
    if !all && call.caller.principal.id().is_none() {
        return Err(call.denied(Refused::object(Action::Read, OBJECT)));
    }
    let mut imports = progress::list(call, Some(own.as_str()).filter(|_| !all), below, limit + 1).await?;
    let more = imports.len() > limit;
    imports.truncate(limit);
    let next = imports.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Page { imports, next })
}

/// One import.
///
/// # Errors
/// No such import, or one of somebody else.
pub(crate) async fn get(call: &Call, id: &str) -> Result<Import, Error> {
    visible(call, Action::Read, id).await
}

/// Ends an import that is not over. What it has written stays.
///
/// # Errors
/// No such import, one of somebody else, or one that is over.
pub(crate) async fn cancel(call: &Call, id: &str) -> Result<Import, Error> {
    visible(call, Action::Delete, id).await?;
    let cancelled = progress::cancel(call, id).await?;
    tracing::info!(request = %call.id, import = id, by = %call.caller.principal, "an import was cancelled");
    Ok(cancelled)
}

async fn visible(call: &Call, action: Action, id: &str) -> Result<Import, Error> {
    if call.caller.principal.id().is_none() && !may(call, action) {
        return Err(call.denied(Refused::object(action, OBJECT)));
    }
    let found = progress::stored(&call.app.store, id).await?.filter(|import| import.tenant == call.caller.tenant);
    let own = |import: &Import| call.caller.principal.id().is_some() && import.principal == call.caller.principal.to_string();
    found.filter(|import| own(import) || may(call, action)).ok_or_else(|| progress::unknown(id))
}

fn may(call: &Call, action: Action) -> bool {
    call.world.policies.allows_object(&call.caller, action, OBJECT)
}
