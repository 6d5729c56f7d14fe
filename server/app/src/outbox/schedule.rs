//! Rules whose time has come. Every node looks, one of them wins: it notes the slot and writes the row of the run in one transaction. Slots that
//! were missed, because no server ran or because the run of the one before took its time, are made up for by the latest one only.

use std::str::FromStr;

use chrono::{DateTime, SubsecRound, Utc};
use croner::Cron;
use model::{Caller, Principal, principal::DEFAULT_TENANT, time::datetime_text, value::Object};
use store::outbox::slots::{self, Slot};

use super::{App, row, worker::report};
use crate::{Error, call::Call, plugins::Bound};

/// Writes a row for every slot that nobody has taken care of.
pub(super) async fn look(app: &App) {
    let world = app.world();
    for bound in world.plugins.scheduled() {
        // A trouble with one schedule is none of the others.
        report("look at a schedule", look_at(app, bound).await);
    }
}

async fn look_at(app: &App, bound: &Bound) -> Result<(), Error> {
    let Some(timing) = bound.declaration().and_then(|rule| rule.schedule.as_deref()) else { return Ok(()) };
    let Some(slot) = latest_slot(timing, Utc::now()) else { return Ok(()) };
    let (known_as, slot) = (format!("{} {timing}", bound.name()), datetime_text(slot));
    if app.outbox.has_seen(&known_as, &slot) {
        return Ok(());
    }
    if take(app, bound, timing, &slot).await? != Slot::Busy {
        app.outbox.saw(known_as, slot);
    }
    Ok(())
}

async fn take(app: &App, bound: &Bound, timing: &str, slot: &str) -> Result<Slot, Error> {
    let caller = Caller::new(Principal::Plugin(bound.installed.name().to_owned()), DEFAULT_TENANT, Object::new());
    let call = Call::new(app, caller, "schedule");
    let row = row::scheduled(&call, bound, slot)?;
    let transaction = app.store.begin().await?;
    let taken = slots::take(&transaction, &bound.name(), timing, slot, row.key.as_deref().unwrap_or_default()).await?;
    match taken {
        Slot::Gone | Slot::Busy => transaction.rollback().await,
        Slot::Begun => transaction.commit().await?,
        Slot::Taken => {
            store::outbox::insert(&transaction, &row).await?;
            transaction.commit().await?;
        }
    }
    Ok(taken)
}

/// What becomes of a slot of every schedule on this node.
#[cfg(test)]
pub(crate) async fn take_slots(app: &App, slot: &str) -> Result<Vec<Slot>, Error> {
    let mut taken = Vec::new();
    for bound in app.world().plugins.scheduled() {
        let timing = bound.declaration().and_then(|rule| rule.schedule.clone()).unwrap_or_default();
        taken.push(take(app, bound, &timing, slot).await?);
    }
    Ok(taken)
}

/// The last moment at or before `now` that the schedule means; none for a day that no calendar has.
pub(super) fn latest_slot(timing: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // The library leaves parts of a second as they are, which would make many slots of one.
    Cron::from_str(timing).ok()?.find_previous_occurrence(&now.trunc_subsecs(0), true).ok()
}
