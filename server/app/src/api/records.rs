//! The data API: one hand-written endpoint for every collection, because collections come and go while the server runs, and because it is
//! the hot path.

mod aggregate;

mod transfer;

pub(super) mod write;

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{Method, StatusCode},
};

pub(super) use aggregate::Aggregate;
pub(super) use transfer::{Export, Import};

use super::{PublicUrl, visitor};
use crate::{
    Error,
    call::Call,
    records::{
        Shown,
        list::{self, Page, Question},
        read,
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
            Method::GET | Method::HEAD => {
                let question = question(&request)?;
                let page = list::list(&call, &collection, &question).await?;
                Ok(listed(&call, &page, &request)?)
            }
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
            Method::GET | Method::HEAD => {
                let fields = fields(&request)?;
                let read = read::read(&call, &collection, &id).await?;
                if request.header("if-none-match").is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == read.record.etag())) {
                    let answer = Response::builder().status(StatusCode::NOT_MODIFIED).header("etag", read.record.etag());
                    return Ok(answer.finish());
                }
                check_fields(&read, fields.as_deref())?;
                shown(&call, &read, StatusCode::OK, fields.as_deref())?
            }
            Method::PATCH | Method::PUT | Method::DELETE => write::one(&call, (&collection, &id), &mut request).await?,
            _ => return Err(Error::MethodNotAllowed { allow: "GET, HEAD, PATCH, PUT, DELETE".to_owned() }.into()),
        };
        Ok(answer.into_response())
    }
}

fn parameter(request: &Request, name: &str) -> Result<String, Error> {
    request.path_params::<std::collections::HashMap<String, String>>().ok().and_then(|mut all| all.remove(name)).ok_or(Error::NoRoute)
}

fn shown(call: &Call, shown: &Shown, status: StatusCode, fields: Option<&[String]>) -> Result<Response, Error> {
    let json = shown.json(call, fields)?;
    let answer = Response::builder().status(status).content_type("application/json").header("etag", shown.record.etag());
    Ok(answer.body(json))
}

fn listed(call: &Call, page: &Page, request: &Request) -> Result<Response, Error> {
    let json = page.json(call)?;
    let mut answer = Response::builder().content_type("application/json");
    if let Some(next) = &page.next {
        let base = request.data::<PublicUrl>().map_or("", |url| &url.0);
        let others = pairs(request).filter(|(name, _)| name != "cursor" && name != "offset");
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others).append_pair("cursor", next);
        let link = format!("<{base}{}?{}>; rel=\"next\"", request.original_uri().path(), query.finish());
        answer = answer.header("link", link).header("x-next-cursor", next);
    }
    if let Some(total) = page.total {
        let (first, count) = (page.offset, page.records.len());
        let range = if count == 0 {
            format!("{} */{total}", page.collection.name())
        } else {
            format!("{} {first}-{}/{total}", page.collection.name(), first + count - 1)
        };
        answer = answer.header("x-total-count", total.to_string()).header("content-range", range);
    }
    Ok(answer.body(json))
}

/// The query parameters, decoded.
fn pairs(request: &Request) -> impl Iterator<Item = (String, String)> {
    let query = request.original_uri().query().unwrap_or_default().to_owned();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    pairs.into_iter()
}

fn question(request: &Request) -> Result<Question, Error> {
    let mut question = Question::default();
    let mut violations = model::Violations::default();
    for (name, value) in pairs(request) {
        let slot = match name.as_str() {
            "filter" => &mut question.filter,
            "sort" => &mut question.sort,
            "limit" => &mut question.limit,
            "offset" => &mut question.offset,
            "cursor" => &mut question.cursor,
            "fields" => &mut question.fields,
            "count" => &mut question.count,
            _ => {
                unknown(&name, &mut violations);
                continue;
            }
        };
        if slot.replace(value).is_some() {
            violations.add(model::Pointer::field(&name), "query.value", format!("`{name}` stands twice"));
        }
    }
    violations.or(question).map_err(Error::Query)
}

/// The parameter `fields` of a single read; the only one that it takes.
fn fields(request: &Request) -> Result<Option<Vec<String>>, Error> {
    let mut fields = None;
    let mut violations = model::Violations::default();
    for (name, value) in pairs(request) {
        match name.as_str() {
            "fields" if value.trim().is_empty() => {}
            "fields" => fields = Some(value.split(',').map(|field| field.trim().to_owned()).collect()),
            _ => unknown(&name, &mut violations),
        }
    }
    violations.or(fields).map_err(Error::Query)
}

fn check_fields(shown: &Shown, fields: Option<&[String]>) -> Result<(), Error> {
    let mut violations = model::Violations::default();
    for name in fields.unwrap_or_default().iter().filter(|name| shown.collection.field_type(name).is_none()) {
        let message = format!("`{name}` is not a field of `{}`", shown.collection.name());
        violations.add(model::Pointer::field("fields"), "query.value", message);
    }
    violations.or(()).map_err(Error::Query)
}

fn unknown(name: &str, violations: &mut model::Violations) {
    violations.add(model::Pointer::field(name), "query.unknown", format!("unknown query parameter `{name}`"));
}
