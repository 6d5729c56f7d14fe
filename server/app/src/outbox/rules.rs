//! Rules that run after a commit, as jobs, or because their time has come: in a transaction of their own, in which the row is marked too.

use std::sync::Arc;

use model::{Caller, Principal, Value, collection::USERS, value::Object};
use plugins::{Hook, Outcome, WritesAs};
use store::{
    Transaction,
    outbox::{Delivery, Ended},
};

use super::{
    App, Failed,
    row::{self, Question},
    worker::{Done, now},
};
use crate::{
    Error, auth,
    call::Call,
    plugins::Installed,
    records::rules::{Detached, in_own_transaction},
};

pub(super) async fn deliver(app: &App, installed: &Arc<Installed>, delivery: &Delivery) -> Result<Done, Failed> {
    let row = &delivery.row;
    if let Some(reason) = installed.broken() {
        return Err(Failed::Held(format!("the plugin cannot run: {reason}")));
    }
    // The version of now, not the one that asked: a rule that was mended should be mended for what waits, too.
    if installed.manifest().rule(&row.rule).is_none() {
        return Err(Failed::ForGood(format!("{} has no rule `{}`", installed.label(), row.rule)));
    }
    let question: Question = serde_json::from_str(&row.payload).map_err(row::internal)?;
    let caller = caller(app, installed, delivery).await?;
    // A call of its own: two jobs of one request must not get the same random numbers.
    let call = Call { depth: row.depth, ..Call::new(app, caller, &row.id) };
    tracing::debug!(request = %call.id, of = row.request, plugin = %installed.label(), rule = row.rule, "running a rule of the outbox");
    let detached = Detached {
        installed: Arc::clone(installed),
        rule: row.rule.as_str().into(),
        hook: if row.kind == "scheduled" { Hook::Scheduled } else { Hook::AfterCommit },
        context: context(delivery, &question),
        operation: question.operation,
        collection: question.collection,
        id: question.id,
        before: question.before.map(|before| before.get().to_owned()),
        after: question.after.map(|after| after.get().to_owned()),
    };
    let (worker, marked) = (app.outbox.worker.clone(), Arc::new(delivery.clone()));
    let ran = in_own_transaction(&call, detached, unread, move |transaction| {
        let (worker, delivery) = (worker.clone(), Arc::clone(&marked));
        async move {
            match store::outbox::end(&transaction, &worker, &delivery, Ended::Delivered, &now()).await? {
                true => Ok(()),
                false => Err(Error::Internal("another node has taken this over".to_owned())),
            }
        }
    });
    ran.await.map(|()| Done::Marked).map_err(explained)
}

/// Nobody waits for what the rule answers.
fn unread(_: &Transaction, _: &Outcome) -> Result<(), String> {
    Ok(())
}

/// As whom the rule acts: as its plugin, or as the caller that wrote if the plugin writes as its callers do. What an account may do is asked
/// now: one that is gone may do nothing.
async fn caller(app: &App, installed: &Installed, delivery: &Delivery) -> Result<Caller, Failed> {
    let row = &delivery.row;
    let plugin = || Caller::new(Principal::Plugin(row.plugin.clone()), &row.tenant, Object::new());
    if installed.manifest().writes_as == WritesAs::Plugin {
        return Ok(plugin());
    }
    match row::principal(row)? {
        Principal::System => Ok(plugin()),
        Principal::User(id) => {
            let users = app.world().catalog.get(USERS).cloned();
            let users = users.ok_or_else(|| Failed::Again("the collection `users` is gone".to_owned()))?;
            let account = store::records::get(&app.store, &users, &row.tenant, &id).await.map_err(Error::from)?;
            let account = account.ok_or_else(|| Failed::ForGood(format!("the account `{id}` that wrote is gone")))?;
            Ok(auth::caller_of(&users, &account))
        }
        principal => Ok(Caller::new(principal, &row.tenant, Object::new())),
    }
}

fn context(delivery: &Delivery, question: &Question) -> Object {
    let mut context = Object::new();
    context.insert("caller".to_owned(), row::written_by(&delivery.row));
    context.insert("request".to_owned(), Value::from(delivery.row.request.as_str()));
    context.insert("attempt".to_owned(), Value::Integer(i64::from(delivery.attempts)));
    context.insert("delivery".to_owned(), Value::from(delivery.row.id.as_str()));
    if let Some(moment) = &question.scheduled_at {
        context.insert("scheduled_at".to_owned(), Value::from(moment.as_str()));
    }
    context
}

/// A person will read it: a failure of the plugin says more than clients may hear.
fn explained(error: Error) -> Failed {
    Failed::Again(match error {
        Error::PluginFailed { code, detail, .. } => format!("{code}: {detail}"),
        Error::Refused { message, violations, .. } if violations.0.is_empty() => format!("refused: {message}"),
        Error::Refused { message, violations, .. } => format!("refused: {message}: {violations}"),
        Error::Invalid(violations) => format!("not valid: {violations}"),
        error => error.to_string(),
    })
}
