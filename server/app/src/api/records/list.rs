//! `GET` of records: reads parameters, in the words of whichever client sent them, and writes pages and single records.

mod dialect;

mod json_server;

mod simple_rest;

use poem::{
    Request, Response,
    http::{StatusCode, header},
};

use super::{pairs, unknown, write::tags};
use crate::{
    Error,
    api::PublicUrl,
    call::Call,
    records::{
        self, Preconditions,
        list::{self, Page},
        read::{self, Wanted},
    },
};

/// The longest `Link`, in bytes: it repeats the whole question, and many clients take 8 KiB or 16 KiB of headers in all.
const LINK_MAX: usize = 4_096;

/// `GET /api/records/{collection}`
pub(super) async fn list(call: &Call, collection: &str, request: &Request) -> Result<Response, Error> {
    let question = dialect::question(pairs(request))?;
    let page = list::list(call, collection, &question).await?;
    Ok(listed(page, request))
}

/// `GET /api/records/{collection}/{id}`
pub(super) async fn read(call: &Call, collection: &str, id: &str, request: &Request) -> Result<Response, Error> {
    let wanted = wanted(request)?;
    let read = read::read(call, collection, id, &wanted).await?;
    let preconditions = Preconditions { if_match: tags(request.headers(), header::IF_MATCH)?, if_none_match: None };
    preconditions.check(&read.record)?;
    // What is shown beside the record has changes of its own, which the tag does not tell.
    let tags = request.header("if-none-match").filter(|_| wanted.expand.is_none());
    if tags.is_some_and(|tags| records::names_weakly(tags, &read.record.etag())) {
        let answer = Response::builder().status(StatusCode::NOT_MODIFIED).header("etag", read.record.etag());
        return Ok(answer.finish());
    }
    Ok(Response::builder().content_type("application/json").header("etag", read.record.etag()).body(read.json))
}

fn listed(page: Page, request: &Request) -> Response {
    let mut answer = Response::builder().content_type("application/json");
    if let Some(next) = &page.next {
        let base = request.data::<PublicUrl>().map_or("", |url| &url.0);
        let others = pairs(request).filter(|(name, _)| name != "cursor" && name != "offset");
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others).append_pair("cursor", next);
        let link = format!("<{base}{}?{}>; rel=\"next\"", request.original_uri().path(), query.finish());
        if link.len() <= LINK_MAX {
            answer = answer.header("link", link);
        }
        answer = answer.header("x-next-cursor", next);
    }
    if let Some(total) = page.total {
        let (first, count) = (page.offset, page.shown);
        let range = if count == 0 {
            format!("{} */{total}", page.collection.name())
        } else {
            format!("{} {first}-{}/{total}", page.collection.name(), first + count - 1)
        };
        answer = answer.header("x-total-count", total.to_string()).header("content-range", range);
    }
    answer.body(page.json)
}

/// The parameters of a single read.
fn wanted(request: &Request) -> Result<Wanted, Error> {
    let mut wanted = Wanted::default();
    let mut violations = model::Violations::default();
    for (name, value) in pairs(request) {
        let slot = match name.as_str() {
            "fields" => &mut wanted.fields,
            "expand" => &mut wanted.expand,
            _ => {
                unknown(&name, &mut violations);
                continue;
            }
        };
        if !value.trim().is_empty() && slot.replace(value).is_some() {
            violations.add(model::Pointer::field(&name), "query.value", format!("`{name}` stands twice"));
        }
    }
    violations.or(wanted).map_err(Error::Query)
}
