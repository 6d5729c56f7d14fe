//! Listening and serving: our own accept loop over hyper, because poem's has no time limit for the head of a request, no cap on connections,
//! no limit on HTTP/2 streams, and spins when the process runs out of file handles.

mod address;

mod connection;

mod connections;

mod explained;

mod handles;

mod tls;

mod watched;

pub(crate) use address::{Network, Proxies};
pub(crate) use connection::{Connection, Visit};

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::MissedTickBehavior,
};

use crate::{
    Error,
    api::{busy, serve::Endpoint},
    config::Config,
};
use connection::{Order, STREAMS_MAX};
use connections::{Connections, Full};
use explained::Explained;
use tls::Tls;
use watched::Watched;

/// Bytes of all headers of an HTTP/2 request.
const HEADERS_MAX_BYTES: u32 = 16 << 10;

/// Bytes of the head of an HTTP/1 request, and of what is read ahead of a body. The message of `request.head_too_large` has it.
const HEAD_MAX_BYTES: usize = 64 << 10;

/// How often connections are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a connection that is refused may take to hear it.
const REFUSING_WITHIN: Duration = Duration::from_secs(1);

/// What every connection shares.
struct Served {
    endpoint: Endpoint,
    builder: auto::Builder<TokioExecutor>,
    tls: Option<Tls>,
    local: SocketAddr,
}

/// One request's way in.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// It came through TLS of ours.
    pub(crate) secure: bool,
    pub(crate) connection: Arc<Connection>,
}

/// Looks at what is configured before anything is opened.
///
/// # Errors
/// [`Error::Configuration`] names the setting that is wrong.
pub fn check(config: &Config) -> Result<(), Error> {
    Proxies::new(config)?;
    Tls::open(config).map(drop)
}

/// Serves until `stop` is ready, then gives running requests time to finish.
///
/// # Errors
/// When the listener is gone, or what is configured cannot be used.
pub async fn serve(listener: TcpListener, endpoint: Endpoint, config: &Config, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let connections = Arc::new(Connections::new(config, handles::raised())?);
    let tls = Tls::open(config)?;
    let following = tls.clone().map(|tls| tokio::spawn(tls.follow()));
    let served = Arc::new(Served { endpoint, builder: builder(), tls, local: listener.local_addr()? });
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = look.tick() => {
                connections.look();
                continue;
            }
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => welcome(&served, &connections, stream, peer),
            Err(error) => {
                // Out of file handles, most likely: whoever does nothing makes place. Trying again at once would burn a core and not help.
                tracing::warn!(%error, "cannot accept a connection");
                connections.shed();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // Whoever connects from now on is refused by the operating system instead of waiting in vain.
    drop(listener);
    drain(&connections, Duration::from_secs(config.drain_seconds)).await;
    following.inspect(tokio::task::JoinHandle::abort);
    Ok(())
}

/// Every connection finishes what it has begun, says so to its client, and ends.
async fn drain(connections: &Connections, within: Duration) {
    connections.finish();
    let ended = async {
        while tokio::time::timeout(LOOK_EVERY, connections.empty()).await.is_err() {
            connections.look();
        }
    };
    if tokio::time::timeout(within, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "some requests did not finish in time");
    }
}

fn welcome(served: &Arc<Served>, connections: &Arc<Connections>, stream: TcpStream, peer: SocketAddr) {
    let _ = stream.set_nodelay(true);
    match connections.open(peer.ip()) {
        Ok(connection) => {
            let (served, connections) = (Arc::clone(served), Arc::clone(connections));
            tokio::spawn(async move {
                attend(&served, &connection, stream, peer).await;
                connections.close(&connection);
            });
        }
        Err(full) => refuse(served, stream, full),
    }
}

/// Says that there is no place and closes, as quickly as possible.
fn refuse(served: &Served, mut stream: TcpStream, full: Full) {
    // A client that expects TLS would take the sentence for a broken handshake, and many refusals at once are a flood.
    let (None, Some(lingering)) = (&served.tls, full.lingering) else { return };
    tokio::spawn(async move {
        let refusing = async {
            stream.write_all(&busy()).await?;
            stream.shutdown().await?;
            // Closing with something unread would take the answer back.
            let mut unread = [0; 1 << 10];
            while stream.read(&mut unread).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        let _ = tokio::time::timeout(REFUSING_WITHIN, refusing).await;
        drop(lingering);
    });
}

async fn attend(served: &Served, connection: &Arc<Connection>, stream: TcpStream, peer: SocketAddr) {
    let stream = Watched::new(stream, Arc::clone(connection));
    let Some(tls) = &served.tls else { return converse(served, connection, stream, (peer, false)).await };
    let shaken = tokio::select! {
        shaken = tls.accept(stream) => shaken,
        // There is nothing to finish before the first request.
        _ = connection.ordered() => return,
    };
    match shaken {
        Ok(stream) => converse(served, connection, stream, (peer, true)).await,
        Err(error) => tracing::debug!(%error, %peer, "no TLS came about"),
    }
}

async fn converse<I>(served: &Served, connection: &Arc<Connection>, stream: I, (peer, secure): (SocketAddr, bool))
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let arrival = Arrival { local: served.local, peer, secure, connection: Arc::clone(connection) };
    let endpoint = served.endpoint.clone();
    let service = service_fn(move |request| {
        let (endpoint, arrival) = (endpoint.clone(), arrival.clone());
        async move { Ok::<_, Infallible>(endpoint.respond(request, arrival).await) }
    });
    let serving = served.builder.serve_connection(TokioIo::new(Explained::new(stream, Arc::clone(connection))), service);
    tokio::pin!(serving);
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, %peer, "a connection ended early");
                }
                return;
            }
            order = connection.ordered() => match order {
                Order::Finish => serving.as_mut().graceful_shutdown(),
                Order::Close => return,
            },
        }
    }
}

/// The time for heads and idle connections is kept by [`Connections`], which knows more than hyper: hyper's own limit also ends whoever takes
/// a long answer slowly.
fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_MAX_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        // Streams that a client opens and resets at once (CVE-2023-44487) end the connection; those that were already being answered are
        // counted by `Connection::begin`, for as long as their stories run.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1024)
        .max_header_list_size(HEADERS_MAX_BYTES)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
