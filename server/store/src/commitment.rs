//! The point of no return of a request. Whoever waits for a story may give it up as long as none of its transactions has begun to commit,
//! and never between a commit and what follows it. The stories do not know of it: [`crate::Transaction::commit`] asks on their behalf.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use crate::Error;

/// Nothing has been committed yet.
const OPEN: u8 = 0;
/// A commit has begun.
const COMMITTING: u8 = 1;
/// The same, and nobody waits any more.
const LATE: u8 = 2;
/// Nothing has been committed, and nothing will be.
const GIVEN_UP: u8 = 3;

tokio::task_local! {
    static COMMITMENT: Arc<Commitment>;
}

/// How far a request has come. Shared between its story and whoever waits for it.
#[derive(Debug, Default)]
pub struct Commitment {
    state: AtomicU8,
}

impl Commitment {
    /// Runs a story under this commitment.
    pub async fn scope<F: Future>(self: Arc<Self>, story: F) -> F::Output {
        COMMITMENT.scope(self, story).await
    }

    /// Gives the story up. True if nothing has been committed: nothing will be, and the story may be dropped. False if a commit has begun:
    /// the story has to run to its end.
    pub fn give_up(&self) -> bool {
        let given_up = |state| {
            if state == OPEN {
                GIVEN_UP
            } else if state == COMMITTING {
                LATE
            } else {
                state
            }
        };
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| Some(given_up(state)));
        matches!(before, Ok(OPEN | GIVEN_UP))
    }

    fn begin(&self) -> Result<bool, Error> {
        match self.state.compare_exchange(OPEN, COMMITTING, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(true),
            Err(GIVEN_UP) => Err(Error::GivenUp),
            Err(_) => Ok(false),
        }
    }

    fn nothing_happened(&self) {
        let back = |state| {
            if state == COMMITTING {
                OPEN
            } else if state == LATE {
                GIVEN_UP
            } else {
                state
            }
        };
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| Some(back(state)));
    }
}

/// A commit that has begun. Outside of a request there is nobody who could give up.
pub(crate) struct Begun {
    first: Option<Arc<Commitment>>,
}

/// Passes the point of no return.
pub(crate) fn begin() -> Result<Begun, Error> {
    let Ok(commitment) = COMMITMENT.try_with(Arc::clone) else { return Ok(Begun { first: None }) };
    let first = commitment.begin()?;
    Ok(Begun { first: first.then_some(commitment) })
}

impl Begun {
    /// Goes back behind it if this was the first commit of the request and it has surely not happened.
    pub(crate) fn ended(self, outcome: &Result<(), Error>) {
        if let (Some(commitment), Err(error)) = (self.first, outcome)
            && !matches!(error, Error::Unknown(_))
        {
            commitment.nothing_happened();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_has_begun_to_commit_is_not_given_up() {
        let commitment = Arc::new(Commitment::default());
        Arc::clone(&commitment)
            .scope(async {
                let begun = begin().expect("nobody has given up");
                assert!(!commitment.give_up(), "it has begun");
                begun.ended(&Ok(()));
                assert!(begin().is_ok(), "what follows may commit too");
                assert!(!commitment.give_up());
            })
            .await;
    }

    #[tokio::test]
    async fn a_conflict_opens_it_again_unless_somebody_gave_up_meanwhile() {
        let commitment = Arc::new(Commitment::default());
        Arc::clone(&commitment)
            .scope(async {
                begin().expect("open").ended(&Err(Error::Conflict));
                let begun = begin().expect("open again");
                assert!(!commitment.give_up());
                begun.ended(&Err(Error::Conflict));
                assert!(matches!(begin(), Err(Error::GivenUp)), "the next attempt would surprise whoever gave up");
                assert!(commitment.give_up());
            })
            .await;
    }

    #[tokio::test]
    async fn what_was_given_up_does_not_commit() {
        let commitment = Arc::new(Commitment::default());
        assert!(commitment.give_up());
        Arc::clone(&commitment).scope(async { assert!(matches!(begin(), Err(Error::GivenUp))) }).await;
        assert!(begin().is_ok(), "outside of a request nobody can give up");
    }

    #[tokio::test]
    async fn an_unknown_outcome_stays_past_the_point_of_no_return() {
        let commitment = Arc::new(Commitment::default());
        Arc::clone(&commitment).scope(async { begin().expect("open").ended(&Err(Error::Unknown("gone".to_owned()))) }).await;
        assert!(!commitment.give_up());
    }
}
