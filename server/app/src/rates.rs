//! How often somebody may ask: per network, per principal and per kind of request, and how often a password may be guessed. The counts are in
//! the memory of this node and bounded.

mod counts;

mod guesses;

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
};
use model::Principal;

use crate::{Error, config::Config, server::Network};
use counts::Counts;
pub(crate) use guesses::Guesses;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What is asked for, as far as limits differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Logging in, registering, renewing: what tries out secrets or costs a hash.
    Auth,
    Read,
    Write,
}

/// How much is left, for the headers of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Requests that may come at once.
    pub(crate) limit: u32,
    /// How many of them are left.
    pub(crate) remaining: u32,
    /// Until all are, or, if none is left, until there is one.
    pub(crate) reset: Duration,
}

impl Told {
    /// Whole seconds until it is worth asking again.
    pub(crate) fn seconds(&self) -> u64 {
        self.reset.as_millis().div_ceil(1_000) as u64
    }
}

/// All limits of this node; those that are off are none.
pub(crate) struct Rates {
    of_network: Option<Limit>,
    auth: Option<Limit>,
    reads: Option<Limit>,
    writes: Option<Limit>,
    /// Passwords that are tried.
    pub(crate) guesses: Guesses,
}

impl Rates {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            of_network: Limit::new(config.rate_requests_per_second, SECOND),
            auth: Limit::new(config.rate_auth_per_minute, MINUTE),
            reads: Limit::new(config.rate_reads_per_second, SECOND),
            writes: Limit::new(config.rate_writes_per_second, SECOND),
            guesses: Guesses::new(config),
        }
    }

    /// Counts a request before anything is known but where it comes from. Says how much is left where something is limited.
    pub(crate) fn arrived(&self, address: IpAddr, class: Class) -> Result<Option<Told>, Error> {
        let key = Key::of(&Network::of(address));
        let general = self.of_network.as_ref().map(|limit| limit.count(key)).transpose()?;
        let auth = self.auth.as_ref().filter(|_| class == Class::Auth).map(|limit| limit.count(key)).transpose()?;
        Ok(auth.or(general))
    }

    /// Counts a request of a principal; anonymous callers are told apart by where they come from.
    pub(crate) fn asked(&self, principal: &Principal, address: IpAddr, class: Class) -> Result<Option<Told>, Error> {
        let limit = match class {
            Class::Auth => return Ok(None),
            Class::Read => self.reads.as_ref(),
            Class::Write => self.writes.as_ref(),
        };
        let key = || match principal {
            Principal::Anonymous => Key::of(&Network::of(address)),
            somebody => Key::of(somebody),
        };
        limit.map(|limit| limit.count(key())).transpose()
    }
}

/// Whom something is counted for. Kept as a hash with a key that nobody knows, so that long names take no memory and nobody can choose whose
/// count to share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(u64);

impl Key {
    fn of(whom: &impl std::hash::Hash) -> Self {
        use std::{
            hash::{BuildHasher, RandomState},
            sync::LazyLock,
        };
        static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(SECRET.hash_one(whom))
    }
}

type Limiter = RateLimiter<Key, Counts, DefaultClock, StateInformationMiddleware>;

/// So many in a time, all at once or spread over it.
struct Limit {
    limiter: Limiter,
    counts: Counts,
    most: u32,
    each: Duration,
}

impl Limit {
    fn new(most: u32, within: Duration) -> Option<Self> {
        let burst = NonZeroU32::new(most)?;
        let quota = Quota::with_period(within / most)?.allow_burst(burst);
        let counts = Counts::new(quota.replenish_interval());
        let limiter = Limiter::new(quota, counts.clone(), DefaultClock::default());
        Some(Self { limiter, counts, most, each: quota.replenish_interval() })
    }

    fn count(&self, key: Key) -> Result<Told, Error> {
        match self.limiter.check_key(&key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                Ok(Told { limit: self.most, remaining, reset: self.each * (self.most - remaining.min(self.most)) })
            }
            Err(not_yet) => {
                let reset = not_yet.wait_time_from(self.limiter.clock().now());
                Err(Error::RateLimited(Told { limit: self.most, remaining: 0, reset }))
            }
        }
    }

    /// Takes everything back that was counted.
    fn forget(&self, key: Key) {
        self.counts.forget(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(config: Config) -> Rates {
        Rates::new(&Config { rate_auth_per_minute: 0, ..config })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn wait(outcome: Result<Option<Told>, Error>) -> Duration {
        match outcome {
            Err(Error::RateLimited(told)) => told.reset,
            other => panic!("not limited: {other:?}"),
        }
    }

    #[test]
    fn what_is_off_limits_nobody() {
        let rates = rates(Config::default());
        for _ in 0..10_000 {
            assert!(matches!(rates.arrived(address("192.0.2.1"), Class::Auth), Ok(None)));
            assert!(matches!(rates.asked(&Principal::Anonymous, address("192.0.2.1"), Class::Write), Ok(None)));
        }
    }

    #[test]
    fn each_network_and_each_principal_has_its_own_count() {
        let rates = rates(Config { rate_requests_per_second: 3, rate_writes_per_second: 2, ..Config::default() });
        for left in [2, 1, 0] {
            let told = rates.arrived(address("192.0.2.1"), Class::Read).expect("in time").expect("limited");
            assert_eq!((told.limit, told.remaining), (3, left));
        }
        assert!(wait(rates.arrived(address("192.0.2.1"), Class::Read)) <= SECOND / 3);
        assert!(rates.arrived(address("192.0.2.2"), Class::Read).is_ok());
        for principal in [Principal::User("ann".to_owned()), Principal::User("bob".to_owned()), Principal::Anonymous] {
            for _ in 0..2 {
                assert!(rates.asked(&principal, address("192.0.2.1"), Class::Write).is_ok());
            }
            wait(rates.asked(&principal, address("192.0.2.1"), Class::Write));
            assert!(rates.asked(&principal, address("192.0.2.1"), Class::Read).is_ok(), "reads are another class");
        }
    }
}
