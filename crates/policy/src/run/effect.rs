//! What a run asks of the outside, and what comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::actions::ai_gateway::Dispatch;
use crate::actions::circuit_breaker::Breaker;
use crate::actions::jwt_validation::KeySet;

/// Something that only the outside can do. Each is answered by the [`Outcome`] of the same name.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Count this request against a limit.
    Count(Count),
    /// Bring the keys that stand at an address.
    Keys(KeysWanted),
    /// Make an HTTP request.
    Call(Call),
    /// Ask whether a circuit is closed.
    Breaker(Breaker),
    /// Bring the request's body, as a whole.
    RequestBody(BodyWanted),
    /// Bring the answer's body, as a whole.
    ResponseBody(BodyWanted),
    /// Send the request to a provider. If one answers, the run goes on with
    /// [`Run::response`](super::Run::response); otherwise with [`Outcome::NotDispatched`].
    Dispatch(Dispatch),
}

/// What came of an effect. An error says only that it did not work: it is the effect's asker who knows what
/// follows from that.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Of [`Effect::Count`].
    Count(Result<Counted, Unavailable>),
    /// Of [`Effect::Keys`].
    Keys(Result<Arc<KeySet>, Unavailable>),
    /// Of [`Effect::Call`].
    Call(Result<Called, CallFailed>),
    /// Of [`Effect::Breaker`].
    Breaker(Result<Passage, Unavailable>),
    /// Of [`Effect::RequestBody`] and [`Effect::ResponseBody`].
    Body(Result<Bytes, Unavailable>),
    /// Of [`Effect::Dispatch`], when all that was tried has failed: what `actions.ngrok.ai_gateway` becomes.
    NotDispatched(crate::Value),
}

/// It did not answer, in time or at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not available")]
pub struct Unavailable;

/// A request to be counted in a sliding window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The limit's name, unique in its policy.
    pub name: Arc<str>,
    /// Whose requests are counted together: a digest, since what it is made from may be a secret.
    pub bucket: String,
    /// How many may come in a window.
    pub capacity: u64,
    /// How long the window is.
    pub window: Duration,
}

/// What counting says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// There was room.
    Within,
    /// There was none; a later try may find some.
    Exceeded {
        /// How long to wait.
        retry_after: Duration,
    },
}

/// Keys that are wanted from an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysWanted {
    /// Where they stand.
    pub url: String,
    /// Whether the set that was brought before lacks the key that is needed, so that an older copy is of no
    /// use. Fetching again too soon is the outside's to prevent.
    pub fresh: bool,
}

/// An HTTP request to be made.
#[derive(Clone)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Its address, with the query.
    pub url: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How long it may take at most.
    pub timeout: Duration,
    /// How many redirects may be followed, all within the same host.
    pub max_redirects: u8,
    /// How many bytes of the answer are read; a longer one is a failure.
    pub max_bytes: usize,
}

/// Wherever a secret was put, it does not print.
impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({})", self.method)
    }
}

/// What was answered to a call.
#[derive(Debug, Clone)]
pub struct Called {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The address that was connected to.
    pub resolved_ip: Option<std::net::IpAddr>,
    /// How long it took.
    pub took: Duration,
}

/// A call to which nothing was answered.
#[derive(Debug, Clone)]
pub struct CallFailed {
    /// Why, in words for the gateway's owner.
    pub reason: &'static str,
    /// How long it took to find out.
    pub took: Duration,
}

/// What a circuit breaker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// The circuit is closed.
    Allow,
    /// It is open, and this request may try whether it should be.
    AllowWhileOpen,
    /// It is open.
    Block,
}

/// In which form a body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyWanted {
    /// The bytes as they came, which is what signatures are made over.
    Raw,
    /// What was meant: inflated, if `content-encoding` says so.
    Plain,
}

impl Effect {
    /// Whether an outcome answers it.
    pub(crate) fn fits(&self, outcome: &Outcome) -> bool {
        matches!(
            (self, outcome),
            (Self::Count(_), Outcome::Count(_))
                | (Self::Keys(_), Outcome::Keys(_))
                | (Self::Call(_), Outcome::Call(_))
                | (Self::Breaker(_), Outcome::Breaker(_))
                | (Self::RequestBody(_) | Self::ResponseBody(_), Outcome::Body(_))
                | (Self::Dispatch(_), Outcome::NotDispatched(_))
        )
    }
}
