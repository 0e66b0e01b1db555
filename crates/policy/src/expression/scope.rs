//! Where an expression stands, which decides what it may speak of.

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `on_tcp_connect`: there is a connection, and no request yet.
    TcpConnect,
    /// `on_http_request`.
    Request,
    /// `on_http_response`: there is an answer besides.
    Response,
    /// `on_event_stream_message`.
    EventStreamMessage,
    /// A strategy of `model_selection`: there are `ai.models` and their metrics.
    ModelStrategy,
    /// A strategy of `api_key_selection`: there are `ai.keys`.
    KeyStrategy,
    /// The `retry_condition` of an action in the request phase.
    RequestRetry,
    /// The same in the response phase.
    ResponseRetry,
}

/// A part of what there is to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// `conn`
    Connection,
    /// `endpoint`
    Endpoint,
    /// `time`
    Time,
    /// `vars`
    Vars,
    /// `actions.ngrok`
    Actions,
    /// `req` and what reads it
    Request,
    /// `res` and what reads it
    Response,
    /// `ai.models`, `ai.providers`, `ai.authors`
    Models,
    /// `ai.keys`
    Keys,
    /// `attempts`, `last_attempt`
    Retry,
}

impl Scope {
    /// Whether a part of what there is to know is known here.
    pub fn knows(self, namespace: Namespace) -> bool {
        match namespace {
            Namespace::Connection
            | Namespace::Endpoint
            | Namespace::Time
            | Namespace::Vars
            | Namespace::Actions => true,
            Namespace::Request => self != Self::TcpConnect,
            Namespace::Response => {
                matches!(self, Self::Response | Self::EventStreamMessage | Self::ResponseRetry)
            }
            Namespace::Models => self == Self::ModelStrategy,
            Namespace::Keys => self == Self::KeyStrategy,
            Namespace::Retry => matches!(self, Self::RequestRetry | Self::ResponseRetry),
        }
    }

    /// Where the expression stands, for messages.
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::TcpConnect => "before there is a request",
            Self::Request => "when a request comes in",
            Self::Response => "when an answer comes back",
            Self::EventStreamMessage => "in messages of a stream",
            Self::ModelStrategy => "in the selection of models",
            Self::KeyStrategy => "in the selection of keys",
            Self::RequestRetry | Self::ResponseRetry => "in a condition for trying again",
        }
    }
}
