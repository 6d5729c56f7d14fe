//! Writing records: reads the headers and the query of POST, PATCH, PUT and DELETE, tells one story, and writes its answer.

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
};

use super::{pairs, unknown};
use crate::{
    Error,
    api::payload,
    call::Call,
    once::Once,
    records::{
        Answer, Preconditions, Terms,
        bulk::{self, Selection},
        create, delete,
        update::{self, Manner},
        upsert,
    },
};

/// The header under whose value a write happens once.
pub(in crate::api) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of an answer that was given before.
pub(in crate::api) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// `POST /api/records/{collection}`
pub(super) async fn post(call: &Call, collection: &str, request: &mut Request) -> Result<Response, Error> {
    let [on] = parameters(request, ["upsert"])?;
    let body = json(request, call).await?;
    let terms = terms(call, request, &body)?;
    let answer = match on {
        Some(on) => upsert::upsert(call, collection, &on, &body, &terms).await?,
        None => create::create(call, collection, &body, &terms).await?,
    };
    told(&answer)
}

/// `PATCH`, `PUT` and `DELETE /api/records/{collection}/{id}`
pub(super) async fn one(call: &Call, record: (&str, &str), request: &mut Request) -> Result<Response, Error> {
    let [] = parameters(request, [])?;
    if request.method() == Method::DELETE {
        return told(&delete::delete(call, record, &terms(call, request, b"")?).await?);
    }
    let body = json(request, call).await?;
    let terms = terms(call, request, &body)?;
    let answer = match *request.method() {
        Method::PUT if terms.preconditions.wants_absence() => update::put_new(call, record, &body, &terms).await?,
        Method::PUT => update::update(call, record, &body, Manner::Replace, &terms).await?,
        _ => update::update(call, record, &body, Manner::Merge, &terms).await?,
    };
    told(&answer)
}

/// `PATCH` and `DELETE /api/records/{collection}`
pub(super) async fn all(call: &Call, collection: &str, request: &mut Request) -> Result<Response, Error> {
    let [filter, max, dry_run] = parameters(request, ["filter", "max", "dry_run"])?;
    let selection = Selection { filter, max, dry_run };
    if request.method() == Method::DELETE {
        return told(&bulk::delete(call, collection, &selection, &terms(call, request, b"")?).await?);
    }
    let body = json(request, call).await?;
    let terms = terms(call, request, &body)?;
    told(&bulk::update(call, collection, &selection, &body, &terms).await?)
}

/// Reads a body of JSON.
pub(in crate::api) async fn json(request: &mut Request, call: &Call) -> Result<bytes::Bytes, Error> {
    if !request.content_type().is_some_and(payload::is_json) {
        return Err(Error::UnsupportedType { expected: "application/json" });
    }
    let declared = request.header("content-length").map(str::to_owned);
    payload::read(request.take_body(), declared.as_deref(), call.app.config.body_max_bytes).await
}

/// On which terms the client writes.
pub(in crate::api) fn terms(call: &Call, request: &Request, body: &[u8]) -> Result<Terms, Error> {
    let tags = |name| tags(request.headers(), name);
    let preconditions = Preconditions { if_match: tags(header::IF_MATCH)?, if_none_match: tags(header::IF_NONE_MATCH)? };
    let once = once(call, request, &preconditions, body)?;
    Ok(Terms { preconditions, once })
}

/// Several lines of a header as one. One that cannot be read holds for nothing, rather than being passed over.
pub(super) fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Error> {
    let lines = headers.get_all(name).iter();
    let tags: Vec<&str> = lines.map(|line| line.to_str().map_err(|_| Error::VersionMismatch)).collect::<Result<_, _>>()?;
    Ok((!tags.is_empty()).then(|| tags.join(",")))
}

/// The key of a write that is to happen once, with everything that makes the request what it is.
pub(in crate::api) fn once(call: &Call, request: &Request, preconditions: &Preconditions, body: &[u8]) -> Result<Option<Once>, Error> {
    let mut keys = request.headers().get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(Error::UnusableKey("stands twice"));
    }
    let uri = request.original_uri();
    // A header that is absent is not one that is empty.
    let tags = |tags: &Option<String>| tags.as_ref().map_or_else(String::new, |tags| format!("={tags}"));
    let (if_match, if_none_match) = (tags(&preconditions.if_match), tags(&preconditions.if_none_match));
    let parts = [
        request.method().as_str().as_bytes(),
        uri.path().as_bytes(),
        uri.query().unwrap_or_default().as_bytes(),
        if_match.as_bytes(),
        if_none_match.as_bytes(),
        body,
    ];
    Once::new(call, key.as_bytes(), &parts).map(Some)
}

/// The answer to a write.
pub(in crate::api) fn told(answer: &Answer) -> Result<Response, Error> {
    let status = StatusCode::from_u16(answer.outcome.status()).map_err(|error| Error::Internal(error.to_string()))?;
    let mut response = Response::builder().status(status).content_type("application/json");
    if let Some(etag) = &answer.etag {
        response = response.header("etag", etag);
    }
    if let Some(location) = &answer.location {
        response = response.header("location", format!("/api/records/{location}"));
    }
    if answer.is_replayed {
        response = response.header(REPLAYED, "true");
    }
    Ok(response.body(answer.body.clone()))
}

/// The values of the query parameters that an operation takes, in the order of their names; an empty one counts as absent.
pub(in crate::api) fn parameters<const COUNT: usize>(request: &Request, names: [&str; COUNT]) -> Result<[Option<String>; COUNT], Error> {
    let mut values = [const { None }; COUNT];
    let mut violations = model::Violations::default();
    for (name, value) in pairs(request) {
        let slot = names.iter().position(|known| *known == name).and_then(|position| values.get_mut(position));
        match slot {
            None => unknown(&name, &mut violations),
            Some(slot) if slot.is_some() => {
                violations.add(model::Pointer::field(&name), "query.value", format!("`{name}` stands twice"));
            }
            Some(slot) => *slot = Some(value),
        }
    }
    let values = values.map(|value| value.filter(|text| !text.trim().is_empty()));
    violations.or(values).map_err(Error::Query)
}
