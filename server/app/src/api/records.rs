//! The data API: one hand-written endpoint for every collection, because collections come and go while the server runs, and because it is
//! the hot path.

mod list;

mod aggregate;

mod transfer;

pub(super) mod write;

use poem::{Endpoint, IntoResponse, Request, Response, http::Method};

pub(super) use aggregate::Aggregate;
pub(super) use transfer::{Export, Import};

use super::visitor;
use crate::Error;

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
            Method::POST => Ok(write::post(&call, &collection, &mut request).await?),
            Method::PATCH | Method::DELETE => Ok(write::all(&call, &collection, &mut request).await?),
            _ => Err(Error::MethodNotAllowed { allow: "GET, HEAD, POST, PATCH, DELETE".to_owned() }.into()),
        }
    }
}

impl Endpoint for Record {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let call = visitor::call(&request).await?;
        let (collection, id) = (parameter(&request, "collection")?, parameter(&request, "id")?);
        let answer = match *request.method() {
            Method::GET | Method::HEAD => list::read(&call, &collection, &id, &request).await?,
            Method::PATCH | Method::PUT | Method::DELETE => write::one(&call, (&collection, &id), &mut request).await?,
            _ => return Err(Error::MethodNotAllowed { allow: "GET, HEAD, PATCH, PUT, DELETE".to_owned() }.into()),
        };
        Ok(answer.into_response())
    }
}

fn parameter(request: &Request, name: &str) -> Result<String, Error> {
    request.path_params::<std::collections::HashMap<String, String>>().ok().and_then(|mut all| all.remove(name)).ok_or(Error::NoRoute)
}

/// The query parameters, decoded.
fn pairs(request: &Request) -> impl Iterator<Item = (String, String)> {
    let query = request.original_uri().query().unwrap_or_default().to_owned();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    pairs.into_iter()
}

fn unknown(name: &str, violations: &mut model::Violations) {
    violations.add(model::Pointer::field(name), "query.unknown", format!("unknown query parameter `{name}`"));
}
