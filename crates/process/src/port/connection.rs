//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::HttpBody;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use prometheus::IntGauge;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Peer, TrustedProxies};
use crate::tls::TlsSession;

const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
const MAX_STREAMS: u32 = 1024;
/// How long a handshake may take, unless a head has even less time.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What all connections of a port share.
pub(super) struct Connections<C> {
    server: auto::Builder<TokioExecutor>,
    head: Duration,
    tls: Option<TlsAcceptor>,
    trusted: Arc<TrustedProxies>,
    shutdown: CancellationToken,
    answers_for: C,
}

impl<C, A, F, B> Connections<C>
where
    C: Fn(Peer) -> A + Send + Sync + 'static,
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: HttpBody<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    pub(super) fn new(
        head: Duration,
        tls: Option<TlsAcceptor>,
        trusted: Arc<TrustedProxies>,
        shutdown: CancellationToken,
        answers_for: C,
    ) -> Self {
        Self { server: server(head), head, tls, trusted, shutdown, answers_for }
    }

    /// Serves a connection until it ends. It belongs to the caller of this alone: who is slow to shake
    /// hands holds nobody else up.
    pub(super) async fn attend(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        watcher: Watcher,
        _counted: Counted,
    ) {
        // Small frames must leave at once; without this a stream stalls for the other side's delayed ACK.
        if let Err(error) = stream.set_nodelay(true) {
            return debug!(%error, "A connection was gone before it was served: {error}");
        }
        let local = stream.local_addr().ok();
        let trusted = self.trusted.trusts(address.ip()).then(|| Arc::clone(&self.trusted));
        let peer = Peer { address, local, since: OffsetDateTime::now_utc(), tls: None, trusted };
        match &self.tls {
            None => self.serve(stream, peer, watcher).await,
            // Apart, so that connections without TLS do not take the memory that those with it need.
            Some(acceptor) => Box::pin(self.serve_encrypted(acceptor, stream, peer, watcher)).await,
        }
    }

    async fn serve_encrypted(
        &self,
        acceptor: &TlsAcceptor,
        stream: TcpStream,
        mut peer: Peer,
        watcher: Watcher,
    ) {
        let handshake = tokio::time::timeout(self.head.min(HANDSHAKE), acceptor.accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            // Nothing was asked yet, so nothing is lost.
            () = self.shutdown.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => {
                peer.tls = Some(Arc::new(TlsSession::of(stream.get_ref().1)));
                self.serve(stream, peer, watcher).await;
            }
            Ok(Err(error)) => debug!(%error, client.address = %peer.address, "A handshake failed: {error}"),
            Err(_) => debug!(client.address = %peer.address, "A handshake took too long"),
        }
    }

    async fn serve<S>(&self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let asked = Arc::new(AtomicBool::new(false));
        let has_asked = Arc::clone(&asked);
        let answers = (self.answers_for)(peer);
        let service = service_fn(move |request| {
            asked.store(true, Ordering::Relaxed);
            let answer = answers(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = self.server.serve_connection(TokioIo::new(stream), service).into_owned();
        let mut connection = std::pin::pin!(watcher.watch(connection));
        // Until a connection has said which HTTP it speaks, hyper sets it no time.
        let ended = match tokio::time::timeout(self.head, &mut connection).await {
            Err(_) if !has_asked.load(Ordering::Relaxed) => return debug!("A connection asked for nothing"),
            Err(_) => connection.await,
            Ok(ended) => ended,
        };
        if let Err(error) = ended {
            debug!("A caller's connection ended early: {error}");
        }
    }
}

/// One connection, for as long as it is open.
pub(super) struct Counted {
    open: Option<IntGauge>,
    _place: OwnedSemaphorePermit,
}

impl Counted {
    pub(super) fn new(open: &Option<IntGauge>, place: OwnedSemaphorePermit) -> Self {
        open.iter().for_each(IntGauge::inc);
        Self { open: open.clone(), _place: place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.iter().for_each(IntGauge::dec);
    }
}

fn server(head: Duration) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    server
}
