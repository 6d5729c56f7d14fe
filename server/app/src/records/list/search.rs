//! The words of a search, and what matches them. All fields that are searched must be readable: that is checked with the other fields that
//! a question looks at.

use model::{Pointer, Violations};
use store::records::{
    aggregate::{Failure, TIME_MAX_S},
    search,
};
use tokio::sync::Semaphore;

use super::{Asked, question::Parsed};
use crate::{Error, call::Call};

/// The most words of a search.
const WORDS_MAX: usize = 10;

/// How many searches are put in order together. Each may look at many records.
static TURNS: Semaphore = Semaphore::const_new(2);

/// The words that are searched for; none if nothing is searched.
///
/// # Errors
/// A text without words, or with too many.
pub(super) fn words(parsed: &Parsed, parameter: &str) -> Result<Vec<String>, Error> {
    let Some(text) = &parsed.search else { return Ok(Vec::new()) };
    let words = search::words(text);
    let mut violations = Violations::default();
    if words.is_empty() {
        violations.add(Pointer::field(parameter), "query.value", format!("`{text}` has no words"));
    } else if words.len() > WORDS_MAX {
        violations.add(Pointer::field(parameter), "query.limit", format!("more than {WORDS_MAX} words"));
    }
    violations.or(words).map_err(Error::Query)
}

/// The ids of what matches, best first.
///
/// # Errors
/// A search that takes too long, or what the store reports.
pub(super) async fn matches(call: &Call, asked: Asked<'_>, words: &[String], parameter: &str) -> Result<Vec<String>, Error> {
    let turn = TURNS.acquire().await.map_err(|error| Error::Internal(error.to_string()))?;
    let found = search::ranked(&call.app.store, asked.collection, asked.ground, asked.list.filter.as_deref(), words).await;
    drop(turn);
    match found {
        Ok(found) => Ok(found),
        Err(Failure::TooSlow) => {
            let mut violations = Violations::default();
            let message = format!("this took more than {TIME_MAX_S} seconds: search for rarer words");
            violations.add(Pointer::field(parameter), "query.limit", message);
            Err(Error::Query(violations))
        }
        Err(Failure::Store(error)) => Err(error.into()),
        Err(other) => Err(Error::Internal(other.to_string())),
    }
}

/// How many records a list without a limit would have.
///
/// # Errors
/// What the store reports.
pub(super) async fn count(call: &Call, asked: Asked<'_>, words: &[String]) -> Result<u64, Error> {
    Ok(search::count(&call.app.store, asked.collection, asked.ground, asked.list.filter.as_deref(), words).await?)
}
