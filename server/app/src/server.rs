//! Listening and serving: our own accept loop over hyper, because poem's has no time limit for the head of a request, no cap on connections,
//! no limit on HTTP/2 streams, and spins when the process runs out of file handles.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{Error, api::serve::Endpoint, config::Config};

/// HTTP/2 streams that one connection may have open.
const STREAMS_MAX: u32 = 200;

/// Bytes of all headers of an HTTP/2 request.
const HEADERS_MAX_BYTES: u32 = 16 << 10;

/// Serves until `stop` is ready, then gives running requests time to finish.
///
/// # Errors
/// When the listener is gone.
pub async fn serve(listener: TcpListener, endpoint: Endpoint, config: &Config, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let slots = Arc::new(Semaphore::new(config.connections_max));
    let graceful = GracefulShutdown::new();
    let builder = builder(config);
    let local = listener.local_addr()?;
    tokio::pin!(stop);
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot.map_err(|error| Error::Internal(error.to_string()))?,
            () = &mut stop => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file handles, most likely: trying again at once would burn a core and not help.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let _ = stream.set_nodelay(true);
        let endpoint = endpoint.clone();
        let service = service_fn(move |request| {
            let endpoint = endpoint.clone();
            async move { Ok::<_, Infallible>(endpoint.respond(request, local, peer).await) }
        });
        let connection = graceful.watch(builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, %peer, "a connection ended early");
            }
            drop(slot);
        });
    }
    let drained = tokio::time::timeout(Duration::from_secs(config.drain_seconds), graceful.shutdown()).await;
    if drained.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
    Ok(())
}

fn builder(config: &Config) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(config.header_read_seconds));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_MAX_BYTES)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
