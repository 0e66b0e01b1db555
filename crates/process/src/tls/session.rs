//! What a handshake agreed on.

use std::sync::Arc;

use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

/// What a caller and we agreed on, for whoever makes rules about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSession {
    /// The host that the caller asked for (SNI), if it named one.
    pub server_name: Option<Arc<str>>,
    /// The version, `1.2` or `1.3`.
    pub version: Arc<str>,
    /// The cipher suite by its registered name, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: Arc<str>,
    /// The application protocol, `h2` or `http/1.1`, if the caller offered any.
    pub alpn: Option<Arc<str>>,
    /// Whether an earlier session was taken up.
    pub resumed: bool,
}

impl TlsSession {
    /// Reads a connection whose handshake is over.
    pub(crate) fn of(connection: &ServerConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "",
        };
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        // rustls names those of TLS 1.3 so that they tell; the registry does not.
        let cipher_suite = suite.unwrap_or_default().replacen("TLS13_", "TLS_", 1);
        let alpn = connection.alpn_protocol().and_then(|name| std::str::from_utf8(name).ok());
        Self {
            server_name: connection.server_name().map(Arc::from),
            version: version.into(),
            cipher_suite: cipher_suite.into(),
            alpn: alpn.map(Arc::from),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}
