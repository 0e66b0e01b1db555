//! One attempt: open the credential, send the request, wait for the answer's head.

mod opening;

use std::error::Error as _;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use egress::EgressError;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri, Version};
use model::operator_key::Cancel;
use model::resource::OperatorKey;
use process::failpoint_soon;
use providers::catalog::Provider;
use providers::credits;
use tracing::debug;

use super::admit::Admission;
use super::authenticate::Caller;
use super::inspect::{Inquiry, Replaced};
use super::notes::Sent;
use super::patience::Patience;
use super::resolve::{Address, Place, Target};
use super::route::Credential;
use crate::deps::Deps;
use crate::effects::HOPS;
use crate::headers::{self, CF_AIG_REQUEST_TIMEOUT, CF_AIG_REQUEST_TIMEOUT_MS, TRACEPARENT};
use crate::refusal::Refusal;
use crate::relayed::Paying;
use crate::servers::Server;
use crate::upstream::{AnswerBody, CallersBody, Connection, NoAnswer, UpstreamBody};
use crate::visit::Visit;
use crate::watch::{Alarm, Watch};
use opening::{Opened, opened, served};

/// A provider's answer, of which the head is there.
pub struct Dispatched {
    /// The answer.
    pub answer: Response<AnswerBody>,
    /// The connection that it comes on.
    pub connection: Connection,
    /// Whether the connection can serve another request after this one.
    pub reusable: bool,
    /// What watches over the rest.
    pub watch: Watch,
    /// How it is paid for, if that is done as it comes.
    pub paying: Option<Paying>,
    /// Whether a stream shows all that is billed of it.
    pub is_visible: bool,
    /// Whether one that is left is billed for no more than what was seen of it.
    pub stops_billing: bool,
}

/// Everything that says where a request goes.
pub struct Way<'a> {
    /// The gateway.
    pub place: &'a Place,
    /// Who asks.
    pub caller: &'a Caller,
    /// What is asked.
    pub target: &'a Target,
    /// Whom.
    pub server: Server,
    /// With which credential.
    pub credential: Credential,
    /// How long it may take.
    pub patience: Patience,
    /// Where it is noted what is sent, if anybody wants to know.
    pub sent: Option<&'a mut Sent>,
}

/// Sends the request and waits for the answer's head.
pub async fn dispatched(
    visit: &mut Visit,
    mut way: Way<'_>,
    admission: Admission,
    mut head: Parts,
    inquiry: &mut Inquiry,
) -> Result<Dispatched, Refusal> {
    let deps = Arc::clone(visit.deps());
    let patience = way.patience.within(patience(&deps, &head.headers)?);
    let Opened { credential, second, operator_key } = opened(&deps, &way)?;
    let (body, replaced) = inquiry.sealed(matches!(way.credential, Credential::Credits));
    let pool = way.server.pool(&deps.origins);
    let path = upstream_path(&deps, &way, &head)?;
    if let Some(sent) = way.sent.take() {
        let value = credential.as_ref().map(|(_, value)| value);
        sent.leaves(pool.url(path.path()), &way.credential, value);
    }
    let hops = head.headers.remove(&HOPS).filter(|_| !way.server.is_operators());
    prepare(&mut head.headers, &way, credential.into_iter().chain(second), replaced, &body);
    head.headers.insert(header::HOST, pool.host());
    if let Some(hops) = hops {
        head.headers.insert(&HOPS, hops);
    }
    // A caller's trace goes on through our span only if that span is sent anywhere.
    let trace = visit.trace.filter(|_| deps.spans.is_some());
    if let Some(traceparent) = trace.and_then(|trace| trace.traceparent()) {
        head.headers.insert(&TRACEPARENT, traceparent);
    }
    head.uri = Uri::from(path);
    head.version = Version::HTTP_11;
    head.extensions.clear();

    let reusable = matches!(body, UpstreamBody::Whole(_));
    let revoked = way.caller.token().map(|token| token.revoked.clone());
    let mut watch = Watch::new(patience, revoked, way.place.gateway.deleted.clone(), deps.ending.clone());
    let Admission { paying, is_visible, owed } = admission;
    visit.owed = owed;
    visit.dispatched();
    failpoint_soon("dispatched");
    let mut sending = pin!(pool.send(Request::from_parts(head, body)));
    let sent = poll_fn(|context| match sending.as_mut().poll(context) {
        Poll::Ready(sent) => Poll::Ready(Ok(sent)),
        Poll::Pending => watch.poll_alarm(context).map(Err),
    });
    match sent.await {
        Ok(Ok((answer, connection))) => {
            let answer = match &operator_key {
                Some(key) => served(&deps, way.server.provider, key, answer).await?,
                None => answer.map(AnswerBody::Left),
            };
            let stops_billing = is_visible && stops_billing(way.server.provider, operator_key.as_deref());
            Ok(Dispatched { answer, connection, reusable, watch, paying, is_visible, stops_billing })
        }
        Ok(Err(no_answer)) => Err(unanswered(&way.server, &no_answer)),
        Err(Alarm::Still) => {
            let milliseconds = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
            Err(Refusal::ProviderTimeout { provider: way.server.name(), milliseconds })
        }
        Err(alarm) => Err(ended(alarm)),
    }
}

/// Whether the provider bills no more than what was produced until it is left; the operator may know
/// better than the catalogue.
fn stops_billing(provider: &Provider, key: Option<&OperatorKey>) -> bool {
    match key.and_then(|key| key.cancel) {
        Some(Cancel::Stop) => true,
        Some(Cancel::Drain) => false,
        None => provider.stops_billing_on_cancel,
    }
}

/// What is told when we end a request.
pub fn ended(alarm: Alarm) -> Refusal {
    match alarm {
        Alarm::Revoked => Refusal::TokenRevoked,
        Alarm::Deleted => Refusal::GatewayDeleted,
        Alarm::Ending | Alarm::Still => Refusal::Stopping,
    }
}

/// Makes the caller's headers the provider's.
fn prepare(
    headers: &mut HeaderMap,
    way: &Way<'_>,
    credentials: impl Iterator<Item = (HeaderName, HeaderValue)>,
    replaced: Replaced,
    body: &UpstreamBody,
) {
    headers::strip_request(headers);
    if matches!(way.credential, Credential::Credits) {
        headers::keep(headers, credits::passes);
    }
    for (header, credential) in credentials {
        headers.insert(header, credential);
    }
    if way.target.endpoint.runs_a_model() {
        // Usage is read beside the answer, and a chunk of ours is taken out of it: both need plain
        // bytes. A caller that offers compression takes plain bytes too.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if let (true, UpstreamBody::Whole(bytes)) = (replaced.length, body) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    if replaced.encoding {
        headers.remove(header::CONTENT_ENCODING);
    }
}

fn upstream_path(deps: &Deps, way: &Way<'_>, head: &Parts) -> Result<PathAndQuery, Refusal> {
    match &way.target.address {
        Address::Native { upstream, .. } => Ok(upstream.clone()),
        Address::Open | Address::Models(_) | Address::Compat | Address::CompatModels => {
            Ok(way.server.open_path(&deps.origins, way.target, head.uri.query(), &head.headers)?)
        }
    }
}

/// How long the first byte may take.
fn patience(deps: &Deps, headers: &HeaderMap) -> Result<Duration, Refusal> {
    let named = [&CF_AIG_REQUEST_TIMEOUT, &CF_AIG_REQUEST_TIMEOUT_MS];
    let Some(value) = named.iter().find_map(|name| headers.get(*name)) else {
        return Ok(deps.bounds.first_byte);
    };
    let milliseconds = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
    let asked = milliseconds.filter(|milliseconds| *milliseconds > 0).map(Duration::from_millis);
    let asked = asked.ok_or(Refusal::InvalidHeader {
        name: "cf-aig-request-timeout",
        expected: "a positive number of milliseconds",
    })?;
    Ok(asked.min(deps.bounds.first_byte))
}

fn unanswered(server: &Server, no_answer: &NoAnswer) -> Refusal {
    let provider = server.name();
    debug!(%provider, "The provider `{provider}` gave no answer: {no_answer}");
    match no_answer {
        NoAnswer::Unreachable(error) => {
            let because = error.downcast_ref::<EgressError>().map(EgressError::to_string);
            Refusal::ProviderUnreachable { provider, because }
        }
        NoAnswer::BrokeOff(error) => {
            let callers = error.source().and_then(|source| source.downcast_ref::<CallersBody>());
            match callers {
                Some(CallersBody::TooLarge(limit)) => Refusal::BodyTooLarge { limit: *limit },
                Some(CallersBody::Still(idle)) => Refusal::BodyTimeout { seconds: idle.as_secs() },
                None => Refusal::ProviderBrokeOff { provider },
            }
        }
    }
}
