//! Connections to providers: one pool of kept-alive HTTP/1.1 connections for each origin.
//!
//! The pool is our own, and small: handing a connection out and taking it back costs a push and a
//! pop, where the general client of hyper-util spawns a task for most requests. It also lets a
//! caller's hang-up close the provider's connection at once.

mod body;
mod connection;
mod connector;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use providers::path::Base;

pub use body::{BoxError, CallersBody, Streamed, UpstreamBody};
pub use connection::Connection;
pub use connector::Connector;

/// How long a connection may lie unused. Shorter than the minute after which common load balancers
/// close theirs, because a request that meets the close cannot always be sent again.
const IDLE: Duration = Duration::from_secs(50);
const MAX_IDLE_CONNECTIONS: usize = 1024;

/// A scheme, host and port, and the idle connections to it.
pub struct Origin {
    uri: Uri,
    host: HeaderValue,
    connector: Connector,
    idle: Mutex<VecDeque<(Instant, Connection)>>,
}

/// Why a provider gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No connection came about.
    #[error("no connection: {0}")]
    Unreachable(BoxError),
    /// The connection broke before the answer's head was there.
    #[error("the connection broke before an answer: {0}")]
    BrokeOff(hyper::Error),
}

impl Origin {
    /// The origin of `base`, whose path is not looked at.
    pub fn new(base: &Base, connector: Connector) -> Result<Self, http::Error> {
        let uri = base.uri(PathAndQuery::from_static("/"));
        let host = HeaderValue::from_str(base.authority.as_str())?;
        Ok(Self { uri, host, connector, idle: Mutex::default() })
    }

    /// What the `Host` header says there.
    pub fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Sends a request, whose URI is in origin form, and waits for the answer's head. A request that
    /// met a connection's end before any of it was written is sent again on another.
    pub async fn send(
        &self,
        mut request: Request<UpstreamBody>,
    ) -> Result<(Response<Incoming>, Connection), NoAnswer> {
        loop {
            let (mut connection, reused) = match self.idle_connection().await {
                Some(connection) => (connection, true),
                // Boxed, because it is rare and would make the future of every request larger.
                None => {
                    (Box::pin(self.connector.connect(&self.uri)).await.map_err(NoAnswer::Unreachable)?, false)
                }
            };
            match connection.send(request).await {
                Ok(answer) => return Ok((answer, connection)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(NoAnswer::BrokeOff(error.into_error())),
                },
            }
        }
    }

    /// Keeps a connection for the next request. Only for one whose request was sent and whose answer
    /// was read to their ends.
    pub fn keep(&self, connection: Connection) {
        let now = Instant::now();
        let mut idle = self.lock();
        // The oldest lie in front; the newest is used first, so that a quiet pool shrinks.
        while idle.front().is_some_and(|(since, _)| now - *since > IDLE) || idle.len() >= MAX_IDLE_CONNECTIONS
        {
            idle.pop_front();
        }
        idle.push_back((now, connection));
    }

    async fn idle_connection(&self) -> Option<Connection> {
        loop {
            let (since, mut connection) = self.lock().pop_back()?;
            if since.elapsed() <= IDLE && connection.is_usable().await {
                return Some(connection);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Origin({})", self.uri)
    }
}
