//! Who sends a request, found out in one place for every endpoint.

use std::sync::Arc;

use poem::{FromRequest, Request, RequestBody, http::header};

use super::boundary::trail;
use crate::{App, Error, auth, call::Call};

/// Begins the call of a request.
pub(super) async fn call(request: &Request) -> Result<Call, Error> {
    // What looks at requests before they are routed has begun it already.
    if let Some(call) = request.extensions().get::<Call>() {
        return Ok(call.clone());
    }
    let app = app(request)?;
    let trail = trail(request)?;
    let mut headers = request.headers().get_all(header::AUTHORIZATION).iter();
    let authorization = match (headers.next(), headers.next()) {
        (None, _) => None,
        (Some(header), None) => Some(header.to_str().map_err(|_| Error::InvalidToken)?),
        (Some(_), Some(_)) => return Err(Error::InvalidToken),
    };
    let call = auth::authenticate(app, authorization, trail.id()).await?;
    let principal = &call.caller.principal;
    trail.known(principal);
    trail.rated(app.rates.asked(principal, trail.address(), trail.class())?);
    Ok(Call { address: Some(trail.address()), ..call })
}

/// The running server.
pub(super) fn app(request: &Request) -> Result<&Arc<App>, Error> {
    request.data::<Arc<App>>().ok_or_else(|| Error::Internal("the application is not attached".to_owned()))
}

impl<'a> FromRequest<'a> for Call {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(call(request).await?)
    }
}
