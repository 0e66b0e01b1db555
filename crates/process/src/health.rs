//! `/livez`, `/readyz` and `/metrics`, on an address of their own.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Encoder as _, TextEncoder};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{Leaving, Port, Readiness, TrustedProxies, bind};

/// Serves health and metrics until `shutdown`, and returns the address that was bound.
pub async fn serve_health(
    address: SocketAddr,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = bind(address, "health and metrics")?;
    let bound = listener.local_addr()?;
    let stopping = shutdown.clone();
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(move || ready(readiness.clone(), stopping.is_cancelled())))
        .route("/metrics", get(metrics));
    info!(%bound, "Serving health and metrics on http://{bound}");
    let trusted = TrustedProxies::default();
    let port = Port { listener, head: Duration::from_secs(10), most: 64, open: None, tls: None, trusted };
    // A process that drains is still asked how it is: this port is left only with the process.
    let leaving = Leaving {
        shutdown: CancellationToken::new(),
        drain: Duration::ZERO,
        ending: CancellationToken::new(),
    };
    tokio::spawn(port.serve_router(leaving, router));
    Ok(bound)
}

async fn ready(readiness: Readiness, stopping: bool) -> (StatusCode, String) {
    let waiting_for = readiness.waiting_for();
    if stopping {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".to_owned())
    } else if waiting_for.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", waiting_for.join(", ")))
    }
}

async fn metrics() -> impl IntoResponse {
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    match encoder.encode(&prometheus::gather(), &mut text) {
        Ok(()) => ([(CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
