//! The data API: one hand-written endpoint for every collection, because collections come and go while the server runs, and because it is
//! the hot path.

mod list;

mod aggregate;

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{Method, StatusCode, header},
};

pub(super) use aggregate::Aggregate;

use super::{payload, visitor};
use crate::{
    Error,
    call::Call,
    records::{
        Shown, create, delete,
        update::{self, Manner},
    },
};

/// `/api/records/{collection}`
pub(super) struct Records;

/// `/api/records/{collection}/{id}`
pub(super) struct Record;

impl Endpoint for Records {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let call = visitor::call(&request).await?;
        let collection = parameter(&request, "collection")?;
        match *request.method() {
            Method::GET | Method::HEAD => Ok(list::list(&call, &collection, &request).await?),
            Method::POST => {
                no_parameters(&request)?;
                let body = json(&mut request, &call).await?;
                let created = create::create(&call, &collection, &body).await?;
                let location = format!("/api/records/{collection}/{}", created.record.id);
                Ok(shown(&call, &created, StatusCode::CREATED)?.with_header("location", location).into_response())
            }
            _ => Err(Error::MethodNotAllowed { allow: "GET, HEAD, POST".to_owned() }.into()),
        }
    }
}

impl Endpoint for Record {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let call = visitor::call(&request).await?;
        let (collection, id) = (parameter(&request, "collection")?, parameter(&request, "id")?);
        let if_match = if_match(&request)?;
        let answer = match *request.method() {
            Method::GET | Method::HEAD => list::read(&call, &collection, &id, &request).await?,
            Method::PATCH | Method::PUT => {
                no_parameters(&request)?;
                let manner = if request.method() == Method::PUT { Manner::Replace } else { Manner::Merge };
                let body = json(&mut request, &call).await?;
                let updated = update::update(&call, &collection, &id, &body, manner, if_match).await?;
                shown(&call, &updated, StatusCode::OK)?
            }
            Method::DELETE => {
                no_parameters(&request)?;
                let deleted = delete::delete(&call, &collection, &id, if_match).await?;
                shown(&call, &deleted, StatusCode::OK)?
            }
            _ => return Err(Error::MethodNotAllowed { allow: "GET, HEAD, PATCH, PUT, DELETE".to_owned() }.into()),
        };
        Ok(answer.into_response())
    }
}

/// The header `If-Match`, several lines as one. One that cannot be read matches nothing, rather than being passed over.
fn if_match(request: &Request) -> Result<Option<String>, Error> {
    let lines = request.headers().get_all(header::IF_MATCH).iter();
    let tags: Vec<&str> = lines.map(|line| line.to_str().map_err(|_| Error::VersionMismatch)).collect::<Result<_, _>>()?;
    Ok((!tags.is_empty()).then(|| tags.join(",")))
}

fn parameter(request: &Request, name: &str) -> Result<String, Error> {
    request.path_params::<std::collections::HashMap<String, String>>().ok().and_then(|mut all| all.remove(name)).ok_or(Error::NoRoute)
}

async fn json(request: &mut Request, call: &Call) -> Result<bytes::Bytes, Error> {
    if !request.content_type().is_some_and(payload::is_json) {
        return Err(Error::UnsupportedType { expected: "application/json" });
    }
    let declared = request.header("content-length").map(str::to_owned);
    payload::read(request.take_body(), declared.as_deref(), call.app.config.body_max_bytes).await
}

fn shown(call: &Call, shown: &Shown, status: StatusCode) -> Result<Response, Error> {
    let json = shown.json(call, None)?;
    let answer = Response::builder().status(status).content_type("application/json").header("etag", shown.record.etag());
    Ok(answer.body(json))
}

/// The query parameters, decoded.
fn pairs(request: &Request) -> impl Iterator<Item = (String, String)> {
    let query = request.original_uri().query().unwrap_or_default().to_owned();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    pairs.into_iter()
}

fn no_parameters(request: &Request) -> Result<(), Error> {
    let mut violations = model::Violations::default();
    pairs(request).for_each(|(name, _)| unknown(&name, &mut violations));
    violations.or(()).map_err(Error::Query)
}

fn unknown(name: &str, violations: &mut model::Violations) {
    violations.add(model::Pointer::field(name), "query.unknown", format!("unknown query parameter `{name}`"));
}
