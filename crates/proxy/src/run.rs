//! A proxy from its start to its end.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use meter::{Meter, MeterConfig};
use process::{Readiness, Tls, Traces};
use providers::prices::Catalogue;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{Accounts, Config};
use crate::deps::Deps;
use crate::effects::Effects;
use crate::interests::Interests;
use crate::limits::local::LocalLimits;
use crate::listener::{bind, serve_callers};
use crate::metrics::{MeterMetrics, Metrics};
use crate::operator_keys::OperatorKeys;
use crate::origins::Origins;
use crate::policies::Compiler;
use crate::relayed::Drains;
use crate::snapshot::{Snapshot, SnapshotHandle};
use crate::spans::Spans;
use crate::subscription::{self, SubscriptionConfig};
use crate::upstream::Connector;

/// Runs a proxy until `shutdown`, and drains it.
pub async fn run(config: Config, traces: Option<&Traces>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let readiness = Readiness::new();
    let snapshot_unready = readiness.unready("snapshot");
    let listener_unready = readiness.unready("listener");

    let (opener, contents) = config.keys.for_opening()?;
    let tls = config.listen.gateway_tls_dir.as_deref();
    let tls = tls.map(|directory| Tls::open(directory, "gateway")).transpose()?;
    let metrics = Metrics::new(prometheus::default_registry())?;
    let directory = &config.control_plane.proxy_dir;
    std::fs::create_dir_all(directory).with_context(|| format!("could not make {}", directory.display()))?;
    let meter = Meter::start(MeterConfig {
        directory: directory.clone(),
        spool_bytes: config.usage.spool_bytes,
        redis_url: config.usage.redis_url.clone(),
    })?;
    prometheus::default_registry().register(Box::new(MeterMetrics::new(meter.clone())?))?;

    let snapshot = Arc::new(SnapshotHandle::from_pointee(Snapshot::empty()));
    let interests = match config.control_plane.accounts {
        Accounts::All => None,
        Accounts::InUse => Some(Arc::new(Interests::default())),
    };
    let subscription = SubscriptionConfig {
        control_plane_url: config.control_plane.control_plane_url.to_string(),
        join_token: config.control_plane.join_token(),
        directory: directory.clone(),
        name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        interests: interests.clone(),
        meter: Some(meter.clone()),
    };
    let subscription = subscription::start(
        subscription,
        contents,
        Arc::clone(&snapshot),
        snapshot_unready,
        shutdown.clone(),
    )?;

    let connector = Connector::new(config.bounds.connect, metrics.upstream_connections.clone());
    let deps = Arc::new(Deps {
        snapshot,
        interests,
        meter: meter.clone(),
        opener,
        origins: Origins::new(config.providers.base_urls.clone(), &connector)?,
        bounds: config.bounds.clone(),
        compiler: Compiler::new(&config.providers.trusted_hosts, &config.policies.egress, &connector),
        effects: Effects::new(&config.policies, prometheus::default_registry())?,
        operator_keys: OperatorKeys::default(),
        zero_retention: config.credits.zero_retention.clone(),
        local_limits: LocalLimits::default(),
        drains: Drains::new(config.credits.max_drained_answers, metrics.drained_answers.clone()),
        metrics,
        spans: traces.map(|traces| Spans::new(traces.tracer())),
        ending: CancellationToken::new(),
    });
    process::serve_health(config.listen.metrics, readiness, shutdown.clone()).await?;
    let listener = bind(config.listen.gateway)?;
    announce(listener.local_addr()?, tls.is_some());
    drop(listener_unready);
    // Read beside the first requests instead of in one of them.
    tokio::task::spawn_blocking(Catalogue::current);
    serve_callers(listener, tls, config.listen.trusted, deps, shutdown, config.shutdown.drain()).await;
    let _ = subscription.await;
    if !meter.drain(LAST_RECORDS).await {
        info!("Some usage records have not reached the control plane yet; the next start sends them");
    }
    Ok(())
}

/// How long the process waits for its last records to be posted; what was not is in the spool.
const LAST_RECORDS: std::time::Duration = std::time::Duration::from_secs(2);

fn announce(bound: SocketAddr, encrypted: bool) {
    let scheme = if encrypted { "https" } else { "http" };
    info!(%bound, "Serving callers on {scheme}://{bound}");
}
