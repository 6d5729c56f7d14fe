//! Bodies. They are documented through poem-openapi's types and read by serde, which says more about what is wrong, within a size limit.

use std::{marker::PhantomData, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, combinators::BoxBody};
use model::{Pointer, Value, Violation};
use poem::{Body, IntoResponse, Request, RequestBody, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, impl_apirequest_for_payload,
    payload::{ParsePayload, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::Type,
};
use serde::de::DeserializeOwned;

use super::visitor;
use crate::Error;

/// Bytes of a body that nobody wants that are read all the same, and how long: a client that is still sending would otherwise see its
/// connection break instead of the answer.
const DISCARDED_MAX_BYTES: usize = 16 << 20;
const DISCARDING_WITHIN: Duration = Duration::from_secs(5);

/// The header of every answer with the count of changes that it knows at least.
pub(super) const POLICY_EPOCH: &str = "policy-epoch";

/// Reads a body that must not be larger than `max`. Of one that says so itself nothing is read; what is left of others is read behind the
/// answer, by `serve`.
pub(super) async fn read(body: Body, declared: Option<&str>, max: usize) -> Result<Bytes, Error> {
    if declared.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > max as u64) {
        return Err(Error::BodyTooLarge { max });
    }
    let mut body: BoxBody<Bytes, std::io::Error> = body.into();
    let mut bytes = BytesMut::new();
    while bytes.len() <= max {
        match body.frame().await {
            None => return Ok(bytes.freeze()),
            Some(frame) => bytes.extend(frame.map_err(broken_off)?.into_data().unwrap_or_default()),
        }
    }
    Err(Error::BodyTooLarge { max })
}

/// Reads what a client is still sending, within bounds.
pub(super) async fn discard(mut rest: BoxBody<Bytes, std::io::Error>) {
    let discarding = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = rest.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > DISCARDED_MAX_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DISCARDING_WITHIN, discarding).await;
}

/// The body keeps its own time: see `serve`.
pub(super) fn broken_off(error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::TimedOut {
        return Error::Body(Violation::new(Pointer::root(), "body.timeout", "the body took too long to arrive"));
    }
    Error::Body(Violation::new(Pointer::root(), "body.malformed", format!("the body broke off: {error}")))
}

/// True for `application/json` and anything that ends with `+json`.
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// A JSON body that the document describes as `D`.
pub(super) struct Documented<D> {
    bytes: Bytes,
    document: PhantomData<fn() -> D>,
}

impl<D> Documented<D> {
    /// Reads the body as `T`. Unknown members are for `T` to refuse.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let malformed = |error: serde_json::Error| Error::Body(model::draft::unreadable(&error));
        // Serde's own reading would let duplicate keys and deep nesting pass, and take a list for an object whose members are in its order.
        if !matches!(Value::from_body(&self.bytes).map_err(malformed)?, Value::Object(_)) {
            return Err(Error::Body(Violation::new(Pointer::root(), "body.shape", "expected a JSON object")));
        }
        serde_json::from_slice(&self.bytes).map_err(|error| Error::Body(Violation::new(Pointer::root(), "body.shape", error.to_string())))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<D: Type> Payload for Documented<D> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        is_json(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        D::schema_ref()
    }

    fn register(registry: &mut Registry) {
        D::register(registry);
    }
}

impl<D: Type> ParsePayload for Documented<D> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let max = visitor::app(request)?.config.body_max_bytes;
        let bytes = read(body.take()?, request.header("content-length"), max).await?;
        Ok(Self { bytes, document: PhantomData })
    }
}

impl_apirequest_for_payload!(Documented<D>, D: Type);

/// A JSON answer that the document describes as `D`.
pub(super) struct Reply<D, const STATUS: u16 = 200> {
    json: Vec<u8>,
    /// The count of changes from which on a change of policies is in force; none for other answers.
    epoch: Option<u64>,
    /// Where the next page is.
    next: Option<String>,
    document: PhantomData<fn() -> D>,
}

impl<D, const STATUS: u16> Reply<D, STATUS> {
    pub(super) fn new(value: &impl serde::Serialize) -> Result<Self, Error> {
        serde_json::to_vec(value).map(Self::json).map_err(|error| Error::Internal(error.to_string()))
    }

    pub(super) fn json(json: Vec<u8>) -> Self {
        Self { json, epoch: None, next: None, document: PhantomData }
    }

    /// Says from which count of changes on the change is in force.
    pub(super) fn at(self, epoch: u64) -> Self {
        Self { epoch: Some(epoch), ..self }
    }

    /// Says where the next page is, as the path with its query.
    pub(super) fn followed_by(self, next: Option<String>) -> Self {
        Self { next, ..self }
    }
}

impl<D: Send, const STATUS: u16> IntoResponse for Reply<D, STATUS> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(STATUS).unwrap_or_default();
        let mut response = Response::builder().status(status).content_type("application/json");
        if let Some(epoch) = self.epoch {
            response = response.header(POLICY_EPOCH, epoch);
        }
        if let Some(next) = self.next {
            response = response.header("link", format!("<{next}>; rel=\"next\""));
        }
        response.body(self.json)
    }
}

impl<D: Type, const STATUS: u16> ApiResponse for Reply<D, STATUS> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: "application/json", schema: D::schema_ref() }];
        MetaResponses {
            responses: vec![MetaResponse { description: "Done.", status: Some(STATUS), status_range: None, content, headers: vec![] }],
        }
    }

    fn register(registry: &mut Registry) {
        D::register(registry);
    }
}

/// An answer without a body.
pub(super) struct Nothing;

impl IntoResponse for Nothing {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl ApiResponse for Nothing {
    fn meta() -> MetaResponses {
        let response = MetaResponse { description: "Done.", status: Some(204), status_range: None, content: vec![], headers: vec![] };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}
