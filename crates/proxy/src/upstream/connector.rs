//! Opening connections: TCP, and TLS where the URL says so.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use prometheus::IntGauge;
use tower::Service as _;

use super::{BoxError, Connection, UpstreamBody};

/// How connections to providers are opened. Clones share everything.
#[derive(Clone)]
pub struct Connector {
    http: HttpConnector,
    https: Arc<OnceLock<HttpsConnector<HttpConnector>>>,
    timeout: Duration,
    connections: IntGauge,
}

impl Connector {
    /// A connector that gives up after `timeout` and counts open connections in `connections`.
    pub fn new(timeout: Duration, connections: IntGauge) -> Self {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        http.set_connect_timeout(Some(timeout));
        http.set_keepalive(Some(Duration::from_secs(30)));
        Self { http, https: Arc::default(), timeout, connections }
    }

    pub(super) async fn connect(&self, uri: &Uri) -> Result<Connection, BoxError> {
        let opening = async {
            if uri.scheme_str() == Some("https") {
                let stream = self.https()?.call(uri.clone()).await?;
                self.handshake(stream).await
            } else {
                let stream = self.http.clone().call(uri.clone()).await?;
                self.handshake(stream).await
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
