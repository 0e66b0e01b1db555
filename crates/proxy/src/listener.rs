//! Connections from callers: HTTP/1.1 and HTTP/2 on one port, within bounds that keep slow and
//! greedy ones from hurting the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::deps::Deps;
use crate::serve::serve;

const BACKLOG: i32 = 4096;
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
const MAX_STREAMS: u32 = 1024;

/// Binds the gateway's address. A restart finds it free though old connections linger.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().with_context(|| format!("could not listen on {address} for callers"))
}

/// Serves until `shutdown`; then takes no more connections, lets what runs finish within `drain`,
/// and ends what is left.
pub async fn serve_callers(
    listener: TcpListener,
    deps: Arc<Deps>,
    shutdown: CancellationToken,
    drain: Duration,
) {
    let server = server(&deps);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => serve_connection(&server, &graceful, stream, Arc::clone(&deps)),
            Err(error) => {
                // Out of file descriptors, most likely: others must close before it makes sense to go on.
                warn!(%error, "A connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    info!(connections = graceful.count(), "Draining {} connections", graceful.count());
    let finished = graceful.shutdown();
    let mut finished = std::pin::pin!(finished);
    if tokio::time::timeout(drain, &mut finished).await.is_err() {
        warn!("Ending the requests that did not finish within {drain:?}");
        deps.ending.cancel();
        // Running streams notice within half a second and get to write their last words.
        let _ = tokio::time::timeout(Duration::from_secs(2), finished).await;
    }
}

fn server(deps: &Deps) -> Arc<auto::Builder<TokioExecutor>> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(deps.bounds.header)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    Arc::new(server)
}

fn serve_connection(
    server: &Arc<auto::Builder<TokioExecutor>>,
    graceful: &GracefulShutdown,
    stream: TcpStream,
    deps: Arc<Deps>,
) {
    // Small frames must leave at once; without this a stream stalls for the other side's delayed ACK.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "A connection was gone before it was served: {error}");
        return;
    }
    let connections = deps.metrics.connections.clone();
    let service = service_fn(move |request| {
        let deps = Arc::clone(&deps);
        async move { Ok::<_, std::convert::Infallible>(serve(deps, request).await) }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    connections.inc();
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!("A caller's connection ended early: {error}");
        }
        connections.dec();
    });
}
