//! The outermost layer: gives every request its id, turns every error (a panic too) into a problem, adds the headers that every answer has,
//! and writes the access log.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use poem::{
    Endpoint, Request, Response,
    error::{MethodNotAllowedError, NotFoundError, ParsePathError},
    http::{HeaderName, HeaderValue, StatusCode, header},
};

use super::{cors::Cors, payload::POLICY_EPOCH, problem};
use crate::{App, Error};

/// The header with which a caller waits for a change of policies.
const POLICY_MIN_EPOCH: &str = "policy-min-epoch";

/// How long a request waits for it.
const EPOCH_WITHIN: Duration = Duration::from_secs(2);

/// The id of a request, in the log, in the answer and in what it wrote.
#[derive(Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

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
        let methods = |one: &FixedPath| one.operations.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>().join(", ");
        self.find(path).map_or_else(|| "GET".to_owned(), methods)
    }

    /// Refuses query parameters that the operation does not have: `dryrun=true` must not be taken for nothing.
    fn check_query(&self, request: &Request) -> Result<(), Error> {
        let Some(known) = self.find(request.uri().path()).and_then(|one| {
            let operation = one.operations.iter().find(|(method, _)| method == request.method().as_str());
            operation.map(|(_, parameters)| parameters)
        }) else {
            return Ok(());
        };
        let mut violations = model::Violations::default();
        for (name, _) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
            if !known.iter().any(|one| *one == name) {
                violations.add(model::Pointer::field(&name), "query.unknown", format!("unknown query parameter `{name}`"));
            }
        }
        violations.or(()).map_err(Error::Query)
    }
}

pub(super) struct Boundary<E> {
    inner: E,
    methods: Methods,
    cors: Cors,
    app: Arc<App>,
}

impl<E> Boundary<E> {
    pub(super) fn new(inner: E, methods: Methods, cors: Cors, app: Arc<App>) -> Self {
        Self { inner, methods, cors, app }
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
        let id: Arc<str> = ulid::Ulid::new().to_string().into();
        let started = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        request.extensions_mut().insert(RequestId(Arc::clone(&id)));

        let origin = self.cors.origin(&request);
        let preflight = self.cors.preflight(&request);
        let checked = self.methods.check_query(&request);
        let epoch = self.wait_for_epoch(&request).await;
        let known = self.app.world().version;
        let answering = async {
            if let Some(answer) = preflight {
                return Ok(answer);
            }
            epoch?;
            checked?;
            self.inner.get_response_or_error(request).await
        };
        let outcome = AssertUnwindSafe(answering).catch_unwind().await;
        let mut response = match outcome {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => self.problem(&error, &path, &id),
            Err(_) => problem::response(&Error::Internal("a panic".to_owned()), &id),
        };
        add_headers(&mut response, &id);
        self.cors.open(origin, response.headers_mut());
        response.headers_mut().entry(POLICY_EPOCH).or_insert(known.into());
        let (status, ms) = (response.status().as_u16(), started.elapsed().as_secs_f64() * 1_000.0);
        tracing::info!(target: "ironrule::access", request = %id, %method, path, status, ms, "{method} {path} {status}");
        Ok(response)
    }
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
