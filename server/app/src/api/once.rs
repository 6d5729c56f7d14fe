//! `Idempotency-Key` around everything that is not about records: what changes collections, policies, roles, plugins, deliveries and imports.

use std::sync::Arc;

use poem::{Endpoint, IntoResponse, Request, Response, http::StatusCode};

use super::{
    payload,
    plugins::COMPONENT_MAX_BYTES,
    records::write::{IDEMPOTENCY_KEY, REPLAYED, once},
    visitor,
};
use crate::{
    Error,
    call::Call,
    once::{Pledge, Told},
    plugins,
    records::Preconditions,
};

/// What has no key: who logs in gets another session every time, and a session is nothing to keep.
const WITHOUT: [&str; 2] = ["/api/auth", "/api/setup"];

/// The endpoints of the fixed API.
pub(super) struct Once<E>(pub(super) E);

impl<E: Endpoint> Endpoint for Once<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.original_uri().path();
        let is_keyed = request.headers().contains_key(IDEMPOTENCY_KEY) && !request.method().is_safe();
        if !is_keyed || WITHOUT.iter().any(|prefix| path.starts_with(prefix)) {
            return self.0.call(request).await.map(IntoResponse::into_response);
        }
        self.once(request).await
    }
}

impl<E: Endpoint> Once<E> {
    async fn once(&self, mut request: Request) -> poem::Result<Response> {
        let call = visitor::call(&request).await?;
        let body = body(&call, &mut request).await?;
        let Some(once) = once(&call, &request, &Preconditions::default(), &body)? else {
            return Err(Error::Internal("the key is gone".to_owned()).into());
        };
        request.set_body(body);
        let _flight = call.app.in_flight.begin(&once)?;
        let pledge = Arc::new(Pledge::new(once.clone()));
        if let Some(told) = pledge.told(&call).await? {
            return Ok(again(told)?);
        }
        request.extensions_mut().insert(Call { pledge: Some(Arc::clone(&pledge)), ..call.clone() });
        let outcome = self.0.call(request).await.map(IntoResponse::into_response);
        let settled = match outcome {
            Ok(response) if response.status().is_success() => return Ok(kept(&call, &pledge, response).await?),
            // Whether it has happened is not known, or somebody has to look.
            Ok(response) if response.status().is_server_error() => return Ok(response),
            Err(error) if error.status().is_server_error() => return Err(error),
            refused => refused,
        };
        if let Err(error) = pledge.forget(&call).await {
            tracing::warn!(request = %call.id, %error, "what was refused is still kept under its key");
        }
        settled
    }
}

/// Reads the body, which belongs to what the request is.
async fn body(call: &Call, request: &mut Request) -> Result<bytes::Bytes, Error> {
    let mut max = call.app.config.body_max_bytes;
    if request.original_uri().path() == "/api/plugins" {
        // As without a key: who may not install anything must not make the server read that much.
        call.authorize(model::Action::Create, plugins::OBJECT)?;
        max = max.max(COMPONENT_MAX_BYTES);
    }
    let declared = request.header("content-length").map(str::to_owned);
    payload::read(request.take_body(), declared.as_deref(), max).await
}

fn again(told: Told) -> Result<Response, Error> {
    let status = StatusCode::from_u16(told.status).map_err(|error| Error::Internal(error.to_string()))?;
    let mut response = Response::builder().status(status).header(REPLAYED, "true");
    if !told.body.is_empty() {
        response = response.content_type("application/json");
    }
    if let Some(location) = told.location {
        response = response.header("location", location);
    }
    Ok(response.body(told.body))
}

/// Keeps an answer, and gives it.
async fn kept(call: &Call, pledge: &Pledge, response: Response) -> Result<Response, Error> {
    let (parts, body) = response.into_parts();
    let body = body.into_bytes().await.map_err(|error| Error::Internal(error.to_string()))?;
    let location = parts.headers.get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let told = Told { status: parts.status.as_u16(), location, body: body.to_vec() };
    if let Err(error) = pledge.keep(call, &told).await {
        tracing::error!(request = %call.id, %error, "an answer cannot be kept under its key");
    }
    Ok(Response::from_parts(parts, body.into()))
}
