//! How often a password may be tried: few times for one account from one network, more often for one account from everywhere. It is counted
//! by what was typed, whether there is such an account or not, so that a refusal tells nobody who has one. A right password takes its network's
//! count back, and a network from which it came lately is not held up by what others try.

use std::{net::IpAddr, time::Duration};

use quick_cache::sync::Cache;

use super::{Key, Limit, Network};
use crate::{Error, config::Config};

/// For how long the attempts count.
const WITHIN: Duration = Duration::from_secs(15 * 60);

/// Accounts and networks of right passwords that are remembered.
const KNOWN_MAX: usize = 20_000;

/// The passwords that were tried lately.
pub(crate) struct Guesses {
    of_network: Option<Limit>,
    of_account: Option<Limit>,
    known: Cache<Key, ()>,
}

/// A password that is being tried.
pub(crate) struct Guess<'a> {
    guesses: &'a Guesses,
    pair: Key,
}

impl Guesses {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            of_network: Limit::new(config.login_attempts, WITHIN),
            of_account: Limit::new(config.login_attempts_of_all, WITHIN),
            known: Cache::new(KNOWN_MAX),
        }
    }

    /// Counts an attempt, before the password is looked at: many at once are as many as one after the other.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when there were too many.
    pub(crate) fn attempt(&self, identity: &str, address: Option<IpAddr>) -> Result<Guess<'_>, Error> {
        let identity = identity.trim().to_lowercase();
        let pair = Key::of(&(&identity, address.map(Network::of)));
        if let Some(limit) = &self.of_network {
            limit.count(pair)?;
        }
        if let Some(limit) = &self.of_account
            && self.known.get(&pair).is_none()
        {
            limit.count(Key::of(&identity))?;
        }
        Ok(Guess { guesses: self, pair })
    }
}

impl Guess<'_> {
    /// The password was right.
    pub(crate) fn right(self) {
        if let Some(limit) = &self.guesses.of_network {
            limit.forget(self.pair);
        }
        self.guesses.known.insert(self.pair, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guesses() -> Guesses {
        Guesses::new(&Config { login_attempts: 3, login_attempts_of_all: 10, ..Config::default() })
    }

    fn from(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn wrong_passwords_run_out_and_right_ones_do_not() {
        let guesses = guesses();
        for _ in 0..20 {
            guesses.attempt("ann@test.example", from(1)).expect("right every time").right();
        }
        for name in ["Ann@test.example", " ann@test.example", "ann@test.example "] {
            assert!(guesses.attempt(name, from(1)).is_ok());
        }
        assert!(matches!(guesses.attempt("ann@test.example", from(1)), Err(Error::RateLimited(_))));
        assert!(guesses.attempt("bob@test.example", from(1)).is_ok(), "another account");
        assert!(guesses.attempt("ann@test.example", from(2)).is_ok(), "another network");
    }

    #[test]
    fn many_networks_do_not_get_many_times_as_often_and_do_not_lock_the_owner_out() {
        let guesses = guesses();
        guesses.attempt("ann@test.example", from(1)).expect("the owner").right();
        let tried = (2..=200).filter(|last| guesses.attempt("ann@test.example", from(*last)).is_ok()).count();
        // The owner's first login was one of ten.
        assert_eq!(tried, 9);
        guesses.attempt("ann@test.example", from(1)).expect("the owner is known").right();
        assert!(guesses.attempt("ann@test.example", from(250)).is_err());
    }
}
