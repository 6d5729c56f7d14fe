//! All open connections: how many there may be, of whom, and which have to go because they only take place. A connection that is being
//! answered is never ended here.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{
    Network, Proxies,
    connection::{Connection, Order, Phase, now_ms},
};
use crate::{Error, config::Config};

/// File handles that are kept for everything else: the database, plugins, webhooks.
const HANDLES_KEPT: u64 = 256;

/// How long a client may take nothing of an answer, and how much it has to take in that time, in bytes.
const TAKING_MS: u64 = 30_000;
const TAKEN_MIN_BYTES: u64 = 30 << 10;

/// A client that has to send or to take something and has not done so for this long can be ended to make place.
const WAITING_MS: u64 = 2_000;

/// How long an idle connection has to end by itself once it was asked to.
const ENDING_MS: u64 = 1_000;

/// Connections that are refused with a word at the same time; further ones just end.
const REFUSED_MAX: usize = 64;

/// There is no place.
pub(super) struct Full {
    /// The right to say so.
    pub(super) lingering: Option<OwnedSemaphorePermit>,
}

/// The open connections.
pub(super) struct Connections {
    open: Mutex<Open>,
    /// Connections at once, of all and of one network.
    most: usize,
    most_of_one: usize,
    proxies: Proxies,
    head_ms: u64,
    idle_ms: u64,
    gone: Notify,
    refused: Arc<Semaphore>,
}

#[derive(Default)]
struct Open {
    all: HashMap<u64, Arc<Connection>>,
    of: HashMap<Network, usize>,
    next: u64,
}

impl Connections {
    /// None yet. `handles` is how many files this process may have open.
    pub(super) fn new(config: &Config, handles: u64) -> Result<Self, Error> {
        let possible = usize::try_from(handles.saturating_sub(HANDLES_KEPT).max(handles / 2)).unwrap_or(usize::MAX);
        if possible < config.connections_max {
            tracing::warn!(
                handles,
                connections = possible,
                "fewer connections than `connections_max`: the limit of file handles is too low"
            );
        }
        let milliseconds = |seconds: u64| Duration::from_secs(seconds.max(1)).as_millis() as u64;
        Ok(Self {
            open: Mutex::default(),
            most: config.connections_max.clamp(1, possible.max(1)),
            most_of_one: if config.connections_per_ip_max == 0 { usize::MAX } else { config.connections_per_ip_max },
            proxies: Proxies::new(config)?,
            head_ms: milliseconds(config.header_read_seconds),
            idle_ms: milliseconds(config.keep_alive_seconds),
            gone: Notify::new(),
            refused: Arc::new(Semaphore::new(REFUSED_MAX)),
        })
    }

    /// Takes a place for a new connection. If there is none, those that do nothing make place.
    pub(super) fn open(&self, address: IpAddr) -> Result<Arc<Connection>, Full> {
        let counted = (!self.proxies.trusts(address)).then_some(address);
        let mut open = self.open_ones();
        let of_one = counted.and_then(|address| open.of.get(&Network::of(address)).copied()).unwrap_or_default();
        if of_one >= self.most_of_one {
            return Err(self.full());
        }
        if open.all.len() >= self.most && open.shed(self.most) == 0 {
            return Err(self.full());
        }
        let connection = Arc::new(Connection::new(open.next, counted));
        open.next += 1;
        open.all.insert(connection.id, Arc::clone(&connection));
        if let Some(network) = connection.network {
            *open.of.entry(network).or_default() += 1;
        }
        Ok(connection)
    }

    fn full(&self) -> Full {
        Full { lingering: Arc::clone(&self.refused).try_acquire_owned().ok() }
    }

    /// Gives the place back.
    pub(super) fn close(&self, connection: &Connection) {
        self.open_ones().forget(connection);
        self.gone.notify_waiters();
    }

    /// Ends some connections that do nothing.
    pub(super) fn shed(&self) {
        self.open_ones().shed(self.most);
    }

    /// Ends every connection that has let its time pass.
    pub(super) fn look(&self) {
        let now = now_ms();
        for connection in self.open_ones().all.values() {
            if let Some(order) = self.due(connection, now) {
                connection.tell(order);
            }
        }
    }

    fn due(&self, connection: &Connection, now: u64) -> Option<Order> {
        if takes_too_little(connection, now) {
            return Some(Order::Close);
        }
        let past = |since: u64, limit: u64| now.saturating_sub(since) > limit;
        let ending = connection.is_ending();
        match connection.phase() {
            Phase::Busy | Phase::Client(_) => None,
            Phase::Silent(since) | Phase::Head(since) if ending => past(since, ENDING_MS).then_some(Order::Close),
            Phase::Silent(since) | Phase::Head(since) => past(since, self.head_ms).then_some(Order::Close),
            Phase::Idle(since) if ending => past(since, ENDING_MS).then_some(Order::Close),
            Phase::Idle(since) => past(since, self.idle_ms).then_some(Order::Finish),
        }
    }

    /// Every connection finishes.
    pub(super) fn finish(&self) {
        self.open_ones().all.values().for_each(|connection| connection.tell(Order::Finish));
    }

    /// Waits until there is no connection any more.
    pub(super) async fn empty(&self) {
        loop {
            let gone = self.gone.notified();
            if self.len() == 0 {
                return;
            }
            gone.await;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open_ones().all.len()
    }

    fn open_ones(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that is not taken keeps its memory and its place.
fn takes_too_little(connection: &Connection, now: u64) -> bool {
    let (since, mark) = (&connection.blocked_since, &connection.blocked_written);
    if !connection.is_blocked() {
        since.store(0, Ordering::Relaxed);
        return false;
    }
    let began = since.load(Ordering::Relaxed);
    if began > 0 && now.saturating_sub(began) <= TAKING_MS {
        return false;
    }
    let taken = connection.written().saturating_sub(mark.load(Ordering::Relaxed));
    since.store(now, Ordering::Relaxed);
    mark.store(connection.written(), Ordering::Relaxed);
    began > 0 && taken < TAKEN_MIN_BYTES
}

impl Open {
    /// Ends a hundredth of what there may be, because looking for them costs something: first those that never asked, then those that wait
    /// for their next request, then those whose client keeps them waiting, the longest of each first. Returns how many.
    fn shed(&mut self, most: usize) -> usize {
        let now = now_ms();
        let rank = |connection: &Arc<Connection>| match connection.phase() {
            Phase::Silent(since) | Phase::Head(since) => Some((2, now.saturating_sub(since))),
            Phase::Idle(since) => Some((1, now.saturating_sub(since))),
            Phase::Client(since) => Some((0, now.saturating_sub(since))).filter(|(_, waiting)| *waiting > WAITING_MS),
            Phase::Busy => None,
        };
        let mut idle: Vec<_> = self.all.values().filter_map(|connection| Some((rank(connection)?, Arc::clone(connection)))).collect();
        idle.sort_unstable_by_key(|(rank, connection)| (Reverse(*rank), connection.id));
        idle.truncate(most / 100 + 1);
        for (_, connection) in &idle {
            connection.tell(Order::Close);
            self.forget(connection);
        }
        idle.len()
    }

    fn forget(&mut self, connection: &Connection) {
        if self.all.remove(&connection.id).is_none() {
            return;
        }
        if let Some(network) = connection.network
            && let Some(count) = self.of.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(most: usize, of_one: usize) -> Connections {
        let trusted_proxies = vec!["10.0.0.1".to_owned()];
        let config = Config { connections_max: most, connections_per_ip_max: of_one, trusted_proxies, ..Config::default() };
        Connections::new(&config, 20_000).unwrap_or_else(|error| panic!("{error}"))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_network_has_its_share() {
        let connections = connections(100, 2);
        let first = connections.open(address("192.0.2.1")).ok().expect("a place");
        assert!(connections.open(address("192.0.2.1")).is_ok());
        assert!(connections.open(address("192.0.2.1")).is_err(), "a third one");
        assert!(connections.open(address("192.0.2.2")).is_ok(), "of another network");
        connections.close(&first);
        assert!(connections.open(address("192.0.2.1")).is_ok(), "a place was given back");
        for _ in 0..5 {
            assert!(connections.open(address("10.0.0.1")).is_ok(), "a proxy stands for many");
        }
    }

    #[test]
    fn whoever_does_nothing_makes_place_and_whoever_is_answered_does_not() {
        let connections = connections(3, 0);
        let opened: Vec<_> = (0..3).filter_map(|_| connections.open(address("192.0.2.1")).ok()).collect();
        let busy: Vec<_> = opened[..2].iter().map(|one| one.begin(hyper::Version::HTTP_11)).collect();
        let late = connections.open(address("192.0.2.2")).ok().expect("the silent one makes place");
        assert!(opened[2].is_ending() && !opened[0].is_ending() && !opened[1].is_ending());
        let _late = late.begin(hyper::Version::HTTP_11);
        assert!(connections.open(address("192.0.2.3")).is_err(), "all are being answered");
        assert_eq!(connections.len(), 3);
        drop(busy);
        assert!(connections.open(address("192.0.2.3")).is_ok(), "two are idle");
        // Its task says so once more.
        connections.close(&opened[2]);
        assert_eq!(connections.len(), 3);
    }

    #[test]
    fn an_answer_that_is_taken_too_slowly_is_ended() {
        let connection = Connection::new(1, None);
        let second = |seconds: u64| 1_000 + seconds * 1_000;
        let at = |seconds, taken: usize| {
            connection.wrote(taken);
            connection.block();
            takes_too_little(&connection, second(seconds))
        };
        assert!(!at(0, 100_000) && !at(10, 0) && !at(29, 0), "it has half a minute");
        assert!(!at(31, 40_000), "it has taken enough in it");
        assert!(!at(60, 1_000));
        assert!(at(62, 1_000), "too little in the next one");
        connection.wrote(1);
        assert!(!takes_too_little(&connection, second(100)), "it takes");
    }

    #[test]
    fn too_few_file_handles_are_fewer_connections() {
        let config = Config { connections_max: 10_000, ..Config::default() };
        let of = |handles| Connections::new(&config, handles).map(|connections| connections.most).unwrap_or_default();
        assert_eq!((of(20_000), of(1_024), of(300)), (10_000, 768, 150));
    }
}
