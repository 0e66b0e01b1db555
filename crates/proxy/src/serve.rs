//! The life of a request, on one page.

use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{ALLOW, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use model::gateway::ErrorShape;
use model::usage::Outcome;
use process::Peer;
use providers::catalog::Dialect;

use crate::answer::Answer;
use crate::deps::Deps;
use crate::headers;
use crate::metadata::metadata;
use crate::models;
use crate::refusal::{Listener, Refusal, Shape};
use crate::stages::attempts::{Asking, Reply};
use crate::stages::authenticate::Caller;
use crate::stages::consult::{Consulted, Consulting};
use crate::stages::inspect::{Arriving, Inquiry};
use crate::stages::plan::Attempt;
use crate::stages::resolve::{Address, Below, Place, Target};
use crate::stages::{attempts, authenticate, consult, inspect, plan, relay, resolve, route};
use crate::strategies::told::Chosen;
use crate::visit::{self, Arrival, Visit, bounded};

/// Answers one request, whatever happens.
pub async fn serve(deps: Arc<Deps>, peer: Arc<Peer>, request: Request<Incoming>) -> Response<Answer> {
    let arrival = Arrival::now();
    let answering = AssertUnwindSafe(answered(&deps, &peer, arrival, request)).catch_unwind();
    answering.await.unwrap_or_else(|_| {
        let shape = Shape::Provider(Dialect::OpenAi);
        visit::told(Listener { shape, request_id: arrival.id }, &Refusal::Bug)
    })
}

async fn answered(
    deps: &Arc<Deps>,
    peer: &Peer,
    arrival: Arrival,
    request: Request<Incoming>,
) -> Response<Answer> {
    let (head, body) = request.into_parts();
    let found = match &deps.interests {
        None => resolve::place(&deps.snapshot.load(), &head),
        Some(interests) => resolve::place_in_use(interests, &deps.snapshot, &head, arrival.at_ms).await,
    };
    let (place, below) = match found {
        Ok((place, _)) if head.method == Method::OPTIONS && place.gateway.policy.is_none() => {
            return allowed();
        }
        Ok(found) => found,
        Err(_) if head.method == Method::OPTIONS => return allowed(),
        Err(refusal) => return astray(deps, arrival, &head, &refusal),
    };
    let shape = place.gateway.gateway.error_shape;
    // Whoever names no provider means the universal endpoint, which only the gateway's clients know.
    let speaks_to_gateway = speaks_to_gateway(&head) || below.text().is_empty();
    let shape = Shape::of(shape, speaks_to_gateway, resolve::dialect(&head.method, &head.uri));
    let mut visit = Visit::begin(deps, arrival, &place, &head, shape);
    let method = head.method.clone();
    let arriving = Arriving::Stream(body);
    if method == Method::OPTIONS {
        return about_us(visit, &place, below, peer, head, arriving).await;
    }
    match through_the_stages(deps, &place, below, &mut visit, peer, head, arriving).await {
        Ok(Reply::Provider(pending)) => relay::answer(visit, *pending).await,
        Ok(Reply::Policy(answer)) => relay::written(visit, &method, *answer).await,
        Ok(Reply::Own(answer)) => relay::own(visit, &method, answer),
        Err(refusal) => visit.refused(&refusal),
    }
}

const SERVED: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

async fn through_the_stages(
    deps: &Deps,
    place: &Place,
    mut below: Below,
    visit: &mut Visit,
    peer: &Peer,
    mut head: Parts,
    mut body: Arriving,
) -> Result<Reply, Refusal> {
    if !SERVED.contains(&head.method) {
        return Err(Refusal::NoSuchMethod);
    }
    authenticate::key_from_query(&mut head, &below);
    let (query, now_ms) = (head.uri.query(), visit.arrival().at_ms);
    let caller = authenticate::caller(place, &head.headers, below.text(), query, now_ms)?;
    if let Some(token) = caller.token() {
        token.id.clone_into(&mut visit.record().token);
    }
    let consulting = consult::consult(visit, place, peer, &mut head, &mut below, &mut body).await?;
    let consulted = match consulting {
        None => None,
        Some(Consulting::Go(consulted)) => Some(consulted),
        Some(Consulting::Answer(answer)) => return Ok(Reply::Policy(answer)),
        Some(Consulting::Failed(consulted, refusal)) => {
            return attempts::unasked(visit, Some(consulted), refusal).await;
        }
    };
    let under = consulted.as_deref();
    let asked = asked(deps, (place, &below), visit, &caller, &head, body, under).await;
    let (target, inquiry, plan) = match asked {
        Ok(ControlFlow::Continue(asked)) => asked,
        Ok(ControlFlow::Break(answer)) => return Ok(Reply::Own(answer)),
        Err(refusal) => return attempts::unasked(visit, consulted, refusal).await,
    };
    let asking = Asking { place, caller: &caller, target: &target };
    attempts::reply(visit, asking, plan, head, inquiry, consulted).await
}

/// What is asked, and who can be asked that; or the answer, if it is ours to know.
async fn asked(
    deps: &Deps,
    (place, below): (&Place, &Below),
    visit: &mut Visit,
    caller: &Caller,
    head: &Parts,
    body: Arriving,
    consulted: Option<&Consulted>,
) -> Result<ControlFlow<Bytes, (Target, Inquiry, (Vec<Attempt>, Chosen))>, Refusal> {
    let policy = consulted.map(|consulted| &*consulted.compiled);
    let target = resolve::target(&deps.origins, policy, head, below)?;
    note_target(visit, &target, head)?;
    match &target.address {
        Address::CompatModels => return Ok(ControlFlow::Break(providers::compat::models())),
        Address::Models(name) => {
            let list = models::open(deps, place, caller, head, name.as_deref(), consulted)?;
            return Ok(ControlFlow::Break(list));
        }
        // Who has no credential need not send a body.
        Address::Native { server, .. } if consulted.is_none() => {
            drop(route::credential(deps, place, caller, &head.headers, (server, target.endpoint))?);
        }
        Address::Native { .. } | Address::Compat | Address::Open => (),
    }
    let inquiry = inspect::inquiry(&deps.bounds, &target, &head.headers, body, policy).await?;
    note_inquiry(visit, &inquiry);
    let plan = plan::plan(deps, place, caller, head, &target, &inquiry, consulted)?;
    Ok(ControlFlow::Continue((target, inquiry, plan)))
}

fn note_target(visit: &mut Visit, target: &Target, head: &Parts) -> Result<(), Refusal> {
    let record = visit.record();
    target.endpoint.as_str().clone_into(&mut record.endpoint);
    record.path = bounded(&target.path, 1024);
    target.address.dialect().clone_into(&mut record.dialect);
    if let Address::Native { server, .. } = &target.address {
        server.slug().clone_into(&mut record.provider);
    }
    if let Some(labels) = head.headers.get(&headers::CF_AIG_METADATA) {
        record.metadata = metadata(labels.as_bytes())?;
    }
    Ok(())
}

fn note_inquiry(visit: &mut Visit, inquiry: &Inquiry) {
    visit.waited = inquiry.waited;
    visit.passed.clone_from(&inquiry.passed);
    let record = visit.record();
    record.model_asked = bounded(&inquiry.model_asked, 256);
    record.streamed = inquiry.stream;
    record.request_bytes = inquiry.received;
    if let Some(server) = &inquiry.server {
        server.slug().clone_into(&mut record.provider);
    }
}

fn speaks_to_gateway(head: &Parts) -> bool {
    head.headers.keys().any(headers::is_ours)
}

/// A request to no known gateway: there is no account whose record it could be.
fn astray(deps: &Deps, arrival: Arrival, head: &Parts, refusal: &Refusal) -> Response<Answer> {
    deps.metrics.astray.inc();
    let dialect = resolve::dialect(&head.method, &head.uri);
    let shape = Shape::of(ErrorShape::ByCaller, speaks_to_gateway(head), dialect);
    visit::told(Listener { shape, request_id: arrival.id }, refusal)
}

/// `OPTIONS` is about us, not about a provider, and browsers send it without a credential, to learn whether a page
/// may ask. What they are told is the policy's to say, if there is one.
async fn about_us(
    mut visit: Visit,
    place: &Place,
    mut below: Below,
    peer: &Peer,
    mut head: Parts,
    mut body: Arriving,
) -> Response<Answer> {
    let method = head.method.clone();
    let consulted = consult::consult(&mut visit, place, peer, &mut head, &mut below, &mut body).await;
    match consulted {
        Ok(Some(Consulting::Answer(answer))) => relay::written(visit, &method, *answer).await,
        Ok(Some(Consulting::Failed(_, refusal))) | Err(refusal) => visit.refused(&refusal),
        Ok(Some(Consulting::Go(_)) | None) => {
            let response = allowed();
            visit.record().status = response.status().as_u16();
            visit.record().outcome = Outcome::Answered;
            visit.close();
            response
        }
    }
}

/// What is told where no policy says otherwise.
fn allowed() -> Response<Answer> {
    let mut response = Response::new(Answer::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(ALLOW, methods);
    response
}
