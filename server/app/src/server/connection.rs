//! One connection: what it is doing, and since when. Written by whoever reads, writes and answers, read by [`super::connections`].

use std::{
    net::IpAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::Notify;

use super::Network;

/// Requests that one connection may have under way: the streams of HTTP/2, and stories that go on after their stream was reset.
pub(super) const STREAMS_MAX: u32 = 200;

/// Milliseconds since this process began to serve; never 0, which means "not".
pub(super) fn now_ms() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGIN.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Answer what has been asked, say that this was the last answer, and end.
    Finish,
    /// End.
    Close,
}

const NOTHING: u8 = 0;
const FINISH: u8 = 1;
const CLOSE: u8 = 2;

/// What is known of a connection. Times are those of [`now_ms`].
pub(crate) struct Connection {
    pub(super) id: u64,
    /// Whom it counts for; none for proxies of the operator.
    pub(super) network: Option<Network>,
    pub(super) began: u64,
    /// Requests that were begun and not yet answered as a whole.
    requests: AtomicUsize,
    /// Stories that run for it, those whose client has gone included.
    stories: AtomicUsize,
    /// Bodies of requests that have not arrived as a whole.
    receiving: AtomicUsize,
    /// True after the first request.
    asked: AtomicBool,
    http2: AtomicBool,
    /// When the last request was answered.
    answered: AtomicU64,
    /// When the first byte after that has come; 0 if none has.
    head_since: AtomicU64,
    read_last: AtomicU64,
    written_last: AtomicU64,
    /// Bytes.
    written: AtomicU64,
    /// True while the client does not take what is written.
    blocked: AtomicBool,
    /// When a look found it blocked, and how many bytes it had taken by then; 0 if it was not. Only looks write them.
    pub(super) blocked_since: AtomicU64,
    pub(super) blocked_written: AtomicU64,
    order: AtomicU8,
    notify: Notify,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has never asked anything, since then.
    Silent(u64),
    /// It has sent a part of the head of its next request, since then.
    Head(u64),
    /// It has been answered, since then.
    Idle(u64),
    /// It has to send a body or to take an answer, and did the last of that then.
    Client(u64),
    /// It is being answered.
    Busy,
}

impl Connection {
    pub(super) fn new(id: u64, address: Option<IpAddr>) -> Self {
        Self {
            id,
            network: address.map(Network::of),
            began: now_ms(),
            requests: AtomicUsize::new(0),
            stories: AtomicUsize::new(0),
            receiving: AtomicUsize::new(0),
            asked: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            read_last: AtomicU64::new(0),
            written_last: AtomicU64::new(0),
            written: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            blocked_since: AtomicU64::new(0),
            blocked_written: AtomicU64::new(0),
            order: AtomicU8::new(NOTHING),
            notify: Notify::new(),
        }
    }

    /// Notes that a request has arrived, until the visit and its parts are dropped.
    pub(crate) fn begin(self: &Arc<Self>, version: hyper::Version) -> Visit {
        self.http2.store(version == hyper::Version::HTTP_2, Ordering::Relaxed);
        self.asked.store(true, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        Visit { connection: Arc::clone(self), count: Count::Request }
    }

    /// Counts a story that begins. False if there are too many.
    pub(crate) fn story(self: &Arc<Self>) -> Option<Visit> {
        let before = self.stories.fetch_add(1, Ordering::Relaxed);
        let visit = Visit { connection: Arc::clone(self), count: Count::Story };
        (before < STREAMS_MAX as usize).then_some(visit)
    }

    /// Notes that a body is arriving.
    pub(crate) fn receive(self: &Arc<Self>) -> Visit {
        self.receiving.fetch_add(1, Ordering::Relaxed);
        Visit { connection: Arc::clone(self), count: Count::Body }
    }

    /// True while a request has no whole answer.
    pub(super) fn is_asked(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    pub(super) fn read(&self) {
        let now = now_ms();
        self.read_last.store(now, Ordering::Relaxed);
        if self.requests.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.blocked.store(false, Ordering::Relaxed);
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        self.written_last.store(now_ms(), Ordering::Relaxed);
    }

    pub(super) fn block(&self) {
        self.blocked.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(super) fn phase(&self) -> Phase {
        let load = |time: &AtomicU64| time.load(Ordering::Relaxed);
        let requests = self.requests.load(Ordering::Relaxed);
        if self.is_blocked() {
            return Phase::Client(load(&self.written_last));
        }
        if requests > 0 {
            let waits = self.receiving.load(Ordering::Relaxed) >= requests;
            return if waits { Phase::Client(load(&self.read_last)) } else { Phase::Busy };
        }
        if !self.asked.load(Ordering::Relaxed) {
            return Phase::Silent(self.began);
        }
        // In HTTP/2 an idle client says that it lives.
        match load(&self.head_since) {
            since if since > 0 && !self.http2.load(Ordering::Relaxed) => Phase::Head(since),
            _ => Phase::Idle(load(&self.answered).max(load(&self.written_last))),
        }
    }

    pub(super) fn tell(&self, order: Order) {
        let order = match order {
            Order::Finish => FINISH,
            Order::Close => CLOSE,
        };
        if self.order.fetch_max(order, Ordering::AcqRel) < order {
            self.notify.notify_one();
        }
    }

    /// True once it was told to end.
    pub(super) fn is_ending(&self) -> bool {
        self.order.load(Ordering::Acquire) != NOTHING
    }

    /// Waits for the next order.
    pub(super) async fn ordered(&self) -> Order {
        self.notify.notified().await;
        if self.order.load(Ordering::Acquire) == CLOSE { Order::Close } else { Order::Finish }
    }
}

/// Something that goes on for a connection, until it is dropped.
pub(crate) struct Visit {
    connection: Arc<Connection>,
    count: Count,
}

enum Count {
    Request,
    Story,
    Body,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let connection = &self.connection;
        match self.count {
            Count::Story => {
                connection.stories.fetch_sub(1, Ordering::Relaxed);
            }
            Count::Body => {
                connection.receiving.fetch_sub(1, Ordering::Relaxed);
            }
            Count::Request => {
                connection.answered.store(now_ms(), Ordering::Relaxed);
                connection.requests.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stories_count_until_they_are_over_even_if_their_requests_are() {
        let connection = Arc::new(Connection::new(1, None));
        let mut stories = Vec::new();
        for _ in 0..STREAMS_MAX {
            let request = connection.begin(hyper::Version::HTTP_2);
            stories.push(connection.story().expect("one of those that may run"));
            // The client resets the stream.
            drop(request);
        }
        assert!(connection.story().is_none(), "as many run as may");
        stories.pop();
        assert!(connection.story().is_some(), "one is over");
    }

    #[test]
    fn a_connection_goes_through_its_phases() {
        let connection = Arc::new(Connection::new(1, None));
        assert!(matches!(connection.phase(), Phase::Silent(_)));
        connection.read();
        assert!(matches!(connection.phase(), Phase::Silent(_)), "half of a first head is still nothing");
        let request = connection.begin(hyper::Version::HTTP_11);
        assert_eq!(connection.phase(), Phase::Busy);
        let body = connection.receive();
        assert!(matches!(connection.phase(), Phase::Client(_)), "the body has to come");
        drop(body);
        assert_eq!(connection.phase(), Phase::Busy);
        connection.block();
        assert!(matches!(connection.phase(), Phase::Client(_)), "the answer has to be taken");
        connection.wrote(1);
        drop(request);
        assert!(matches!(connection.phase(), Phase::Idle(_)));
        connection.read();
        assert!(matches!(connection.phase(), Phase::Head(_)));
    }
}
