//! The commands `export` and `import`: collections of a running server into files and back. An import goes on by itself when the connection or
//! the server breaks, because it chooses the id under which the server knows how far it is.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::{Body, Method, Response};
use serde_json::Value as Json;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
};

use super::plugin::remote::{Place, Server, refusal, unreachable, with};
use crate::Error;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Ndjson,
    Csv,
}

impl Format {
    /// What the name of a file says.
    fn of(file: &Path) -> Self {
        if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) { Format::Csv } else { Format::Ndjson }
    }
}

#[derive(Debug, Args)]
pub(super) struct Export {
    collection: String,
    /// The file; standard output unless given.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// That of the file's name, or `ndjson`.
    #[arg(long)]
    format: Option<Format>,
    /// Only records for which this condition is true.
    #[arg(long)]
    filter: Option<String>,
    /// Only these fields, separated by commas.
    #[arg(long)]
    fields: Option<String>,
    /// The order, as in lists; oldest first unless given.
    #[arg(long, allow_hyphen_values = true)]
    sort: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    collection: String,
    /// JSON objects, one a line, or CSV (`.csv`) with names of fields in the first row.
    file: PathBuf,
    /// That of the file's name, or `ndjson`.
    #[arg(long)]
    format: Option<Format>,
    /// Change records that have the same value in this unique field, instead of creating all.
    #[arg(long)]
    upsert: Option<String>,
    /// Pass over rows that are refused, and say which.
    #[arg(long)]
    skip: bool,
    /// Restore ids and times from the file, without rules.
    #[arg(long)]
    raw: bool,
    /// Only say what would be.
    #[arg(long, conflicts_with = "import")]
    dry_run: bool,
    /// Go on with this import; the file must be the same up to where it is.
    #[arg(long)]
    import: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Writes a file as a whole or not at all.
///
/// # Errors
/// What the server refuses, a stream that breaks off, or the file.
pub(super) async fn export(export: &Export) -> Result<(), Error> {
    let server = Server::at(&export.place).await?;
    let format = export.format.unwrap_or_else(|| export.output.as_deref().map_or(Format::Ndjson, Format::of));
    let mut query = vec![("format", if format == Format::Csv { "csv" } else { "ndjson" })];
    for (name, value) in [("filter", &export.filter), ("fields", &export.fields), ("sort", &export.sort)] {
        query.extend(value.as_deref().map(|value| (name, value)));
    }
    let path = with(&format!("/api/records/{}/export", export.collection), &query);
    let answer = accepted(server.request(Method::GET, &path).send().await.map_err(unreachable)?).await?;
    let Some(output) = &export.output else { return copy(answer, tokio::io::stdout()).await.map(drop) };
    let part = output.with_added_extension("part");
    let copied = async { copy(answer, File::create(&part).await.map_err(|error| of_file(&part, &error))?).await };
    match copied.await {
        Ok(bytes) => {
            tokio::fs::rename(&part, output).await.map_err(|error| of_file(output, &error))?;
            eprintln!("{bytes} bytes in {}", output.display());
            Ok(())
        }
        Err(error) => {
            let _ = tokio::fs::remove_file(&part).await;
            Err(error)
        }
    }
}

async fn copy(mut answer: Response, mut to: impl tokio::io::AsyncWrite + Unpin) -> Result<u64, Error> {
    let mut bytes = 0;
    let broken = |error: reqwest::Error| Error::Command(format!("the export broke off: {error}"));
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        to.write_all(&piece).await?;
        bytes += piece.len() as u64;
    }
    to.flush().await?;
    Ok(bytes)
}

/// How often a connection that breaks is made again, and how long the first pause is.
const TRIES_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// Sends a file, again if need be, and says what became of it.
///
/// # Errors
/// What the server refuses, or the file.
pub(super) async fn import(import: &Import) -> Result<(), Error> {
    let server = Server::at(&import.place).await?;
    let id = import.import.clone().unwrap_or_else(|| ulid::Ulid::new().to_string());
    let path = path(import, &id);
    for attempt in 1..=TRIES_MAX {
        let sent = tokio::select! {
            sent = send(&server, import, &path) => sent?,
            never = watch(&server, &id) => never,
        };
        match sent {
            Some(answer) => return tell(&accepted(answer).await?.json().await.map_err(unreachable)?),
            None => {
                eprintln!("the connection broke; import {id} goes on");
                tokio::time::sleep(PAUSE * attempt).await;
            }
        }
    }
    Err(Error::Command(format!("the connection keeps breaking; go on with `--import {id}`")))
}

fn path(import: &Import, id: &str) -> String {
    let mut query = Vec::new();
    if let Some(on) = &import.upsert {
        query.extend([("mode", "upsert"), ("on", on)]);
    }
    for (given, name, value) in [(import.skip, "on_error", "skip"), (import.raw, "raw", "true"), (import.dry_run, "dry_run", "true")] {
        query.extend(Some((name, value)).filter(|_| given));
    }
    if !import.dry_run {
        query.push(("import", id));
    }
    with(&format!("/api/records/{}/import", import.collection), &query)
}

/// Sends the file; none if the connection broke.
async fn send(server: &Server, import: &Import, path: &str) -> Result<Option<Response>, Error> {
    let file = File::open(&import.file).await.map_err(|error| of_file(&import.file, &error))?;
    let kind = match import.format.unwrap_or_else(|| Format::of(&import.file)) {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv",
    };
    let pieces = futures_util::stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; 64 << 10];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Frame::data(Bytes::from(piece)), file)))
    });
    let body = Body::wrap(StreamBody::new(Box::pin(pieces)));
    Ok(server.request(Method::POST, path).header("content-type", kind).body(body).send().await.ok())
}

/// Says every other second how far the import is; never ends.
async fn watch(server: &Server, id: &str) -> Option<Response> {
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        if !std::io::stderr().is_terminal() {
            continue;
        }
        if let Ok(import) = server.send(server.request(Method::GET, &format!("/api/imports/{id}"))).await {
            eprint!("\r{}", counts(&import));
        }
    }
}

fn counts(import: &Json) -> String {
    let (line, created, updated, failed) = (&import["line"], &import["created"], &import["updated"], &import["failed"]);
    format!("line {line}: {created} created, {updated} changed, {failed} refused")
}

fn tell(import: &Json) -> Result<(), Error> {
    println!("{}", counts(import));
    for error in import["errors"].as_array().into_iter().flatten() {
        println!("  line {}: {}", error["line"], error["message"].as_str().unwrap_or_default());
        for part in error["errors"].as_array().into_iter().flatten() {
            println!("    {} {}", part["pointer"].as_str().unwrap_or_default(), part["message"].as_str().unwrap_or_default());
        }
    }
    Ok(())
}

async fn accepted(answer: Response) -> Result<Response, Error> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let place = answer.headers().get("location").and_then(|path| path.to_str().ok()?.strip_prefix("/api/imports/").map(str::to_owned));
    let mut text = refusal(&answer.text().await.map_err(unreachable)?);
    if let Some(id) = place {
        text.push_str(&format!("\nmend the line and go on with `--import {id}`"));
    }
    Err(Error::Command(text))
}

fn of_file(file: &Path, error: &std::io::Error) -> Error {
    Error::Command(format!("{}: {error}", file.display()))
}
