//! The desk that tells proxies the configuration: it enrols them, and pushes full state and then
//! every change to those that subscribe, and in which era each money shard is. One port, always under TLS.

mod authority;
mod enrolment;
mod eras;
mod feed;
mod metrics;
mod narrowing;
mod state;
mod subscriber;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use futures_util::future::BoxFuture;
use proto::configuration_server::ConfigurationServer;
use proto::enrolment_server::EnrolmentServer;
use store::Store;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Server, ServerTlsConfig};
use tracing::info;
use vault::ContentsBox;

pub(crate) use authority::Authority;
use enrolment::Enrolling;
use feed::Feed;
use subscriber::Subscribing;

/// A narrowed proxy says hello with all accounts that it knows, each of about 20 bytes.
const LARGEST_HELLO: usize = 64 * 1024 * 1024;

/// Where proxies connect.
#[derive(Debug, Clone, Args)]
pub struct PushConfig {
    /// where proxies connect, over gRPC and TLS
    #[arg(long, env = "TOLLGATE_GRPC_ADDR", default_value = "127.0.0.1:8082")]
    pub grpc: SocketAddr,
    /// names and addresses beside loopback under which proxies reach that port, comma-separated
    #[arg(long, env = "TOLLGATE_GRPC_NAMES", value_delimiter = ',')]
    pub grpc_names: Vec<String>,
}

/// The desk, ready to work.
pub struct Push {
    /// What was bound.
    pub address: SocketAddr,
    /// Serves until the shutdown that was given to [`open`].
    pub serving: BoxFuture<'static, anyhow::Result<()>>,
}

/// Opens the port and begins to follow the outbox.
pub async fn open(
    config: &PushConfig,
    store: Store,
    contents: &ContentsBox,
    shutdown: CancellationToken,
) -> anyhow::Result<Push> {
    let authority = Authority::load_or_create(&store, contents).await?;
    let tls = ServerTlsConfig::new()
        .identity(authority.server_identity(&config.grpc_names)?)
        .client_ca_root(Certificate::from_pem(authority.certificate_pem()))
        // Who has no certificate yet comes to get one; subscribing demands it.
        .client_auth_optional(true);
    let feed = Feed::start(store.clone(), shutdown.clone()).await?;
    let address = config.grpc;
    let incoming = TcpIncoming::bind(address)
        .with_context(|| format!("could not listen on {address} for proxies"))?
        .with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    let subscriptions =
        ConfigurationServer::new(Subscribing { store: store.clone(), feed, shutdown: shutdown.clone() });
    let server = Server::builder()
        .tls_config(tls)?
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .add_service(EnrolmentServer::new(Enrolling { store, authority }))
        .add_service(subscriptions.max_decoding_message_size(LARGEST_HELLO));
    info!(%address, "Proxies connect at https://{address}");
    let serving = async move {
        let served = server.serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned()).await;
        served.context("proxies could not be served")
    };
    Ok(Push { address, serving: Box::pin(serving) })
}
