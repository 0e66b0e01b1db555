//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use time::OffsetDateTime;

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
}
