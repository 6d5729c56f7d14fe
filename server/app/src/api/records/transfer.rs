//! `/api/records/{collection}/export` and `/import`: whole collections as streams. An export ends its stream cleanly only when everything has
//! been said; whoever gets half of one sees the connection break. An import takes its body as it comes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, BodyStream, combinators::BoxBody};
use poem::{Body, Endpoint, IntoResponse, Request, Response, http::Method};
use tokio::sync::mpsc;

use super::{pairs, parameter, unknown, write};
use crate::{
    Error,
    api::{payload, visitor},
    records::{
        Preconditions,
        export::{self, Format},
        import::{self, Source},
    },
};

/// How long a client may leave a page of an export lying before the export is given up.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// `/api/records/{collection}/export`
pub(in crate::api) struct Export;

/// `/api/records/{collection}/import`
pub(in crate::api) struct Import;

impl Endpoint for Export {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let call = visitor::call(&request).await?;
        let collection = parameter(&request, "collection")?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Error::MethodNotAllowed { allow: "GET, HEAD".to_owned() }.into());
        }
        let mut question = export::Question::default();
        read(
            &request,
            [
                ("format", &mut question.format),
                ("filter", &mut question.filter),
                ("fields", &mut question.fields),
                ("sort", &mut question.sort),
            ],
        )?;
        let export = export::begin(&call, &collection, question).await?;
        let kind = match export.format {
            Format::Ndjson => NDJSON,
            Format::Csv => "text/csv; charset=utf-8; header=present",
        };
        let file = format!("attachment; filename=\"{}\"", export.file_name());
        let answer = Response::builder().content_type(kind).header("content-disposition", file);
        let body = if request.method() == Method::HEAD { Body::empty() } else { stream(export) };
        Ok(answer.body(body).into_response())
    }
}

/// The pages of an export, read one ahead of a client that takes them. One that leaves them, or has gone, ends the reading.
fn stream(mut export: export::Export) -> Body {
    let (sender, receiver) = mpsc::channel::<Result<Option<Vec<u8>>, Error>>(1);
    tokio::spawn(async move {
        loop {
            let page = export.next().await;
            let last = !matches!(page, Ok(Some(_)));
            if let Err(error) = &page {
                tracing::warn!(%error, "an export broke off");
            }
            if sender.send_timeout(page, TAKEN_WITHIN).await.is_err() || last {
                break;
            }
        }
    });
    let pages = futures_util::stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Ok(Some(page))) => Some((Ok(Bytes::from(page)), Some(receiver))),
            Some(Ok(None)) => None,
            Some(Err(_)) | None => Some((Err(std::io::Error::other("the export broke off")), None)),
        }
    });
    Body::from_bytes_stream(pages)
}

const NDJSON: &str = "application/x-ndjson";

impl Endpoint for Import {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let call = visitor::call(&request).await?;
        let collection = parameter(&request, "collection")?;
        if *request.method() != Method::POST {
            return Err(Error::MethodNotAllowed { allow: "POST".to_owned() }.into());
        }
        let mut question = import::Question::default();
        read(
            &request,
            [
                ("mode", &mut question.mode),
                ("on", &mut question.on),
                ("on_error", &mut question.on_error),
                ("raw", &mut question.raw),
                ("dry_run", &mut question.dry_run),
                ("import", &mut question.import),
            ],
        )?;
        let format = format(&request);
        // The body is compared when it comes: it may be larger than anything that could be kept.
        let once = write::once(&call, &request, &Preconditions::default(), b"")?;
        let mut source = source(request.take_body());
        match import::import(&call, &collection, &question, once.as_ref(), (format, &mut source)).await {
            Ok(import) => {
                let json = serde_json::to_vec(&import.json()).map_err(|error| Error::Internal(error.to_string()))?;
                let answer = Response::builder().content_type("application/json");
                let location = (!import.dry_run).then(|| format!("/api/imports/{}", import.id));
                let answer = location.into_iter().fold(answer, |answer, path| answer.header("location", path));
                let answer = if import.is_replayed { answer.header(write::REPLAYED, "true") } else { answer };
                Ok(answer.body(json).into_response())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// None for types that are not known; the story says so when it has asked the policies.
fn format(request: &Request) -> Option<Format> {
    let kind = request.content_type().unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        NDJSON | "application/ndjson" | "application/jsonl" => Some(Format::Ndjson),
        "text/csv" => Some(Format::Csv),
        _ => None,
    }
}

/// The bytes of a body as they come.
fn source(body: Body) -> Source {
    let body: BoxBody<Bytes, std::io::Error> = body.into();
    let data = |frame: Result<hyper::body::Frame<Bytes>, std::io::Error>| async move {
        match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(payload::broken_off(error))),
        }
    };
    BodyStream::new(body.map_err(std::convert::identity)).filter_map(data).boxed()
}

/// Reads the query parameters into their places.
fn read<const N: usize>(request: &Request, mut places: [(&str, &mut Option<String>); N]) -> Result<(), Error> {
    let mut violations = model::Violations::default();
    for (name, value) in pairs(request) {
        match places.iter_mut().find(|(known, _)| *known == name) {
            None => unknown(&name, &mut violations),
            Some((_, slot)) => {
                if slot.replace(value).is_some() {
                    violations.add(model::Pointer::field(&name), "query.value", format!("`{name}` stands twice"));
                }
            }
        }
    }
    violations.or(()).map_err(Error::Query)
}
