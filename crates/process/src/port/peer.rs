//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use time::OffsetDateTime;

use super::trusted::TrustedProxies;
use crate::tls::TlsSession;

/// A connection, as its socket and its handshake tell. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address of the other end.
    pub address: SocketAddr,
    /// The address of this end, if the system still knows it.
    pub local: Option<SocketAddr>,
    /// When the connection was accepted.
    pub since: OffsetDateTime,
    /// What TLS agreed on, if it is spoken.
    pub tls: Option<Arc<TlsSession>>,
    /// Whom to believe, if the other end is a proxy that is believed.
    pub(super) trusted: Option<Arc<TrustedProxies>>,
}

impl Peer {
    /// Where a request that came over this connection comes from: the other end, or who a trusted proxy
    /// there says it was asked by, whose port may not be known and is then zero.
    pub fn caller(&self, headers: &HeaderMap) -> SocketAddr {
        match &self.trusted {
            None => self.address,
            Some(trusted) => trusted.caller(self.address, headers),
        }
    }
}
