//! What the gateway's traffic policy says of a request before anybody is asked: it may change the request,
//! answer it, or say who is to be asked and with which keys.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use model::Secret;
use policy::Run;
use policy::actions::ai_gateway::report::Report;
use policy::actions::ai_gateway::{AiGateway, Dispatch, OnError};
use policy::facts::{Connection, Endpoint, Tls};
use policy::run::{Answer, Arrival, BodyWanted, Effect, FindSecret, Outcome, Step, Unavailable};
use process::Peer;
use providers::path::InvalidPath;
use providers::request;

use super::attempts::Reply;
use super::inspect::{self, Arriving};
use super::patience::Patience;
use super::resolve::{Below, Place};
use crate::config::Bounds;
use crate::deps::Deps;
use crate::effects::{Fared, Hops, Whose, outcome};
use crate::headers;
use crate::policies::Compiled;
use crate::refusal::{Fault, Refusal};
use crate::visit::Visit;

/// A policy that lets a request go on.
pub struct Consulted {
    /// What was compiled of it.
    pub compiled: Arc<Compiled>,
    /// Whether it says who is asked.
    dispatch: bool,
    pub(super) run: Run,
    pub(super) whose: Whose,
}

/// What follows.
pub enum Consulting {
    /// The request goes on, perhaps changed, under the policy's eyes.
    Go(Box<Consulted>),
    /// This is the answer.
    Answer(Box<Answer>),
    /// The request could not be made what the policy wants it to be. What follows is for the policy to say.
    Failed(Box<Consulted>, Refusal),
}

impl Consulted {
    /// The policy's keys for a provider, by the provider's place in the policy.
    pub fn keys(&self, provider: usize) -> Result<Vec<Secret>, Refusal> {
        self.run.provider_keys(provider).map_err(Refusal::Policy)
    }

    /// The policy's `ai-gateway` action, if that sends the request to whoever is asked.
    pub fn gateway(&self) -> Option<&AiGateway> {
        self.dispatch.then(|| self.compiled.policy.ai_gateway()).flatten()
    }

    /// Whether the policy goes on where nobody answers well.
    pub fn continues(&self) -> bool {
        self.gateway().is_some_and(|gateway| gateway.on_error == OnError::Continue)
    }

    /// Whether the policy reads what was done about the request.
    pub fn reads_report(&self) -> bool {
        self.dispatch && self.compiled.policy.uses().reads_result_of("ai_gateway")
    }

    /// Tells the policy what was done about the request, which somebody answers.
    pub fn learns(&mut self, report: &Report) {
        self.run.learns(report);
    }

    /// Goes on behind `ai-gateway` when nobody has answered well, and says what the policy answers instead.
    /// The body is not read again then: what was needed of it, rules before that action have asked for.
    pub async fn goes_on(&mut self, visit: &mut Visit, report: Option<&Report>) -> Option<Answer> {
        let told = report.map_or(policy::Value::Null, |report| self.run.told(report));
        let mut step = self.run.resume(Outcome::NotDispatched(told));
        let answer = loop {
            let outcome = match step {
                Step::Respond(answer) => break Some(answer),
                Step::Ask(
                    effect @ (Effect::Count(_) | Effect::Keys(_) | Effect::Call(_) | Effect::Breaker(_)),
                ) => outcome(&visit.deps().effects, self.whose, effect).await,
                Step::Ask(Effect::RequestBody(_) | Effect::ResponseBody(_)) => {
                    Outcome::Body(Err(Unavailable))
                }
                Step::Forward | Step::Relay(_) | Step::Ask(Effect::Dispatch(_)) => break None,
            };
            step = self.run.resume(outcome);
        };
        visit.log(self.run.take_logs());
        answer
    }

    /// How long attempts may take.
    pub fn patience(&self) -> Patience {
        self.gateway().map_or_else(Patience::default, |gateway| Patience {
            attempt: Some(gateway.per_request_timeout),
            until: Some(Instant::now() + gateway.total_timeout),
        })
    }

    /// Tells the policy's circuits how those fared who were asked at `asked`. What is refused before that says
    /// nothing of them.
    pub fn fared(&self, deps: &Deps, asked: Instant, result: &Result<Reply, Refusal>) {
        let fared = match result {
            Ok(Reply::Provider(pending)) => Fared::with(pending.dispatched.answer.status()),
            Err(refusal) if refusal.fault() == Fault::Provider => Fared::Badly,
            _ => return,
        };
        deps.effects.fared(self.whose, self.run.breakers(), asked, fared);
    }
}

/// Asks the gateway's policy, if it has one. The request is changed in place.
pub async fn consult(
    visit: &mut Visit,
    place: &Place,
    peer: &Peer,
    head: &mut Parts,
    below: &mut Below,
    body: &mut Arriving,
) -> Result<Option<Consulting>, Refusal> {
    let Some(policy) = &place.gateway.policy else { return Ok(None) };
    let compiled = Arc::clone(policy.compiled(&visit.deps().compiler).map_err(|_| Refusal::PolicyUnusable)?);
    let deps = Arc::clone(visit.deps());
    let whose = Whose {
        account: place.account_id,
        gateway: place.gateway.gateway.internal_id,
        hops: Hops::of(&head.headers),
    };
    if whose.hops.at_limit() {
        return Err(Refusal::PolicyLoop);
    }
    let mut run = Run::new(Arc::clone(&compiled.policy), arrival(&deps, visit, place, peer, head));
    let mut step = run.start();
    let dispatch = loop {
        step = match step {
            Step::Forward => break None,
            Step::Ask(Effect::Dispatch(dispatch)) => break Some(dispatch),
            Step::Ask(Effect::RequestBody(wanted)) => {
                run.resume(Outcome::Body(whole(&deps.bounds, &head.headers, body, wanted).await?))
            }
            Step::Respond(answer) => {
                visit.log(run.take_logs());
                return Ok(Some(Consulting::Answer(Box::new(answer))));
            }
            Step::Ask(
                effect @ (Effect::Count(_) | Effect::Keys(_) | Effect::Call(_) | Effect::Breaker(_)),
            ) => run.resume(outcome(&deps.effects, whose, effect).await),
            // Rules for requests ask for nothing else.
            Step::Ask(_) | Step::Relay(_) => {
                return Ok(Some(Consulting::Answer(Box::new(Answer::Refused(out_of_turn())))));
            }
        };
    };
    visit.log(run.take_logs());
    changed(&run, head, below, body)?;
    if compiled.has_servers() {
        whose.hops.tell(&mut head.headers);
    }
    let consulted = Box::new(Consulted { compiled, dispatch: dispatch.is_some(), run, whose });
    Ok(Some(match extended(&deps.bounds, head, body, dispatch).await {
        Ok(()) => Consulting::Go(consulted),
        Err(refusal) => Consulting::Failed(consulted, refusal),
    }))
}

/// Adds to the request what is to be sent beside it.
async fn extended(
    bounds: &Bounds,
    head: &mut Parts,
    body: &mut Arriving,
    dispatch: Option<Dispatch>,
) -> Result<(), Refusal> {
    let Some(Dispatch { headers, query_params, body: members }) = dispatch else { return Ok(()) };
    add(head, &headers, &query_params)?;
    merge(bounds, head, body, &members).await
}

/// The request as the policy has left it. A path that named the gateway still does: where else it leads is
/// not a matter of this gateway's.
fn changed(run: &Run, head: &mut Parts, below: &mut Below, body: &mut Arriving) -> Result<(), Refusal> {
    let request = run.request();
    request.method.clone_into(&mut head.method);
    request.headers.clone_into(&mut head.headers);
    // What let a caller in here is not for providers to see.
    for consumed in request.consumed {
        head.headers.remove(consumed);
    }
    if let Some(replaced) = request.body {
        *body = Arriving::Whole(replaced.clone());
    }
    let path = |target: &PathAndQuery| target.path().to_owned();
    let (before, after) = (head.uri.path_and_query().map(path), request.uri.path_and_query().map(path));
    if before != after {
        let after = after.unwrap_or_default();
        match below {
            Below::Host(path) => *path = after,
            Below::Path(rest) => {
                let named = head.uri.path().strip_suffix(rest.as_str());
                let rewritten = named.and_then(|named| after.strip_prefix(named));
                *rest = rewritten.ok_or(Refusal::RewrittenAway)?.to_owned();
            }
        }
    }
    request.uri.clone_into(&mut head.uri);
    Ok(())
}

/// Adds what the policy wants to be sent, before anything is judged by it. Credentials and what says where a
/// request goes are not for headers to add.
fn add(head: &mut Parts, headers: &HeaderMap, params: &[(String, String)]) -> Result<(), Refusal> {
    for (name, value) in headers {
        if !headers::is_credential(name) && !headers::stays_here(name) {
            head.headers.append(name.clone(), value.clone());
        }
    }
    if params.is_empty() {
        return Ok(());
    }
    let query = head.uri.query().unwrap_or_default();
    let mut all = form_urlencoded::Serializer::for_suffix(query.to_owned(), query.len());
    all.extend_pairs(params);
    let target = format!("{}?{}", head.uri.path(), all.finish().trim_start_matches('&'));
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().map_err(|_| Refusal::InvalidPath(InvalidPath::Characters))?);
    head.uri = Uri::from_parts(parts).map_err(|_| Refusal::InvalidPath(InvalidPath::Characters))?;
    Ok(())
}

/// Puts members into the body, in the place of the caller's. That is done before anything is read of it, so
/// that whatever is judged and counted is what the provider gets.
async fn merge(
    bounds: &Bounds,
    head: &mut Parts,
    body: &mut Arriving,
    members: &[(String, serde_json::Value)],
) -> Result<(), Refusal> {
    if members.is_empty() || !inspect::is_json(&head.headers) {
        return Ok(());
    }
    let raw = inspect::arrived(bounds, body).await?;
    let text = inspect::plain(bounds, &head.headers, &raw).await?.ok_or(Refusal::Inflation)?;
    *body = Arriving::Whole(request::with_members(&text, members)?);
    head.headers.remove(CONTENT_ENCODING);
    head.headers.remove(CONTENT_LENGTH);
    Ok(())
}

/// The request's body in the form that is wanted. It is kept for those who are asked.
async fn whole(
    bounds: &Bounds,
    headers: &HeaderMap,
    body: &mut Arriving,
    wanted: BodyWanted,
) -> Result<Result<Bytes, Unavailable>, Refusal> {
    let raw = inspect::arrived(bounds, body).await?;
    Ok(match wanted {
        BodyWanted::Raw => Ok(raw),
        BodyWanted::Plain => inspect::plain(bounds, headers, &raw).await?.ok_or(Unavailable),
    })
}

/// What callers are told if a run asks for what has no place in its phase, which would be a mistake of ours.
pub(super) fn out_of_turn() -> policy::run::Refusal {
    policy::run::Refusal {
        status: http::StatusCode::INTERNAL_SERVER_ERROR,
        code: Some(2254),
        message: "The gateway's traffic policy could not be evaluated.".to_owned(),
        headers: HeaderMap::new(),
        detail: None,
    }
}

fn arrival(deps: &Arc<Deps>, visit: &Visit, place: &Place, peer: &Peer, head: &Parts) -> Arrival {
    let came = visit.arrival();
    let tls = peer.tls.as_ref();
    let said = || head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let authority =
        head.uri.authority().map(|authority| authority.as_str()).or_else(said).unwrap_or_default();
    let caller = peer.caller(&head.headers);
    let local = peer.local.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
    let scheme = if tls.is_some() { "https" } else { "http" };
    Arrival {
        now: came.moment(),
        seed: came.id.as_u64_pair().1,
        id: came.id.to_string(),
        connection: Connection {
            client_ip: caller.ip(),
            client_port: caller.port(),
            server_ip: local.ip(),
            server_port: local.port(),
            started_at: peer.since,
            tls: tls.map(|session| Tls {
                sni: session.server_name.clone(),
                version: Some(Arc::clone(&session.version)),
                cipher_suite: Some(Arc::clone(&session.cipher_suite)),
                alpn: session.alpn.clone(),
            }),
        },
        endpoint: Some(endpoint(place, authority, local.port(), scheme)),
        method: head.method.clone(),
        scheme,
        authority: authority.to_owned(),
        uri: head.uri.clone(),
        version: head.version,
        headers: head.headers.clone(),
        secrets: secrets(deps, place),
    }
}

/// The endpoint, or for a gateway that its path names, the gateway itself in the endpoint's place.
fn endpoint(place: &Place, authority: &str, port: u16, protocol: &'static str) -> Endpoint {
    match &place.endpoint {
        Some(endpoint) => Endpoint {
            id: Arc::from(endpoint.id.to_string()),
            url: Arc::from(endpoint.url.as_str()),
            host: Arc::from(endpoint.host.to_string()),
            port,
            protocol,
        },
        None => Endpoint {
            id: Arc::from(place.gateway.gateway.internal_id.to_string()),
            url: Arc::from(format!(
                "{protocol}://{authority}/v1/{}/{}",
                place.account_id, place.gateway.gateway.id
            )),
            host: Arc::from(authority),
            port,
            protocol,
        },
    }
}

/// Opens a secret when an expression asks for it.
fn secrets(deps: &Arc<Deps>, place: &Place) -> FindSecret {
    let (deps, account, account_id) = (Arc::clone(deps), Arc::clone(&place.account), place.account_id);
    Arc::new(move |vault, name| {
        let sealed = match vault {
            Some(vault) => account.secret(vault, name),
            None => account.lone_secret(name),
        }?;
        let key = account.data_keys()?.credentials_key(&deps.opener, account_id).ok()?;
        key.open_vault_secret(sealed.id, &sealed.sealed).ok().map(Arc::new)
    })
}
