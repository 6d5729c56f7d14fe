//! The bridge between the accept loop, which speaks hyper, and the endpoints, which speak poem.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use poem::{
    Addr, Endpoint as _, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderValue, Method, StatusCode, Version, header, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep},
};

use super::{
    payload,
    trail::{Begin, Trail, streams},
};
use crate::{
    App,
    server::{Arrival, Proxies, Visit},
};

/// Everything that is served. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<BoxEndpoint<'static, Response>>,
    app: Arc<App>,
    proxies: Arc<Proxies>,
}

impl Endpoint {
    pub(super) fn new(endpoint: impl poem::Endpoint<Output = Response> + 'static, app: &Arc<App>, proxies: Proxies) -> Self {
        Self { inner: Arc::new(poem::EndpointExt::boxed(endpoint)), app: Arc::clone(app), proxies: Arc::new(proxies) }
    }

    /// Answers one request.
    pub(crate) async fn respond(&self, request: hyper::Request<Incoming>, arrival: Arrival) -> hyper::Response<Answering> {
        let visit = arrival.connection.begin(request.version());
        let is_head = request.method() == Method::HEAD;
        // It goes on as long as the story: a client that resets its streams at once must not begin ever more of them.
        let story = arrival.connection.story();
        let (early, told_early) = oneshot::channel();
        let (unasked, mut left) = oneshot::channel();
        let trail = Trail::begin(
            &self.app.config,
            Begin {
                method: request.method(),
                path: request.uri().path(),
                address: self.proxies.client(arrival.peer.ip(), request.headers()),
                secure: arrival.secure,
                refused: story.is_none(),
                has_body: !request.body().is_end_stream(),
                early,
            },
        );
        let request = taken(request, &arrival, trail, unasked, Duration::from_secs(self.app.config.body_read_seconds.max(1)));
        let inner = Arc::clone(&self.inner);
        // A task of its own: a client that hangs up must not stop a story between its commit and what follows.
        let answering = tokio::spawn(async move {
            let response = inner.get_response(request).await;
            drop(story);
            response
        });
        let mut response = tokio::select! {
            biased;
            Ok(response) = told_early => response,
            answered = answering => answered.unwrap_or_else(|_| Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish()),
        };
        let rest = left.try_recv().ok();
        if rest.is_some() {
            // What its client sends next is the body or, if it keeps that to itself, another request: nobody can tell.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let mut response = hyper::Response::from(response);
        if is_head {
            tell_length(&mut response);
        }
        response.map(|body| Answering { body, left_out: is_head, _visit: visit, _rest: rest })
    }
}

/// Says how long the answer to GET would be, as far as that is known: hyper looks at what is sent, and that is nothing.
fn tell_length(response: &mut hyper::Response<BoxBody<Bytes, io::Error>>) {
    if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
}

/// Takes the body of a request that nobody has wanted to read.
type Unasked = oneshot::Sender<Rest>;

fn taken(request: hyper::Request<Incoming>, arrival: &Arrival, trail: Trail, unasked: Unasked, within: Duration) -> Request {
    let ended = request.body().is_end_stream();
    let unasked = Some(unasked).filter(|_| waits_for_a_word(&request));
    let local = LocalAddr(Addr::SocketAddr(arrival.local));
    let peer = RemoteAddr(Addr::SocketAddr(arrival.peer));
    let scheme = if arrival.secure { Scheme::HTTPS } else { Scheme::HTTP };
    let mut request = Request::from((request, local, peer, scheme));
    if !ended {
        let body: BoxBody<Bytes, io::Error> = request.take_body().into();
        let receiving = Some(arrival.connection.receive());
        let renewed = streams(request.uri().path()).then_some(within);
        let limit = Box::pin(tokio::time::sleep(within));
        let arriving = Arriving { body, receiving, trail: trail.clone(), limit, renewed, waiting: false, unasked };
        request.set_body(poem::Body::from(BoxBody::new(arriving)));
    }
    request.extensions_mut().insert(trail);
    request
}

/// True if the client sends its body when it is told to (RFC 9110, section 10.1.1): hyper does so as soon as somebody wants to read it.
fn waits_for_a_word(request: &hyper::Request<Incoming>) -> bool {
    let expected = request.headers().get_all(header::EXPECT).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    expected && request.version() == Version::HTTP_11
}

/// The body of a request, which has to come in time and notes when all of it has.
struct Arriving {
    body: BoxBody<Bytes, io::Error>,
    receiving: Option<Visit>,
    trail: Trail,
    limit: Pin<Box<Sleep>>,
    /// What is sent piece by piece has so much time for each piece.
    renewed: Option<Duration>,
    /// Somebody waits for the next piece. Until then it is the server that takes its time.
    waiting: bool,
    /// Where the body goes if nobody has wanted to read it, for a client that waits until somebody does.
    unasked: Option<Unasked>,
}

impl Drop for Arriving {
    /// Whoever is still sending what nobody wants to read would see its connection break instead of the answer.
    fn drop(&mut self) {
        if self.receiving.is_none() || self.body.is_end_stream() || self.limit.is_elapsed() {
            return;
        }
        let rest = Rest(std::mem::take(&mut self.body));
        match self.unasked.take() {
            // Reading it now would ask for it. Whoever sends it all the same is read behind the answer.
            Some(unasked) => drop(unasked.send(rest)),
            None => drop(rest),
        }
    }
}

/// What is left of a body that nobody wants. It is read in the background when this is dropped.
struct Rest(BoxBody<Bytes, io::Error>);

impl Drop for Rest {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.0);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(payload::discard(rest));
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        this.unasked = None;
        let frame = Pin::new(&mut this.body).poll_frame(context);
        match &frame {
            Poll::Pending => {
                if let Some(within) = this.renewed.filter(|_| !this.waiting) {
                    this.limit.as_mut().reset(Instant::now() + within);
                }
                this.waiting = true;
                ready!(this.limit.as_mut().poll(context));
                return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
            }
            Poll::Ready(Some(Ok(_))) => {
                this.waiting = false;
                if this.renewed.is_some() {
                    // What is worked off while it arrives may take as long as it goes on arriving.
                    this.trail.arrived();
                }
            }
            // There is nothing more to come.
            Poll::Ready(Some(Err(_))) => drop(this.receiving.take()),
            Poll::Ready(None) => {
                if this.receiving.take().is_some() {
                    this.trail.arrived();
                }
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer. As long as it is there, the connection is being answered.
pub(crate) struct Answering {
    body: BoxBody<Bytes, io::Error>,
    /// The answer to HEAD ends with its head (RFC 9110, section 9.3.2). Hyper sees to that in HTTP/1 only.
    left_out: bool,
    _visit: Visit,
    /// The body of the request, if its client waits to be asked for it.
    _rest: Option<Rest>,
}

impl Body for Answering {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left_out {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.left_out || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
