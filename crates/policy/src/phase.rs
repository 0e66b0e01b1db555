//! The phases of a request's life that rules can stand in.

use crate::expression::Scope;

/// When a rule is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// `on_tcp_connect`: what is known of the connection. Connections are shared by many requests, so these
    /// rules are looked at once for each of them, before the others.
    Connect,
    /// `on_http_request`: the request's head has arrived.
    Request,
    /// `on_http_response`: there is an answer, the provider's or the policy's own.
    Response,
    /// `on_event_stream_message`: a message of a streamed answer has arrived.
    Message,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Connect, Self::Request, Self::Response, Self::Message];

    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "on_tcp_connect",
            Self::Request => "on_http_request",
            Self::Response => "on_http_response",
            Self::Message => "on_event_stream_message",
        }
    }

    /// What expressions in it may speak of.
    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::Connect => Scope::TcpConnect,
            Self::Request => Scope::Request,
            Self::Response => Scope::Response,
            Self::Message => Scope::EventStreamMessage,
        }
    }
}
