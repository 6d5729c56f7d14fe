//! The bridge between the accept loop, which speaks hyper, and the endpoints, which speak poem.

use std::{net::SocketAddr, sync::Arc};

use poem::{
    Addr, Endpoint as _, Request, Response,
    endpoint::BoxEndpoint,
    http::{StatusCode, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};

/// Everything that is served. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<BoxEndpoint<'static, Response>>,
}

impl Endpoint {
    pub(super) fn new(endpoint: impl poem::Endpoint<Output = Response> + 'static) -> Self {
        Self { inner: Arc::new(poem::EndpointExt::boxed(endpoint)) }
    }

    /// Answers one request.
    pub async fn respond(
        &self,
        request: hyper::Request<hyper::body::Incoming>,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> hyper::Response<impl hyper::body::Body<Data = bytes::Bytes, Error = std::io::Error> + Send + use<>> {
        let local = LocalAddr(Addr::SocketAddr(local));
        let peer = RemoteAddr(Addr::SocketAddr(peer));
        let request = Request::from((request, local, peer, Scheme::HTTP));
        let inner = Arc::clone(&self.inner);
        // A task of its own: a client that hangs up must not stop a story between its commit and what follows.
        let answering = tokio::spawn(async move { inner.get_response(request).await });
        let response = answering.await.unwrap_or_else(|_| Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish());
        hyper::Response::from(response)
    }
}
