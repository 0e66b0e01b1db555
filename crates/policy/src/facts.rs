//! What is known when an expression is evaluated. All of it is borrowed, and read only as far as the
//! expression asks: a rule that looks at one header never sees the others.

mod budget;
mod choice;
mod randomness;
mod secrets;

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, Uri, Version};
use time::OffsetDateTime;

use crate::value::{Map, Value};

pub use budget::Budget;
pub(crate) use choice::MOST_REMEMBERED;
pub use choice::{
    Choice, Datacenter, ErrorRates, KeyFacts, Latencies, Metrics, MetricsOf, ModelFacts, Quota, Remembered,
    Tokens,
};
pub use randomness::Randomness;
pub use secrets::Secrets;

/// Everything that an expression may ask about. What is `None` must not be asked about: the scope
/// that the expression was compiled for says what is there.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// What time it is: `time.now`.
    pub now: OffsetDateTime,
    /// Where random numbers come from.
    pub random: &'a Randomness,
    /// What `secrets.get` finds.
    pub secrets: Secrets<'a>,
    /// What earlier actions of the phase have set: `vars`.
    pub vars: &'a Arc<Map>,
    /// What earlier actions have found, by their names with underscores: `actions.ngrok`.
    pub actions: &'a Arc<Map>,
    /// The connection that the request came on: `conn`.
    pub connection: Option<&'a Connection>,
    /// Where the request was sent: `endpoint`.
    pub endpoint: Option<&'a Endpoint>,
    /// The request: `req`.
    pub request: Option<&'a Request<'a>>,
    /// The answer: `res`.
    pub response: Option<&'a Response<'a>>,
    /// What a strategy chooses from: `ai`.
    pub choice: Option<&'a Choice<'a>>,
    /// How often an outgoing request was tried, and what came of it: `attempts`, `last_attempt`.
    pub retry: Option<&'a Retry>,
    /// How much work all expressions of the request may still do together. Without it each has only the
    /// bound of its own.
    pub budget: Option<&'a Budget>,
}

impl<'a> Facts<'a> {
    /// Nothing but a clock and dice.
    pub fn new(now: OffsetDateTime, random: &'a Randomness) -> Self {
        Self {
            now,
            random,
            secrets: Secrets::none(),
            vars: Map::empty(),
            actions: Map::empty(),
            connection: None,
            endpoint: None,
            request: None,
            response: None,
            choice: None,
            retry: None,
            budget: None,
        }
    }
}

/// A connection, as its socket and its handshake tell.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Who is at the other end; headers have no say in it.
    pub client_ip: IpAddr,
    /// The port there.
    pub client_port: u16,
    /// The address here.
    pub server_ip: IpAddr,
    /// The port here.
    pub server_port: u16,
    /// When it began.
    pub started_at: OffsetDateTime,
    /// What TLS agreed on, if it is spoken.
    pub tls: Option<Tls>,
}

/// What TLS agreed on.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The name that the client asked for.
    pub sni: Option<Arc<str>>,
    /// The version, such as `1.3`.
    pub version: Option<Arc<str>>,
    /// The cipher suite, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: Option<Arc<str>>,
    /// The application protocol, such as `h2`.
    pub alpn: Option<Arc<str>>,
}

/// The endpoint that a request was sent to.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id, `ep_…`.
    pub id: Arc<str>,
    /// Its address with scheme.
    pub url: Arc<str>,
    /// Its host.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// `https` or `http`.
    pub protocol: &'static str,
}

/// A request, before anything was done to it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Our id for it.
    pub id: &'a str,
    /// Its method.
    pub method: &'a Method,
    /// `https` or `http`, as the client sees it.
    pub scheme: &'static str,
    /// The host that it is meant for, with the port if one was written.
    pub authority: &'a str,
    /// Its target as it was sent; scheme and host in it, if any, are not read.
    pub uri: &'a Uri,
    /// The version of HTTP that it was sent in.
    pub version: Version,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// When its headers were there.
    pub received_at: OffsetDateTime,
    /// When its body was there, if it is.
    pub body_received_at: Option<OffsetDateTime>,
}

/// An answer, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

/// An outgoing request of an action that may be repeated.
#[derive(Debug, Clone)]
pub struct Retry {
    /// How often it was tried.
    pub attempts: u32,
    /// What was sent and what came back: a map of `req`, `res` and `error`.
    pub last_attempt: Value,
}
