//! The outermost layer: keeps the limits of every request, turns every error (a panic too) into a problem, compresses, adds the headers that
//! every answer has, and writes the access log.

use std::{
    io,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Body as _;
use poem::{
    Endpoint, Request, Response,
    error::{MethodNotAllowedError, NotFoundError, ParsePathError},
    http::{HeaderName, HeaderValue, StatusCode, Version, header},
};
use poem_openapi::error::ParseParamError;

use super::{
    compression::{self, Codings},
    cors::Cors,
    payload::POLICY_EPOCH,
    problem,
    trail::Trail,
};
use crate::{App, Error};

/// The header with which a caller waits for a change of policies.
const POLICY_MIN_EPOCH: &str = "policy-min-epoch";

/// How long a request waits for it.
const EPOCH_WITHIN: Duration = Duration::from_secs(2);

/// Bytes of a query. The longest filter is 4 KiB, and percent-encoding makes three of each.
const QUERY_MAX_BYTES: usize = 32 << 10;

/// Query parameters of one request. Clients ask for hundreds of records by their ids, and some send every parameter of every field, most of
/// them empty.
const PARAMETERS_MAX: usize = 2_000;

/// What the paths of the fixed API take: their methods, and the query parameters of each. Poem's routes do not tell the one, and nobody
/// refuses the other.
pub(super) struct Methods(Vec<FixedPath>);

struct FixedPath {
    segments: Vec<String>,
    /// Methods in capitals, with the names of their query parameters.
    operations: Vec<(String, Vec<String>)>,
}

impl Methods {
    /// Reads them out of the document.
    pub(super) fn of(spec: &str) -> Self {
        let document: serde_json::Value = serde_json::from_str(spec).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let query = |operation: &serde_json::Value| {
            let parameters = operation["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] == "query");
            parameters.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
        };
        let entry = |(path, operations): (&String, &serde_json::Value)| {
            let operations = operations.as_object().into_iter().flatten();
            FixedPath {
                segments: path.split('/').map(str::to_owned).collect(),
                operations: operations.map(|(method, operation)| (method.to_uppercase(), query(operation))).collect(),
            }
        };
        Self(paths.map(entry).collect())
    }

    fn find(&self, path: &str) -> Option<&FixedPath> {
        let wanted: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let same = |one: &&FixedPath| {
            let segments: Vec<&String> = one.segments.iter().filter(|segment| !segment.is_empty()).collect();
            let wanted: Vec<&&str> = wanted.iter().filter(|part| !part.is_empty()).collect();
            segments.len() == wanted.len() && segments.iter().zip(wanted).all(|(pattern, part)| pattern.starts_with('{') || pattern == part)
        };
        // A literal segment wins over a parameter, as in the routes.
        self.0.iter().filter(same).min_by_key(|one| one.segments.iter().filter(|segment| segment.starts_with('{')).count())
    }

    fn allow(&self, path: &str) -> String {
        // Whatever takes GET takes HEAD: so do the routes.
        let named = |(method, _): &(String, Vec<String>)| if method == "GET" { "GET, HEAD".to_owned() } else { method.clone() };
        let methods = |one: &FixedPath| one.operations.iter().map(named).collect::<Vec<_>>().join(", ");
        self.find(path).map_or_else(|| "GET, HEAD".to_owned(), methods)
    }

    /// Refuses query parameters that the operation does not have, for `dryrun=true` must not be taken for nothing, and those that stand twice.
    /// Those without a value go: they count as absent.
    fn check_query(&self, request: &mut Request) -> Result<(), Error> {
        let Some(known) = self.find(request.uri().path()).and_then(|one| {
            let operation = one.operations.iter().find(|(method, _)| method == request.method().as_str());
            operation.map(|(_, parameters)| parameters)
        }) else {
            return Ok(());
        };
        let (mut violations, mut given) = (model::Violations::default(), Vec::<(String, String)>::new());
        for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned() {
            if !known.contains(&name) {
                violations.add(model::Pointer::field(&name), "query.unknown", format!("unknown query parameter `{name}`"));
            } else if given.iter().any(|(other, _)| *other == name) {
                violations.add(model::Pointer::field(&name), "query.value", format!("`{name}` stands twice"));
            }
            given.push((name, value));
        }
        violations.or(()).map_err(Error::Query)?;
        if given.iter().any(|(_, value)| value.trim().is_empty()) {
            let left = given.iter().filter(|(_, value)| !value.trim().is_empty());
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(left).finish();
            let path = request.uri().path();
            let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
            *request.uri_mut() = uri.parse().map_err(|_| Error::NoRoute)?;
        }
        Ok(())
    }
}

/// Refuses a query that is not percent-encoded UTF-8, which would otherwise be read as something else.
fn is_text(request: &Request) -> Result<(), Error> {
    let query = request.uri().query().unwrap_or_default();
    // What is not UTF-8 is read as this character, which a client may also send.
    let read_as = |text: &str| text.matches(char::REPLACEMENT_CHARACTER).count();
    let sent = |pair: &str| read_as(pair) + pair.to_ascii_uppercase().matches("%EF%BF%BD").count();
    let wrong = query.split('&').find_map(|pair| {
        let (name, value) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
        let message = match is_encoded(pair) {
            false => format!("`{name}` has a `%` without two hexadecimal digits behind it"),
            true if read_as(&name) + read_as(&value) > sent(pair) => format!("`{name}` is not UTF-8"),
            true => return None,
        };
        Some(model::Violation::new(model::Pointer::field(&name), "query.value", message))
    });
    wrong.map_or(Ok(()), |violation| Err(Error::Query(violation.into())))
}

/// True if two hexadecimal digits stand behind every `%`.
fn is_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

pub(super) struct Boundary<E> {
    inner: E,
    methods: Methods,
    cors: Cors,
    app: Arc<App>,
    /// Clients reach the server through somebody else's TLS.
    behind_tls: bool,
}

impl<E> Boundary<E> {
    pub(super) fn new(inner: E, methods: Methods, cors: Cors, app: Arc<App>) -> Self {
        let behind_tls = app.config.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        Self { inner, methods, cors, app, behind_tls }
    }

    /// Waits until the policies are in force that the caller knows of: it may have heard of a change from another node.
    async fn wait_for_epoch(&self, request: &Request) -> Result<(), Error> {
        let Some(wanted) = request.headers().get(POLICY_MIN_EPOCH) else { return Ok(()) };
        let epoch = wanted.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()).ok_or_else(|| {
            let message = format!("the header `{POLICY_MIN_EPOCH}` is not a whole number");
            Error::Query(model::Violation::new(model::Pointer::root(), "query.value", message).into())
        })?;
        let app = &self.app;
        if app.world().version >= epoch || app.wait_for(epoch, EPOCH_WITHIN).await { Ok(()) } else { Err(Error::EpochNotReached { epoch }) }
    }

    fn problem(&self, error: &poem::Error, path: &str, id: &str) -> Response {
        if let Some(error) = error.downcast_ref::<Error>() {
            return problem::response(error, id);
        }
        let translated = if error.is::<NotFoundError>() || error.is::<ParsePathError>() {
            Error::NoRoute
        } else if error.is::<MethodNotAllowedError>() {
            Error::MethodNotAllowed { allow: self.methods.allow(path) }
        } else {
            match error.status() {
                StatusCode::UNSUPPORTED_MEDIA_TYPE if path == "/api/plugins" => Error::UnsupportedType { expected: "application/wasm" },
                StatusCode::UNSUPPORTED_MEDIA_TYPE => Error::UnsupportedType { expected: "application/json" },
                StatusCode::NOT_FOUND => Error::NoRoute,
                status if status.is_client_error() && error.is::<ParseParamError>() => {
                    let name = error.downcast_ref::<ParseParamError>().map_or("", |error| error.name);
                    let message = format!("`{name}` cannot be read");
                    Error::Query(model::Violation::new(model::Pointer::field(name), "query.value", message).into())
                }
                status if status.is_client_error() => {
                    Error::Query(model::Violation::new(model::Pointer::root(), "query.value", error.to_string()).into())
                }
                _ => Error::Internal(error.to_string()),
            }
        };
        problem::response(&translated, id)
    }
}

impl<E: Endpoint> Endpoint for Boundary<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let trail = trail(&request)?.clone();
        let asked = Asked {
            origin: self.cors.origin(&request),
            codings: Codings::of(&mut request, self.app.config.compression),
            known: self.app.world().version.into(),
            line: format!("{} {}", request.method(), request.uri().path()),
            trail: trail.clone(),
        };
        let path = request.uri().path().to_owned();
        let response = match self.answered(request, &asked).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                // The limit that was met is the one to tell of.
                if let Some(Error::RateLimited(told)) = error.downcast_ref() {
                    trail.rated(Some(*told));
                }
                self.problem(&error, &path, trail.id())
            }
            Err(_) => problem::response(&Error::Internal("a panic".to_owned()), trail.id()),
        };
        Ok(self.finished(response, asked))
    }
}

/// What of a request is needed for its answer.
struct Asked {
    origin: Option<HeaderValue>,
    codings: Codings,
    /// The changes of policies that were in force when it came, or for which it has waited.
    known: AtomicU64,
    /// Method and path, for the log.
    line: String,
    trail: Trail,
}

/// What an endpoint ended with, or that it panicked.
type Outcome = Result<poem::Result<Response>, Box<dyn std::any::Any + Send>>;

impl<E: Endpoint> Boundary<E> {
    /// Asks the endpoint, for as long as the request may take. A story that is given up is dropped: what it had written is rolled back, and the
    /// plugins that it ran end. One that has begun to commit runs to its end, only nobody waits for it.
    async fn answered(&self, request: Request, asked: &Asked) -> Outcome {
        if let Err(error) = check_host(&request) {
            return Ok(Err(error.into()));
        }
        let trail = &asked.trail;
        let story = Arc::clone(trail.commitment()).scope(AssertUnwindSafe(self.story(request, asked)).catch_unwind());
        tokio::pin!(story);
        tokio::select! {
            biased;
            outcome = &mut story => return outcome,
            () = trail.over() => {}
        }
        let seconds = trail.within().as_secs();
        if trail.commitment().give_up() {
            return Ok(Err(Error::TimedOut { seconds }.into()));
        }
        let late = problem::response(&Error::Late { seconds }, trail.id());
        trail.answer(self.with_headers(late, asked));
        tracing::warn!(request = %trail.id(), "a request was answered before its commit was over");
        story.await
    }

    async fn story(&self, mut request: Request, asked: &Asked) -> poem::Result<Response> {
        let trail = &asked.trail;
        if let Some(answer) = self.cors.preflight(&request) {
            return Ok(answer);
        }
        if trail.is_refused() {
            return Err(Error::TooManyAtOnce.into());
        }
        trail.rated(self.app.rates.arrived(trail.address(), trail.class())?);
        check_length(&request)?;
        compression::refuse_encoded(request.headers())?;
        self.wait_for_epoch(&request).await?;
        asked.known.store(self.app.world().version, Ordering::Relaxed);
        is_text(&request)?;
        self.methods.check_query(&mut request)?;
        self.inner.get_response_or_error(request).await
    }

    /// The answer as it is sent, and its line in the access log.
    fn finished(&self, response: Response, asked: Asked) -> Response {
        let mut response = self.with_headers(response, &asked);
        let Asked { codings, line, trail, .. } = asked;
        let body: BoxBody<Bytes, io::Error> = response.take_body().into();
        // Before compression; none for what is still being made.
        let bytes = body.size_hint().exact();
        response.set_body(poem::Body::from(body));
        let (status, ms) = (response.status().as_u16(), trail.elapsed().as_secs_f64() * 1_000.0);
        let (request, peer, principal) = (trail.id(), trail.address(), trail.principal());
        tracing::info!(target: "ironrule::access", %request, %peer, principal, status, bytes, ms, "{line} {status}");
        codings.encode(response)
    }

    fn with_headers(&self, mut response: Response, asked: &Asked) -> Response {
        add_headers(&mut response, asked.trail.id());
        add_rate(&mut response, &asked.trail);
        if asked.trail.is_secure() || self.behind_tls {
            // A year, as browsers' lists ask for.
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
        self.cors.open(asked.origin.clone(), response.headers_mut());
        response.headers_mut().entry(POLICY_EPOCH).or_insert(asked.known.load(Ordering::Relaxed).into());
        response
    }
}

/// What is known of a request.
pub(super) fn trail(request: &Request) -> Result<&Trail, Error> {
    request.extensions().get::<Trail>().ok_or_else(|| Error::Internal("a request came without its trail".to_owned()))
}

/// Refuses what does not say once for which host it is (RFC 9112, section 3.2): a proxy in front could take it for one of another host.
fn check_host(request: &Request) -> Result<(), Error> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    // HTTP/1.0 need not say it, and HTTP/2 has `:authority`.
    let right = if request.version() == Version::HTTP_11 { hosts == 1 } else { hosts <= 1 };
    if right { Ok(()) } else { Err(Error::Hosts { hosts }) }
}

/// Refuses a query that is longer than anything that can be asked for, before anybody reads it.
fn check_length(request: &Request) -> Result<(), Error> {
    let query = request.uri().query().unwrap_or_default();
    if query.len() > QUERY_MAX_BYTES {
        return Err(Error::QueryTooLong { max: QUERY_MAX_BYTES });
    }
    if query.bytes().filter(|byte| *byte == b'&').count() >= PARAMETERS_MAX {
        let message = format!("there are more than {PARAMETERS_MAX} query parameters");
        return Err(Error::Query(model::Violation::new(model::Pointer::root(), "query.value", message).into()));
    }
    Ok(())
}

/// How much of a limit is left, as most gateways say it.
fn add_rate(response: &mut Response, trail: &Trail) {
    let Some(told) = trail.rate() else { return };
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("ratelimit-limit"), told.limit.into());
    headers.insert(HeaderName::from_static("ratelimit-remaining"), told.remaining.into());
    headers.insert(HeaderName::from_static("ratelimit-reset"), told.seconds().into());
}

/// Calling an endpoint without losing what kind of error it ended with.
trait GetResponseOrError: Endpoint {
    fn get_response_or_error(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        async move { self.call(request).await.map(poem::IntoResponse::into_response) }
    }
}

impl<E: Endpoint> GetResponseOrError for E {}

fn add_headers(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        // Answers depend on who asks.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    }
}
