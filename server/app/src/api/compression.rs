//! Answers in gzip for clients that accept it. Poem's own middleware compresses what is compressed, forgets `Vary`, and unpacks the bodies of
//! requests without a limit; here those are refused.
//!
//! Two forms of one answer have different strong entity tags (RFC 9110, section 8.8.1): the one in gzip ends with `-gzip`. The mark is taken
//! off the tags of a request before anybody compares them, so that `If-Match` holds for whoever was given either form.
//!
//! What holds a secret and something that the client chose is not compressed, because its length would tell about the secret (BREACH): the
//! tokens of `/api/auth` above all. Elsewhere access needs a token that no foreign page can make a browser send.

use std::{
    io::{self, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame};
use poem::{
    Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};

use crate::Error;

/// Shorter answers fit one packet either way.
const BYTES_MIN: u64 = 1 << 10;

/// How much is compressed before others have their turn.
const BLOCK_BYTES: usize = 64 << 10;

/// How the entity tag of an answer in gzip ends.
const MARK: &str = "-gzip\"";

/// What the client of one request accepts.
pub(super) struct Codings {
    gzip: bool,
    /// `If-None-Match` as it was sent, if it names an answer in gzip.
    marked: Option<String>,
}

impl Codings {
    /// Reads them, and takes the marks off the tags.
    pub(super) fn of(request: &mut Request, enabled: bool) -> Self {
        let accepted = request.headers().get_all(header::ACCEPT_ENCODING).iter().any(|line| line.to_str().is_ok_and(accepts_gzip));
        let path = request.uri().path();
        let secret = path.starts_with("/api/auth/") || path.starts_with("/api/setup");
        let gzip = enabled && accepted && !secret && request.method() != Method::HEAD;
        unmark(request.headers_mut(), &header::IF_MATCH);
        let marked = unmark(request.headers_mut(), &header::IF_NONE_MATCH);
        Self { gzip, marked }
    }

    /// Compresses the answer if that is worth it.
    pub(super) fn encode(self, mut response: Response) -> Response {
        let encoded = response.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
        let same = response.status() == StatusCode::NOT_MODIFIED && self.names(response.headers().get(header::ETAG));
        if encoded || same {
            mark(response.headers_mut());
            vary(response.headers_mut());
        }
        let body: BoxBody<Bytes, io::Error> = response.take_body().into();
        // A body whose length is not known may be long.
        let long = body.size_hint().upper().is_none_or(|length| length >= BYTES_MIN);
        if !long || !is_worth_it(&response) {
            response.set_body(poem::Body::from(body));
            return response;
        }
        vary(response.headers_mut());
        if !self.gzip {
            response.set_body(poem::Body::from(body));
            return response;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        mark(headers);
        response.set_body(poem::Body::from(BoxBody::new(Gzipped::new(body))));
        response
    }

    fn names(&self, etag: Option<&HeaderValue>) -> bool {
        let (Some(marked), Some(Ok(etag))) = (&self.marked, etag.map(HeaderValue::to_str)) else { return false };
        etag.strip_suffix('"').is_some_and(|open| marked.contains(&format!("{open}{MARK}")))
    }
}

/// Refuses the body of a request that is compressed: a few bytes of it could be gigabytes. Hyper takes every `Transfer-Encoding` that ends with
/// `chunked`, and undoes only that.
pub(super) fn refuse_encoded(headers: &HeaderMap) -> Result<(), Error> {
    for (name, plain) in [(header::CONTENT_ENCODING, "identity"), (header::TRANSFER_ENCODING, "chunked")] {
        let mut codings = headers.get_all(name).iter().map(|coding| coding.as_bytes().trim_ascii());
        if let Some(coding) = codings.find(|coding| !coding.eq_ignore_ascii_case(plain.as_bytes())) {
            return Err(Error::UnsupportedEncoding { encoding: String::from_utf8_lossy(coding).into_owned() });
        }
    }
    Ok(())
}

/// RFC 9110, section 12.5.3, as far as it matters: `gzip` is listed and not with the weight 0.
pub(super) fn accepts_gzip(header: &str) -> bool {
    header.split(',').any(|part| {
        let mut pieces = part.split(';').map(str::trim);
        let named = pieces.next().is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        let weight =
            |piece: &str| piece.get(..2).filter(|name| name.eq_ignore_ascii_case("q=")).and_then(|_| piece[2..].trim().parse().ok());
        named && !pieces.any(|piece| weight(piece).is_some_and(|weight: f32| weight <= 0.0))
    })
}

/// Takes the mark off every tag of a header. Returns the header as it was if there was one.
fn unmark(headers: &mut HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().map(HeaderValue::to_str).collect::<Result<_, _>>().ok()?;
    let text = lines.join(", ");
    if !text.contains(MARK) {
        return None;
    }
    let unmarked = HeaderValue::from_str(&text.replace(MARK, "\"")).ok()?;
    headers.insert(name, unmarked);
    Some(text)
}

fn mark(headers: &mut HeaderMap) {
    let Some(Ok(etag)) = headers.get(header::ETAG).map(HeaderValue::to_str) else { return };
    if etag.starts_with("W/") || etag.ends_with(MARK) {
        return;
    }
    let marked = etag.strip_suffix('"').and_then(|open| HeaderValue::from_str(&format!("{open}{MARK}")).ok());
    if let Some(marked) = marked {
        headers.insert(header::ETAG, marked);
    }
}

fn vary(headers: &mut HeaderMap) {
    let told = headers
        .get_all(header::VARY)
        .iter()
        .any(|line| line.to_str().is_ok_and(|line| line.to_ascii_lowercase().contains("accept-encoding")));
    if !told {
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

fn is_worth_it(response: &Response) -> bool {
    let headers = response.headers();
    let whole = !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::SET_COOKIE);
    let may = !headers.get(header::CACHE_CONTROL).is_some_and(|line| line.to_str().is_ok_and(|line| line.contains("no-transform")));
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    whole && may && is_text(kind)
}

/// Images and archives are compressed already, and events must not wait for each other.
fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/').unwrap_or_default();
    let text = ["json", "x-ndjson", "javascript", "xml"].contains(&subtype) || subtype.ends_with("+json") || subtype.ends_with("+xml");
    essence != "text/event-stream" && (kind == "text" || text)
}

/// Compresses block by block, so that a long answer holds nobody up.
struct Gzipped {
    body: BoxBody<Bytes, io::Error>,
    /// What has come of the body and was not compressed yet.
    rest: Bytes,
    /// None at the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
    /// True while the encoder keeps something that nobody has seen.
    kept: bool,
}

impl Gzipped {
    fn new(body: BoxBody<Bytes, io::Error>) -> Self {
        Self { body, rest: Bytes::new(), encoder: Some(GzEncoder::new(Vec::new(), Level::fast())), kept: false }
    }

    /// Compresses the next block of what is there.
    fn block(&mut self) -> io::Result<Vec<u8>> {
        let block = self.rest.split_to(self.rest.len().min(BLOCK_BYTES));
        let Some(encoder) = &mut self.encoder else { return Ok(Vec::new()) };
        encoder.write_all(&block)?;
        self.kept = true;
        Ok(std::mem::take(encoder.get_mut()))
    }

    /// Everything so far, for a reader who would otherwise wait for what is there.
    fn flushed(&mut self) -> io::Result<Vec<u8>> {
        let Some(encoder) = &mut self.encoder else { return Ok(Vec::new()) };
        encoder.flush()?;
        self.kept = false;
        Ok(std::mem::take(encoder.get_mut()))
    }
}

impl Body for Gzipped {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        loop {
            if this.encoder.is_none() {
                return Poll::Ready(None);
            }
            if !this.rest.is_empty() {
                let block = this.block()?;
                if !block.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(block.into()))));
                }
                continue;
            }
            let next = match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Pending if this.kept => return Poll::Ready(Some(Ok(Frame::data(this.flushed()?.into())))),
                next => ready!(next),
            };
            match next {
                Some(frame) => this.rest = frame?.into_data().unwrap_or_default(),
                None => {
                    let encoder = this.encoder.take().map(GzEncoder::finish).transpose()?;
                    return Poll::Ready(Some(Ok(Frame::data(encoder.unwrap_or_default().into()))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http_body_util::{BodyExt, Full};

    use super::*;

    #[test]
    fn what_is_accepted() {
        for yes in ["gzip", "deflate, GZIP;q=0.5", "br;q=1.0, gzip;q=0.001", "gzip; q=1"] {
            assert!(accepts_gzip(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip; q=0.000", "gzip;Q=0", "x-gzip", "identity"] {
            assert!(!accepts_gzip(no), "{no}");
        }
    }

    #[test]
    fn marks_come_and_go() {
        let mut request = Request::builder().header("if-match", r#""1-gzip", W/"2-gzip", "3""#).header("accept-encoding", "gzip").finish();
        Codings::of(&mut request, true);
        assert_eq!(request.header("if-match"), Some(r#""1", W/"2", "3""#));
        let tagged = |etag: &str| {
            let mut headers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_str(etag).expect("a tag"))]);
            mark(&mut headers);
            headers[header::ETAG].to_str().expect("a tag").to_owned()
        };
        assert_eq!((tagged(r#""1""#).as_str(), tagged(r#""1-gzip""#).as_str()), (r#""1-gzip""#, r#""1-gzip""#));
        assert_eq!(tagged(r#"W/"1""#), r#"W/"1""#);
    }

    #[test]
    fn only_text_is_compressed() {
        for yes in ["application/json", "application/problem+json; charset=utf-8", "text/html", "image/svg+xml", "application/x-ndjson"] {
            assert!(is_text(yes), "{yes}");
        }
        for no in ["image/png", "application/zip", "text/event-stream", "application/octet-stream", ""] {
            assert!(!is_text(no), "{no}");
        }
    }

    #[tokio::test]
    async fn blocks_are_one_stream() {
        let plain: Vec<u8> = (0..1_000_000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
        let full = Full::new(Bytes::from(plain.clone())).map_err(|never| match never {});
        let packed = Gzipped::new(BoxBody::new(full)).collect().await.expect("compressed").to_bytes();
        assert!(packed.len() < plain.len());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).expect("one stream");
        assert!(unpacked == plain);
    }
}
