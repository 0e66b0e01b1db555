//! A port that is served over HTTP/1.1 and HTTP/2, within bounds that keep slow and greedy callers
//! from hurting the others.

mod connection;
mod peer;
mod trusted;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::server::graceful::GracefulShutdown;
use prometheus::IntGauge;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{info, warn};

use crate::tls::Tls;
use connection::{Connections, Counted};
pub use peer::Peer;
pub use trusted::{ForwardingHeader, TrustedProxies};

const BACKLOG: i32 = 4096;
/// How long a caller may take none of what is sent to it.
#[cfg(target_os = "linux")]
const DEAF: Duration = Duration::from_secs(120);

/// Binds an address. A restart finds it free though old connections linger.
pub fn bind(address: SocketAddr, purpose: &str) -> anyhow::Result<TcpListener> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        // Accepted connections inherit it. hyper sets writing no time, so that who stops reading
        // would keep a connection, and the provider's behind it, for ever.
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(DEAF))?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().with_context(|| format!("could not listen on {address} for {purpose}"))
}

/// A bound port and what it grants those who connect.
#[derive(Debug)]
pub struct Port {
    /// Where they come in.
    pub listener: TcpListener,
    /// How long a request's head may take, the first as well as any later one.
    pub head: Duration,
    /// Connections at a time; who comes later waits in the backlog.
    pub most: usize,
    /// Counts the connections, if anybody wants to know.
    pub open: Option<IntGauge>,
    /// With what TLS is spoken; without it, none is.
    pub tls: Option<Tls>,
    /// Whose word is taken on where requests come from.
    pub trusted: TrustedProxies,
}

/// How a port is left.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// From then on, no more connections are taken.
    pub shutdown: CancellationToken,
    /// How long what runs may take to finish after that.
    pub drain: Duration,
    /// Cancelled here when that time is over, for those who have last words.
    pub ending: CancellationToken,
}

impl Port {
    /// Serves until it is time to leave. `answers_for` makes, for who is at the other end, what answers
    /// the requests of one connection.
    pub async fn serve<C, A, F, B>(self, leaving: Leaving, answers_for: C)
    where
        C: Fn(Peer) -> A + Send + Sync + 'static,
        A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: HttpBody<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let Self { listener, head, most, open, tls, trusted } = self;
        let mut renewing = JoinSet::new();
        let acceptor = tls.map(|tls| {
            let (acceptor, renewal) = tls.start();
            renewing.spawn(renewal);
            acceptor
        });
        let trusted = Arc::new(trusted);
        let connections =
            Arc::new(Connections::new(head, acceptor, trusted, leaving.shutdown.clone(), answers_for));
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        loop {
            let accepted = tokio::select! {
                accepted = next(&listener, &places) => accepted,
                () = leaving.shutdown.cancelled() => break,
            };
            match accepted {
                Ok((stream, address, place)) => {
                    let counted = Counted::new(&open, place);
                    let watcher = graceful.watcher();
                    tokio::spawn(Arc::clone(&connections).attend(stream, address, watcher, counted));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others must close before it makes sense to go on.
                    warn!(%error, "A connection could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        leave(graceful, &leaving).await;
    }

    /// The same with a router, whose handlers find the caller's address as `ConnectInfo`.
    pub async fn serve_router(self, leaving: Leaving, router: Router) {
        let answers_for = move |peer: Peer| {
            let router = router.clone();
            move |mut request: Request<Incoming>| {
                let caller = peer.caller(request.headers());
                request.extensions_mut().insert(ConnectInfo(caller));
                let answering = router.clone().oneshot(request.map(Body::new));
                async move { answering.await.unwrap_or_else(|never| match never {}) }
            }
        };
        self.serve(leaving, answers_for).await;
    }
}

async fn leave(graceful: GracefulShutdown, leaving: &Leaving) {
    info!(connections = graceful.count(), "Draining {} connections", graceful.count());
    let mut finished = std::pin::pin!(graceful.shutdown());
    if tokio::time::timeout(leaving.drain, &mut finished).await.is_err() {
        warn!("Ending the requests that did not finish within {:?}", leaving.drain);
        leaving.ending.cancel();
        // Running streams notice within half a second and get to write their last words.
        let _ = tokio::time::timeout(Duration::from_secs(2), finished).await;
    }
}

async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_takes_nothing_is_cut_off_by_the_kernel() {
        let listener = bind("127.0.0.1:0".parse().unwrap(), "a test").unwrap();
        let _caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(socket2::SockRef::from(&accepted).tcp_user_timeout().unwrap(), Some(DEAF));
    }
}
