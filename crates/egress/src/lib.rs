//! Connections to addresses that a tenant can influence: webhooks, and what traffic policies ask.
//!
//! Whoever may choose an address could choose one that only this machine reaches: a database, a cloud's
//! metadata, the management port next door. So a host is resolved here, what it resolves to is checked,
//! and the connection goes to the address that was checked: a name that answers differently a moment
//! later changes nothing. A redirect is followed, if at all, within the same host and checked like the first
//! address. Time and bytes are bounded.

mod address;
mod connector;
mod exchange;
mod hosts;
mod redirect;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::uri::Authority;
use http::{Request, Response, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tower::Service as _;

use crate::exchange::exchange;

pub use address::is_public;
pub use connector::Connector;
pub use hosts::{InternalHost, TrustedHosts};

/// Which addresses may be reached although the public cannot.
#[derive(Debug, Clone, Default, Args)]
pub struct EgressConfig {
    /// ranges that tenants may name although they are not public, such as `10.1.0.0/16`
    #[arg(
        id = "egress_allow",
        long = "egress-allow",
        env = "TOLLGATE_EGRESS_ALLOW",
        value_delimiter = ',',
        value_name = "RANGES"
    )]
    pub allow: Vec<IpNet>,
}

/// How long an exchange may take and how much of its answer is read.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// From the name's resolution to the answer's last byte.
    pub time: Duration,
    /// Of the answer's body.
    pub bytes: usize,
}

/// Why there is no answer. The texts may be shown to the tenant: they tell of nothing that he does not
/// know, and not whether anything listens at an address that is refused.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// This is no address that we would call.
    #[error("the address {0}")]
    Address(#[from] InvalidAddress),
    /// The name means nothing, or only addresses that are not allowed.
    #[error("the host has no address that may be reached from here")]
    Refused,
    /// No connection came about.
    #[error("no connection to the host")]
    Unreachable(#[source] BoxError),
    /// The connection broke before the answer was there.
    #[error("the connection broke before the answer was complete")]
    BrokeOff(#[source] BoxError),
    /// It took too long.
    #[error("no complete answer within {0:?}")]
    TooSlow(Duration),
    /// The answer is too long.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
}

/// What is wrong with an address, as words that follow "the address".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Not `http://…` or `https://…`.
    #[error("must begin with `https://` or `http://`")]
    Scheme,
    /// A name and password before the host.
    #[error("must not contain a user name")]
    User,
    /// No host, or one that no header can carry.
    #[error("must name a host")]
    Host,
}

/// An answer, and where it came from.
#[derive(Debug)]
pub struct Answer {
    /// What was answered.
    pub response: Response<Bytes>,
    /// The address that was connected to.
    pub address: IpAddr,
}

/// An open connection, encrypted or not.
pub type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// What went wrong, for whoever only passes it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The way out. Clones share everything.
#[derive(Clone)]
pub struct Egress {
    connector: Connector,
    https: Arc<OnceLock<HttpsConnector<Connector>>>,
}

impl Egress {
    /// A way out to public addresses and to those that the operator allows.
    pub fn new(config: &EgressConfig) -> Self {
        Self { connector: Connector::new(config.allow.clone()), https: Arc::default() }
    }

    /// Sends a request on a connection of its own and reads the whole answer, within `bounds`. An answer
    /// that points elsewhere is returned like any other.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, EgressError> {
        Ok(self.follow(request, bounds, 0).await?.response)
    }

    /// The same, but goes where an answer points, at most `redirects` times and within the same host. Every
    /// step resolves and checks anew. An answer that points elsewhere, or once too often, is returned like any
    /// other; `bounds` hold for all steps together.
    pub async fn follow(
        &self,
        request: Request<Bytes>,
        bounds: Bounds,
        redirects: u8,
    ) -> Result<Answer, EgressError> {
        let mut request = request;
        let steps = async {
            for _ in 0..redirects {
                let answer = self.step(request.clone(), bounds.bytes).await?;
                match redirect::next(request, &answer.response) {
                    Some(next) => request = next,
                    None => return Ok(answer),
                }
            }
            self.step(request, bounds.bytes).await
        };
        tokio::time::timeout(bounds.time, steps).await.unwrap_or(Err(EgressError::TooSlow(bounds.time)))
    }

    /// A connection to the host of an address, for whoever speaks on it himself. How long all of it may
    /// take is for him to say.
    pub async fn connect(&self, address: &Uri) -> Result<Stream, EgressError> {
        check(address)?;
        if address.scheme_str() == Some("https") {
            let mut https = self.https().map_err(EgressError::Unreachable)?;
            return https.call(address.clone()).await.map_err(refusal);
        }
        Ok(MaybeHttpsStream::Http(self.connector.connect(address).await?))
    }

    async fn step(&self, request: Request<Bytes>, most: usize) -> Result<Answer, EgressError> {
        let stream = self.connect(request.uri()).await?;
        let plain = match &stream {
            MaybeHttpsStream::Http(plain) => plain,
            MaybeHttpsStream::Https(encrypted) => encrypted.inner().get_ref().0.inner(),
        };
        let address = plain.inner().peer_addr().map_err(|error| EgressError::BrokeOff(error.into()))?.ip();
        Ok(Answer { response: exchange(stream, request, most).await?, address })
    }

    /// The system's certificates are read when they are first needed.
    fn https(&self) -> Result<HttpsConnector<Connector>, BoxError> {
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
            .wrap_connector(self.connector.clone());
        Ok(self.https.get_or_init(|| https).clone())
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}

/// Whether an address has the form of one that we call; where it leads is only known when it is called.
pub fn check(address: &Uri) -> Result<&Authority, InvalidAddress> {
    if !matches!(address.scheme_str(), Some("https" | "http")) {
        return Err(InvalidAddress::Scheme);
    }
    let authority = address.authority().ok_or(InvalidAddress::Host)?;
    if authority.as_str().contains('@') {
        return Err(InvalidAddress::User);
    }
    if authority.host().is_empty() {
        return Err(InvalidAddress::Host);
    }
    Ok(authority)
}

/// The TLS layer wraps what the connector below it said.
fn refusal(error: BoxError) -> EgressError {
    match error.downcast::<EgressError>() {
        Ok(error) => *error,
        Err(error) => EgressError::Unreachable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_web_address_without_a_user() {
        for (address, expected) in [
            ("https://example.com/hook?x=1", None),
            ("http://example.com:8080", None),
            ("ftp://example.com/", Some(InvalidAddress::Scheme)),
            ("/hook", Some(InvalidAddress::Scheme)),
            ("https://user:password@example.com/", Some(InvalidAddress::User)),
        ] {
            let uri: Uri = address.parse().unwrap();
            assert_eq!(check(&uri).err(), expected, "{address}");
        }
    }
}
