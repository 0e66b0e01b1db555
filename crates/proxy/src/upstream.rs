//! Connections to providers: one pool of kept-alive HTTP/1.1 connections for each origin.
//!
//! The pool is our own, and small: handing a connection out and taking it back costs a push and a
//! pop, where the general client of hyper-util spawns a task for most requests. It also lets a
//! caller's hang-up close the provider's connection at once.

mod answer_body;
mod body;
mod connection;
mod connector;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use providers::path::Base;
use tokio::runtime::Handle;

pub use answer_body::{AnswerBody, read};
pub use body::{BoxError, CallersBody, Streamed, UpstreamBody};
pub use connection::Connection;
pub use connector::Connector;

/// How long a connection may lie unused. Shorter than the minute after which common load balancers
/// close theirs, because a request that meets the close cannot always be sent again.
const IDLE: Duration = Duration::from_secs(50);
const MAX_IDLE_CONNECTIONS: usize = 1024;
/// The same where a tenant says where it is.
const MOST_IDLE_OF_TENANTS: usize = 64;

/// A scheme, host and port, and the idle connections to it.
pub struct Origin {
    uri: Uri,
    host: HeaderValue,
    connector: Connector,
    idle: Arc<Mutex<Idle>>,
}

/// Connections that lie unused, the oldest in front.
#[derive(Default)]
struct Idle {
    connections: VecDeque<(Instant, Connection)>,
    /// Whether somebody comes to close them.
    is_swept: bool,
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
        Ok(Self { uri, host, connector, idle: Arc::default() })
    }

    /// What the `Host` header says there.
    pub fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// The address of a path there.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.uri.to_string().trim_end_matches('/'))
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
        let is_tenants = self.connector.is_guarded();
        let most = if is_tenants { MOST_IDLE_OF_TENANTS } else { MAX_IDLE_CONNECTIONS };
        let now = Instant::now();
        let mut idle = lock(&self.idle);
        // The newest is used first, so that a quiet pool shrinks.
        idle.close_until(now.checked_sub(IDLE));
        if idle.connections.len() >= most {
            idle.connections.pop_front();
        }
        // There may be any number of tenants' servers, most of which nobody asks any more.
        if is_tenants && !idle.is_swept {
            let Ok(runtime) = Handle::try_current() else { return };
            idle.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(&self.idle)));
        }
        idle.connections.push_back((now, connection));
    }

    async fn idle_connection(&self) -> Option<Connection> {
        loop {
            let (since, mut connection) = lock(&self.idle).connections.pop_back()?;
            if since.elapsed() <= IDLE && connection.is_usable().await {
                return Some(connection);
            }
        }
    }
}

impl Idle {
    /// Closes those that have lain unused since before `until`.
    fn close_until(&mut self, until: Option<Instant>) {
        while self.connections.front().is_some_and(|(since, _)| until.is_some_and(|until| *since < until)) {
            self.connections.pop_front();
        }
    }
}

/// Closes what lies unused for too long, until nothing is left or the pool is gone.
async fn sweep(pool: Weak<Mutex<Idle>>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = lock(&pool);
        idle.close_until(Instant::now().checked_sub(IDLE));
        if idle.connections.is_empty() {
            idle.is_swept = false;
            return;
        }
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Origin({})", self.uri)
    }
}
