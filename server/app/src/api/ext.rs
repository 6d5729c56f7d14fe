//! `/api/ext/{plugin}/...`: the endpoints of plugins. What is served there is found out for every request, because plugins come and go while
//! the server runs.

use poem::{
    Endpoint, Request, Response,
    http::{StatusCode, header},
};

use super::{payload, visitor};
use crate::{
    Error,
    endpoints::{self, answer::Answer},
};

/// What the paths of all endpoints begin with.
pub(super) const PREFIX: &str = "/api/ext/";

/// `/api/ext/{plugin}/{path...}`
pub(super) struct Ext;

impl Endpoint for Ext {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let call = visitor::call(&request).await?;
        let whole = request.original_uri().path();
        let rest = whole.strip_prefix(PREFIX).ok_or(Error::NoRoute)?;
        let (plugin, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (plugin, path) = (plugin.to_owned(), if path.is_empty() { "/".to_owned() } else { path.to_owned() });
        // Whoever may not call it must not make the server read anything.
        let endpoint = endpoints::find(&call, &plugin, request.method().as_str(), &path)?;
        let declared = request.header("content-length").map(str::to_owned);
        let body = payload::read(request.take_body(), declared.as_deref(), call.app.config.body_max_bytes).await?;
        let answer = endpoints::answer(&call, endpoint, &asked(&request, path, body)).await?;
        Ok(response(answer)?)
    }
}

fn asked(request: &Request, path: String, body: bytes::Bytes) -> endpoints::Request {
    let query = request.original_uri().query().unwrap_or_default();
    let headers = request.headers().iter();
    endpoints::Request {
        path,
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect(),
        body,
        is_json: request.content_type().is_some_and(payload::is_json),
    }
}

fn response(answer: Answer) -> Result<Response, Error> {
    let status = StatusCode::from_u16(answer.status).map_err(|error| Error::Internal(error.to_string()))?;
    let mut response = Response::builder().status(status);
    if status == StatusCode::UNAUTHORIZED && !answer.headers.iter().any(|(name, _)| name == "www-authenticate") {
        response = response.header(header::WWW_AUTHENTICATE, "Bearer");
    }
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(answer.body))
}
