//! Errors as RFC 9457 problems: the one place that has status codes and the codes that clients rely on.

use model::{Violation, Violations};
use plugins::RejectionKind;
use poem::{Response, error::ResponseError, http::StatusCode};
use serde::Serialize;

use crate::{Error, Place};

/// The code of a server that has no place for more.
const BUSY: &str = "server.busy";

/// The body of every error.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'a str,
    message: String,
    request_id: &'a str,
    /// Under which whoever may read policies finds out why.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    /// Which of the records that a filter matched it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Violations>,
}

impl ResponseError for Error {
    fn status(&self) -> StatusCode {
        kind(self).0
    }
}

/// The status and the code of an error.
fn kind(error: &Error) -> (StatusCode, &str) {
    use StatusCode as S;
    match error {
        Error::Body(violation) if violation.code == "body.timeout" => (S::REQUEST_TIMEOUT, "body.timeout"),
        Error::Body(violation) => (S::BAD_REQUEST, &violation.code),
        Error::Query(_) => (S::BAD_REQUEST, "query.invalid"),
        Error::Unauthenticated => (S::UNAUTHORIZED, "auth.required"),
        Error::InvalidToken => (S::UNAUTHORIZED, "auth.invalid_token"),
        Error::InvalidCredentials => (S::UNAUTHORIZED, "auth.invalid_credentials"),
        Error::Decided { error, .. } | Error::At { error, .. } => kind(error),
        Error::UnusableKey(_) => (S::BAD_REQUEST, "idempotency.key"),
        Error::OtherRequest => (S::UNPROCESSABLE_ENTITY, "idempotency.mismatch"),
        Error::UnderThisKey => (S::CONFLICT, "idempotency.in_flight"),
        Error::Unanswered => (S::CONFLICT, "idempotency.unanswered"),
        Error::TooLarge { .. } => (S::PAYLOAD_TOO_LARGE, "write.too_large"),
        Error::TooMany { .. } => (S::CONFLICT, "bulk.too_many"),
        Error::EpochNotReached { .. } => (S::SERVICE_UNAVAILABLE, "policy.epoch_not_reached"),
        Error::Denied { .. } => (S::FORBIDDEN, "policy.denied"),
        Error::FieldsDenied(violations) => match violations.0.first() {
            Some(violation) if violation.code == "field.unreadable" => (S::FORBIDDEN, "field.unreadable"),
            _ => (S::FORBIDDEN, "policy.denied"),
        },
        Error::NotFound { kind, .. } => (S::NOT_FOUND, not_found(kind)),
        Error::NoRoute => (S::NOT_FOUND, "route.not_found"),
        Error::MethodNotAllowed { .. } => (S::METHOD_NOT_ALLOWED, "route.method_not_allowed"),
        Error::Taken { .. } => (S::CONFLICT, "collection.exists"),
        Error::NotUnique(_) => (S::CONFLICT, "record.unique"),
        Error::Referenced { .. } => (S::CONFLICT, "record.referenced"),
        Error::PointedTo { .. } => (S::CONFLICT, "collection.referenced"),
        Error::TooManyDependents { .. } => (S::CONFLICT, "delete.too_many"),
        Error::DataLoss(_) => (S::CONFLICT, "collection.data_loss"),
        Error::Conflict | Error::BeingWritten { .. } => (S::CONFLICT, "write.conflict"),
        Error::Altering { .. } => (S::CONFLICT, "collection.altering"),
        Error::Busy { kind: "import", .. } => (S::TOO_MANY_REQUESTS, "import.busy"),
        Error::Busy { .. } => (S::TOO_MANY_REQUESTS, "export.busy"),
        Error::ImportStopped { .. } => (S::UNPROCESSABLE_ENTITY, "import.stopped"),
        Error::ImportRefused { code, .. } => (S::CONFLICT, code),
        Error::RowTooLarge { .. } => (S::PAYLOAD_TOO_LARGE, "row.too_large"),
        Error::UnderWay { .. } => (S::CONFLICT, "delivery.under_way"),
        Error::VersionMismatch => (S::PRECONDITION_FAILED, "record.version_mismatch"),
        Error::BodyTooLarge { .. } => (S::PAYLOAD_TOO_LARGE, "body.too_large"),
        Error::UnsupportedEncoding { .. } => (S::UNSUPPORTED_MEDIA_TYPE, "body.unsupported_encoding"),
        Error::Hosts { .. } => (S::BAD_REQUEST, "request.host"),
        Error::QueryTooLong { .. } => (S::URI_TOO_LONG, "query.too_long"),
        Error::RateLimited(_) => (S::TOO_MANY_REQUESTS, "rate.limited"),
        Error::TooManyAtOnce => (S::SERVICE_UNAVAILABLE, BUSY),
        Error::TimedOut { .. } => (S::SERVICE_UNAVAILABLE, "request.timeout"),
        Error::Late { .. } => (S::INTERNAL_SERVER_ERROR, "store.unknown_outcome"),
        Error::UnsupportedType { .. } => (S::UNSUPPORTED_MEDIA_TYPE, "body.unsupported_type"),
        Error::Invalid(_) => (S::UNPROCESSABLE_ENTITY, "record.invalid"),
        Error::Unacceptable { kind, .. } => (S::UNPROCESSABLE_ENTITY, unacceptable(kind)),
        Error::Refused { kind, .. } => match kind {
            RejectionKind::Invalid | RejectionKind::Retry => (S::UNPROCESSABLE_ENTITY, "rule.refused"),
            RejectionKind::Conflict => (S::CONFLICT, "rule.refused"),
            RejectionKind::Forbidden => (S::FORBIDDEN, "rule.refused"),
        },
        Error::PluginFailed { code, .. } => (S::INTERNAL_SERVER_ERROR, code),
        Error::Store(store::Error::Conflict) => (S::CONFLICT, "write.conflict"),
        Error::Store(store::Error::Unknown(_)) => (S::INTERNAL_SERVER_ERROR, "store.unknown_outcome"),
        Error::Store(store::Error::Open(_)) => (S::SERVICE_UNAVAILABLE, "store.unavailable"),
        Error::Store(_) | Error::Internal(_) | Error::Configuration(_) | Error::Command(_) => (S::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn not_found(kind: &str) -> &'static str {
    match kind {
        "collection" => "collection.not_found",
        "plugin" => "plugin.not_found",
        "policy" => "policy.not_found",
        "role" => "role.not_found",
        "decision" => "decision.not_found",
        "delivery" => "delivery.not_found",
        "run" => "run.not_found",
        "import" => "import.not_found",
        "alteration" => "alteration.not_found",
        _ => "record.not_found",
    }
}

fn unacceptable(kind: &str) -> &'static str {
    match kind {
        "collection" => "collection.invalid",
        "policy" => "policy.invalid",
        "role" => "role.invalid",
        "plugin" => "plugin.invalid",
        "import" => "import.invalid",
        _ => "account.invalid",
    }
}

/// The code of an error and what it says about fields, for where it is told inside another answer.
pub(crate) fn told(error: &Error) -> (&str, Option<Violations>) {
    (kind(error).1, violations(error))
}

fn violations(error: &Error) -> Option<Violations> {
    match error {
        Error::Decided { error, .. } => violations(error),
        Error::Body(violation) => Some(violation.clone().into()),
        Error::Query(violations)
        | Error::FieldsDenied(violations)
        | Error::NotUnique(violations)
        | Error::DataLoss(violations)
        | Error::Invalid(violations)
        | Error::ImportStopped { violations, .. }
        | Error::RowTooLarge { violations, .. }
        | Error::Unacceptable { violations, .. }
        | Error::Refused { violations, .. } => Some(violations.clone()),
        _ => None,
    }
}

/// The violations of the error of an item lead into its draft; an error that has none is one of the item itself.
fn located(place: Option<&Place>, error: &Error, code: &str) -> Option<Violations> {
    let Some(Place::Item { item, draft }) = place else { return violations(error) };
    let whole = || Violation::new(item.clone(), code, error.to_string()).into();
    let inside = violations(error).filter(|violations| !violations.0.is_empty());
    Some(inside.map_or_else(whole, |violations| violations.moved(|pointer| draft.followed_by(pointer))))
}

/// The answer to a request that ended with an error. Faults of ours are logged with their cause and told without it.
pub(super) fn response(error: &Error, request_id: &str) -> Response {
    let (place, error) = match error {
        Error::At { place, error } => (Some(place), &**error),
        error => (None, error),
    };
    let (status, code) = kind(error);
    let fault =
        matches!(error, Error::Store(_) | Error::Internal(_) | Error::Configuration(_) | Error::Command(_)) && status.is_server_error();
    if fault {
        tracing::error!(request = request_id, %error, "a request failed");
    }
    let plugin = match error {
        Error::Refused { plugin, .. } | Error::PluginFailed { plugin, .. } => Some(plugin.as_str()),
        _ => None,
    };
    let decision_id = if let Error::Decided { decision, .. } = error { Some(&**decision) } else { None };
    let problem = Problem {
        decision_id,
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        code,
        message: if fault { "the server could not do this; its log has the request id".to_owned() } else { error.to_string() },
        request_id,
        plugin,
        record: if let Some(Place::Record(id)) = place { Some(id) } else { None },
        errors: if fault { None } else { located(place, error, code) },
    };
    // INVARIANT: a problem is text and numbers only, so writing it as JSON cannot fail.
    let body = serde_json::to_vec(&problem).expect("a problem is always valid JSON");
    let mut response = Response::builder().status(status).content_type("application/problem+json");
    if status == StatusCode::UNAUTHORIZED {
        response = response.header("www-authenticate", "Bearer");
    }
    if let Error::ImportStopped { id: Some(id), .. } = error {
        response = response.header("location", format!("/api/imports/{id}"));
    }
    if let Error::MethodNotAllowed { allow } = error {
        response = response.header("allow", allow);
    }
    if let Error::UnsupportedEncoding { .. } = error {
        response = response.header("accept-encoding", "identity");
    }
    if let Error::RateLimited(told) = error {
        response = response.header("retry-after", told.seconds().max(1));
    }
    let busy = matches!(error, Error::TooManyAtOnce | Error::TimedOut { .. } | Error::Busy { .. } | Error::Altering { .. });
    if busy || matches!(error, Error::Conflict | Error::UnderThisKey | Error::EpochNotReached { .. }) {
        response = response.header("retry-after", "1");
    }
    response.body(body)
}

/// The whole answer, as bytes of HTTP/1, to a connection that there is no place for. It is written before there is a request.
pub(crate) fn busy() -> Vec<u8> {
    let message = "the server has no place for another connection; try again";
    bare(StatusCode::SERVICE_UNAVAILABLE, BUSY, message, "retry-after: 1\r\n")
}

/// The whole answer, as bytes of HTTP/1, to what cannot be read as the head of a request; none for statuses that have other reasons.
pub(crate) fn unreadable(status: u16) -> Option<Vec<u8>> {
    let status = StatusCode::from_u16(status).ok()?;
    let (code, message) = match status {
        StatusCode::BAD_REQUEST => ("request.malformed", "this cannot be read as a request: its first line or a header is not HTTP/1.1"),
        StatusCode::URI_TOO_LONG => ("query.too_long", "the path and the query are too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("request.head_too_large", "the head has more than 64 KiB, or more than 100 headers")
        }
        _ => return None,
    };
    Some(bare(status, code, message, ""))
}

/// An answer that no endpoint gives.
fn bare(status: StatusCode, code: &str, message: &str, headers: &str) -> Vec<u8> {
    let id = ulid::Ulid::new().to_string();
    tracing::info!(request = id, status = status.as_u16(), code, "refused a connection or what came through it");
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "code": code,
        "message": message,
        "request_id": id,
    });
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\n{headers}connection: close");
    format!("{head}\r\nx-request-id: {id}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
