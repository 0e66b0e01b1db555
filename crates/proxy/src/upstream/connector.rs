//! Opening connections: TCP, and TLS where the URL says so.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use egress::Egress;
use http::Uri;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use prometheus::IntGauge;
use tokio::sync::Semaphore;
use tower::Service as _;

use super::{BoxError, Connection, UpstreamBody};

/// How connections to providers are opened. Clones share everything.
#[derive(Clone)]
pub struct Connector {
    road: Road,
    timeout: Duration,
    connections: IntGauge,
}

/// By whose word an address is called.
#[derive(Clone)]
enum Road {
    /// The operator's, or the catalogue's: it may be anywhere.
    Open(Open),
    /// A tenant's: it is looked at first, and only so many are called at once.
    Guarded(Egress, Arc<Semaphore>),
}

#[derive(Clone)]
struct Open {
    http: HttpConnector,
    https: Arc<OnceLock<HttpsConnector<HttpConnector>>>,
}

/// So many connections are opened at once to addresses that one policy names: a quarter of the names that are
/// looked up at once for all of them.
const AT_ONCE: usize = 16;

impl Connector {
    /// A connector that gives up after `timeout` and counts open connections in `connections`.
    pub fn new(timeout: Duration, connections: IntGauge) -> Self {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        http.set_connect_timeout(Some(timeout));
        http.set_keepalive(Some(Duration::from_secs(30)));
        Self { road: Road::Open(Open { http, https: Arc::default() }), timeout, connections }
    }

    /// The same for addresses that one policy names.
    pub fn guarded(&self, egress: Egress) -> Self {
        let road = Road::Guarded(egress, Arc::new(Semaphore::new(AT_ONCE)));
        Self { road, timeout: self.timeout, connections: self.connections.clone() }
    }

    /// Whether addresses are looked at first.
    pub(super) fn is_guarded(&self) -> bool {
        matches!(self.road, Road::Guarded(..))
    }

    pub(super) async fn connect(&self, uri: &Uri) -> Result<Connection, BoxError> {
        let opening = async {
            match &self.road {
                Road::Open(open) if uri.scheme_str() == Some("https") => {
                    self.handshake(open.https()?.call(uri.clone()).await?).await
                }
                Road::Open(open) => self.handshake(open.http.clone().call(uri.clone()).await?).await,
                Road::Guarded(egress, at_once) => {
                    let _turn = at_once.acquire().await?;
                    self.handshake(egress.connect(uri).await?).await
                }
            }
        };
        tokio::time::timeout(self.timeout, opening).await.map_err(|_| "the connection took too long")?
    }

    async fn handshake<S>(&self, stream: S) -> Result<Connection, BoxError>
    where
        S: Read + Write + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new().handshake::<S, UpstreamBody>(stream).await?;
        // What goes wrong here reaches the request that is under way; an idle connection just ends.
        let driver = async move { drop(connection.await) };
        Ok(Connection::new(sender, driver, &self.connections))
    }
}

impl Open {
    /// The system's certificates are read when first needed: it takes longer than all the rest of
    /// the start, and memory that a proxy before plain-text providers has no use for.
    fn https(&self) -> Result<HttpsConnector<HttpConnector>, BoxError> {
        if let Some(https) = self.https.get() {
            return Ok(https.clone());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_native_roots()?
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(self.http.clone());
        Ok(self.https.get_or_init(|| https).clone())
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
