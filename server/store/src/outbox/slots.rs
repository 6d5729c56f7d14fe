//! Which moments of which schedule are taken care of. Whoever notes a slot and commits has it; the others conflict, or see that it is gone.

use surrealdb::types::Value as Stored;

use crate::{
    Error,
    row::{Row as Columns, first_row, record_id, rows},
    transaction::{Run, bind},
};

/// What became of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It is this transaction's, if that commits.
    Taken,
    /// The schedule was not known so far, or was another one: it counts from this slot on, if this transaction commits.
    Begun,
    /// It is taken care of already.
    Gone,
    /// The run of an earlier slot is not done yet.
    Busy,
}

/// Takes the slot of a schedule. `timing` is what the schedule says, and `key` the one of its rows in the outbox.
///
/// # Errors
/// [`Error::Conflict`] when another node is doing the same, or what the database reports.
pub async fn take(run: &impl Run, schedule: &str, timing: &str, slot: &str, key: &str) -> Result<Slot, Error> {
    let id = record_id("_schedules", schedule);
    let known = run.run("SELECT * FROM $id".to_owned(), vec![bind("id", id.clone())]).await?;
    let known = known.into_iter().next().and_then(first_row).map(Columns::new).transpose()?;
    let known = known.and_then(|mut row| Some((row.optional_text("timing")?, row.optional_text("slot")?)));
    let taken = match known {
        Some((before, last)) if before == timing => {
            if *last >= *slot {
                return Ok(Slot::Gone);
            }
            if is_busy(run, key).await? {
                return Ok(Slot::Busy);
            }
            Slot::Taken
        }
        _ => Slot::Begun,
    };
    let binds = vec![bind("id", id), bind("timing", timing.to_owned()), bind("slot", slot.to_owned())];
    run.run("UPSERT $id CONTENT { timing: $timing, slot: $slot } RETURN NONE".to_owned(), binds).await?;
    Ok(taken)
}

/// True while a row of the key is not done.
async fn is_busy(run: &impl Run, key: &str) -> Result<bool, Error> {
    let text = "SELECT VALUE id FROM _outbox WHERE turn = $turn LIMIT 1";
    let values = run.run(text.to_owned(), vec![bind("turn", key.to_owned())]).await?;
    Ok(values.into_iter().flat_map(rows).any(|id| !matches!(id, Stored::None)))
}
