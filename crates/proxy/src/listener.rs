//! Connections from callers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use process::{Leaving, Peer, Port, Tls, TrustedProxies};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::deps::Deps;
use crate::serve::serve;

/// Binds the gateway's address.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    process::bind(address, "callers")
}

/// Serves, with TLS if any is given, until `shutdown`; then takes no more connections, lets what runs finish within `drain`,
/// and ends what is left.
pub async fn serve_callers(
    listener: TcpListener,
    tls: Option<Tls>,
    trusted: TrustedProxies,
    deps: Arc<Deps>,
    shutdown: CancellationToken,
    drain: Duration,
) {
    // As many connections as the machine allows: who they are is known only to their requests.
    let most = usize::MAX;
    let open = Some(deps.metrics.connections.clone());
    let port = Port { listener, head: deps.bounds.header, most, open, tls, trusted };
    let leaving = Leaving { shutdown, drain, ending: deps.ending.clone() };
    let answers_for = move |peer: Peer| {
        let (deps, peer) = (Arc::clone(&deps), Arc::new(peer));
        move |request| serve(Arc::clone(&deps), Arc::clone(&peer), request)
    };
    port.serve(leaving, answers_for).await;
}
