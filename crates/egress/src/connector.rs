//! Opens a connection to an address that was checked. Below any HTTP client that takes a connector, and
//! below TLS.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower::Service;

use crate::address::is_public;
use crate::{BoxError, EgressError, check};

/// How long one of a host's addresses may take before the next one is tried.
const PATIENCE: Duration = Duration::from_secs(3);

/// So many names are looked up at once. Each lookup has one of the process's threads, of which others need some
/// too, until the system gives up, however long ago whoever asked has.
const LOOKUPS: usize = 64;

/// Resolves, checks, connects.
#[derive(Debug, Clone)]
pub struct Connector {
    allowed: Arc<[IpNet]>,
    lookups: Arc<Semaphore>,
}

impl Connector {
    /// A connector to public addresses and to those in `allowed`.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed: allowed.into(), lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// A connection to the host of `address`.
    pub async fn connect(&self, address: &Uri) -> Result<TokioIo<TcpStream>, EgressError> {
        let authority = check(address)?;
        let port =
            authority.port_u16().unwrap_or(if address.scheme_str() == Some("https") { 443 } else { 80 });
        let mut failure = EgressError::Refused;
        for address in self.resolved(authority.host(), port).await? {
            match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(unreachable)?;
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(error)) => failure = unreachable(error),
                Err(_) => failure = EgressError::TooSlow(PATIENCE),
            }
        }
        Err(failure)
    }

    /// The addresses of a host that may be reached. A host that is an address is resolved like a name, so
    /// that whatever the system takes for an address is seen as the address that it means.
    async fn resolved(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = bare.to_owned();
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(|_| EgressError::Refused)?;
        let lookup = tokio::spawn(async move {
            let _permit = permit;
            Ok::<Vec<_>, std::io::Error>(tokio::net::lookup_host((name, port)).await?.collect())
        });
        // A name that means nothing and one that means something private look the same from outside.
        let found = lookup.await.ok().and_then(Result::ok).ok_or(EgressError::Refused)?;
        let allowed: Vec<_> = found.into_iter().filter(|address| self.allows(address.ip())).collect();
        if allowed.is_empty() { Err(EgressError::Refused) } else { Ok(allowed) }
    }

    fn allows(&self, address: IpAddr) -> bool {
        // The operator names an IPv4 range once, in whatever dress its addresses come.
        let plain = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|range| range.contains(&plain))
    }
}

fn unreachable(error: std::io::Error) -> EgressError {
    EgressError::Unreachable(error.into())
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { Ok(connector.connect(&address).await?) })
    }
}
