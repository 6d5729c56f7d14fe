//! Search guards: one row for each collection and tenant that rules search. Nothing in the database notices that a record has appeared which a
//! search would have found, so whoever decides by a search and whoever writes what could be searched both write the guard: they take turns.

use crate::{
    Error,
    row::record_id,
    transaction::{Run, bind},
};

/// Makes this transaction conflict with every other one that takes the same guard.
///
/// # Errors
/// [`Error::Conflict`] when others queue for it, or what the database reports.
pub async fn take(run: &impl Run, collection: &str, tenant: &str) -> Result<(), Error> {
    let id = format!("{collection} {tenant}");
    run.touch(format!("_guards:{id}"))?;
    let binds = vec![bind("id", record_id("_guards", &id))];
    run.run("UPSERT $id SET taken = (taken ?? 0) + 1 RETURN NONE".to_owned(), binds).await.map(drop)
}
