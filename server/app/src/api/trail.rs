//! What is known of a request beside the request itself: its id, where it comes from, who it turned out to be, how long it may take, and how
//! far it has come. The layers around the endpoints share it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use model::Principal;
use poem::{Response, http::Method};
use store::Commitment;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    config::Config,
    rates::{Class, Told},
};

/// One request on its way. Cheap to clone.
#[derive(Clone)]
pub(super) struct Trail(Arc<Inner>);

struct Inner {
    id: Arc<str>,
    address: IpAddr,
    secure: bool,
    /// The connection has so many requests under way that this one is not looked at.
    refused: bool,
    began: Instant,
    class: Class,
    within: Duration,
    deadline: Mutex<Instant>,
    sooner: Notify,
    commitment: Arc<Commitment>,
    principal: OnceLock<&'static str>,
    rate: Mutex<Option<Told>>,
    early: Mutex<Option<oneshot::Sender<Response>>>,
}

/// What the way in knows of a request.
pub(super) struct Begin<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) address: IpAddr,
    pub(super) secure: bool,
    pub(super) refused: bool,
    pub(super) has_body: bool,
    /// Takes an answer that cannot wait for the story.
    pub(super) early: oneshot::Sender<Response>,
}

impl Trail {
    pub(super) fn begin(config: &Config, begin: Begin<'_>) -> Self {
        let began = Instant::now();
        let within = Duration::from_secs(patience(config, begin.path).max(1));
        // The body has a limit of its own, and what it took does not count.
        let body = if begin.has_body { Duration::from_secs(config.body_read_seconds) } else { Duration::ZERO };
        Self(Arc::new(Inner {
            id: ulid::Ulid::new().to_string().into(),
            address: begin.address,
            secure: begin.secure,
            refused: begin.refused,
            began,
            class: class(begin.method, begin.path),
            within,
            deadline: Mutex::new(began + within + body),
            sooner: Notify::new(),
            commitment: Arc::default(),
            principal: OnceLock::new(),
            rate: Mutex::default(),
            early: Mutex::new(Some(begin.early)),
        }))
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.0.id
    }

    /// Where the request comes from.
    pub(super) fn address(&self) -> IpAddr {
        self.0.address
    }

    pub(super) fn is_secure(&self) -> bool {
        self.0.secure
    }

    pub(super) fn is_refused(&self) -> bool {
        self.0.refused
    }

    pub(super) fn class(&self) -> Class {
        self.0.class
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// How long the story may take.
    pub(super) fn within(&self) -> Duration {
        self.0.within
    }

    fn deadline(&self) -> Instant {
        *lock(&self.0.deadline)
    }

    /// Notes that the request has arrived as a whole.
    pub(super) fn arrived(&self) {
        *lock(&self.0.deadline) = Instant::now() + self.0.within;
        self.0.sooner.notify_one();
    }

    /// Waits until the time is over.
    pub(super) async fn over(&self) {
        loop {
            let deadline = self.deadline();
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                () = self.0.sooner.notified() => {}
            }
        }
    }

    pub(super) fn commitment(&self) -> &Arc<Commitment> {
        &self.0.commitment
    }

    /// Notes who it is.
    pub(super) fn known(&self, principal: &Principal) {
        let _ = self.0.principal.set(match principal {
            Principal::Anonymous => "anonymous",
            Principal::User(_) => "user",
            Principal::Service(_) => "service",
            Principal::Plugin(_) => "plugin",
            Principal::System => "system",
        });
    }

    /// The kind of principal; `-` if nobody has asked.
    pub(super) fn principal(&self) -> &'static str {
        self.0.principal.get().copied().unwrap_or("-")
    }

    /// Notes how much is left. The limit that is nearer counts.
    pub(super) fn rated(&self, told: Option<Told>) {
        let mut rate = lock(&self.0.rate);
        *rate = match (*rate, told) {
            (Some(before), Some(told)) if before.remaining < told.remaining => Some(before),
            (before, told) => told.or(before),
        };
    }

    pub(super) fn rate(&self) -> Option<Told> {
        *lock(&self.0.rate)
    }

    /// Answers now, while the story goes on.
    pub(super) fn answer(&self, response: Response) {
        if let Some(early) = lock(&self.0.early).take() {
            // A client that has gone hears nothing.
            let _ = early.send(response);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn class(method: &Method, path: &str) -> Class {
    let auth = (path.starts_with("/api/auth/") && path != "/api/auth/logout") || path.trim_end_matches('/') == "/api/setup";
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => Class::Read,
        Method::POST if auth => Class::Auth,
        _ => Class::Write,
    }
}

/// Imports and exports are as long as they are: each piece of them has to come, or to be taken, in time.
const STREAM_SECONDS: u64 = 7 * 24 * 3_600;

/// True for what is sent or taken piece by piece for as long as it goes on.
pub(super) fn streams(path: &str) -> bool {
    ["/import", "/export"].iter().any(|end| path.ends_with(end))
}

/// Seconds that a request may take. What changes the application itself may have much to do.
fn patience(config: &Config, path: &str) -> u64 {
    const MANAGEMENT: [&str; 6] = ["/api/collections", "/api/policies", "/api/roles", "/api/plugins", "/api/rules", "/api/deliveries"];
    let manages = MANAGEMENT.iter().any(|start| path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if streams(path) {
        return STREAM_SECONDS;
    }
    if manages { config.management_seconds.max(config.request_seconds) } else { config.request_seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_a_class_and_a_limit() {
        let config = Config::default();
        let cases = [
            (Method::POST, "/api/auth/login", Class::Auth, 30),
            (Method::POST, "/api/auth/logout", Class::Write, 30),
            (Method::GET, "/api/auth/me", Class::Read, 30),
            (Method::POST, "/api/setup/", Class::Auth, 30),
            (Method::GET, "/api/records/posts", Class::Read, 30),
            (Method::DELETE, "/api/records/posts/1", Class::Write, 30),
            (Method::POST, "/api/collections", Class::Write, 600),
            (Method::PATCH, "/api/collections/posts", Class::Write, 600),
            (Method::GET, "/api/collectionsx", Class::Read, 30),
            (Method::POST, "/api/records/posts/import", Class::Write, STREAM_SECONDS),
        ];
        for (method, path, expected, seconds) in cases {
            assert_eq!((class(&method, path), patience(&config, path)), (expected, seconds), "{method} {path}");
        }
    }

    #[test]
    fn patience_never_ends_earlier_for_management() {
        let config = Config { request_seconds: 900, ..Config::default() };
        assert_eq!(patience(&config, "/api/plugins/x"), 900);
    }
}
