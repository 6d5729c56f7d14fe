//! Health, version and the OpenAPI document.

use std::{sync::Arc, time::Duration};

use model::Caller;
use poem::{Endpoint, Request, Response, http::StatusCode};
use poem_openapi::{Object, OpenApi as OpenApiDerive};

use super::{
    PublicUrl,
    compression::accepts_gzip,
    document,
    document::{Asked, Document, Wanted},
    explorer,
    payload::Reply,
    visitor,
};
use crate::{Error, world::World};

pub(super) struct SystemApi;

/// Which server this is.
#[derive(Object, serde::Serialize)]
struct Version {
    name: String,
    version: String,
}

#[OpenApiDerive]
impl SystemApi {
    /// See the version of the server.
    #[oai(path = "/version", method = "get", operation_id = "system_version")]
    async fn version(&self) -> poem::Result<Reply<Version>> {
        let version = Version { name: "ironrule".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        Ok(Reply::new(&version)?)
    }
}

/// `/livez`: the process runs.
pub(super) struct Live;

impl Endpoint for Live {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        only_get(&request)?;
        Ok(Response::builder().content_type("application/json").body(r#"{"status":"ok"}"#))
    }
}

/// `/readyz`: the database answers.
pub(super) struct Ready;

/// How long the database may take to say that it is there.
const READY_WITHIN: Duration = Duration::from_secs(2);

impl Endpoint for Ready {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        only_get(&request)?;
        let store = &visitor::app(&request)?.store;
        let unavailable = || Error::Store(store::Error::Open("the database does not answer".to_owned()));
        let asked = tokio::time::timeout(READY_WITHIN, store::settings::get(store, "format")).await;
        asked.map_err(|_| unavailable())?.map_err(|_| unavailable())?;
        Ok(Response::builder().content_type("application/json").body(r#"{"status":"ready"}"#))
    }
}

/// `/openapi.json`: the document of this moment.
pub(super) struct OpenApi;

impl Endpoint for OpenApi {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        only_get(&request)?;
        let app = visitor::app(&request)?;
        let pairs = url::form_urlencoded::parse(request.original_uri().query().unwrap_or_default().as_bytes()).into_owned();
        let asked = Asked::read(pairs, &app.world().catalog).map_err(Error::Query)?;
        let url = request.data::<PublicUrl>().map_or("/", |url| &url.0);
        let document = match asked.for_caller {
            true => {
                let call = visitor::call(&request).await?;
                rendered(&call.world, url, &asked.wanted, Some(&call.caller))?
            }
            false => rendered(&app.world(), url, &asked.wanted, None)?,
        };
        // What is for one caller is for no cache that others use; browsers keep it for whoever sends the same token.
        let (cached, varies) = match asked.for_caller {
            true => ("private, no-cache", "accept-encoding, authorization"),
            false => ("no-cache", "accept-encoding"),
        };
        let answer = Response::builder().header("etag", document.etag()).header("cache-control", cached).header("vary", varies);
        if request.header("if-none-match").is_some_and(|tags| tags.split(',').any(|tag| is_tag(tag, document.etag()))) {
            return Ok(answer.status(StatusCode::NOT_MODIFIED).finish());
        }
        let gzip = request.header("accept-encoding").is_some_and(accepts_gzip);
        let answer = answer.content_type("application/json");
        Ok(if gzip { answer.header("content-encoding", "gzip").body(document.gzipped()) } else { answer.body(document.json()) })
    }
}

/// A document that has to be rendered takes long enough to be in the way of other requests of this thread.
fn rendered(world: &World, url: &str, wanted: &Wanted, caller: Option<&Caller>) -> Result<Arc<Document>, Error> {
    tokio::task::block_in_place(|| document(world, url, wanted, caller))
}

/// `If-None-Match` compares weakly (RFC 9110, section 13.1.2): proxies that compress make tags weak.
fn is_tag(given: &str, tag: &str) -> bool {
    let given = given.trim();
    given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
}

/// `/docs`: the API explorer.
pub(super) struct Docs;

impl Endpoint for Docs {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        only_get(&request)?;
        let file = request.original_uri().path().trim_start_matches("/docs").trim_start_matches('/').to_owned();
        let asset = explorer::asset(&file).ok_or(Error::NoRoute)?;
        let answer = Response::builder()
            .header("etag", &asset.etag)
            .header("cache-control", "no-cache")
            .header("content-security-policy", explorer::CONTENT_SECURITY_POLICY);
        if request.header("if-none-match").is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == asset.etag)) {
            return Ok(answer.status(StatusCode::NOT_MODIFIED).finish());
        }
        let answer = answer.content_type(asset.content_type);
        match asset.gzip.filter(|_| request.header("accept-encoding").is_some_and(accepts_gzip)) {
            Some(gzip) => Ok(answer.header("content-encoding", "gzip").body(gzip)),
            None => Ok(answer.body(asset.bytes)),
        }
    }
}

pub(super) fn only_get(request: &Request) -> Result<(), Error> {
    if request.method() == "GET" || request.method() == "HEAD" {
        return Ok(());
    }
    Err(Error::MethodNotAllowed { allow: "GET, HEAD".to_owned() })
}
