//! The life of a request, on one page.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{ALLOW, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use model::gateway::ErrorShape;
use providers::catalog::Dialect;
use providers::credits::Permit;

use crate::answer::Answer;
use crate::deps::Deps;
use crate::headers;
use crate::metadata::metadata;
use crate::models;
use crate::rating::Rating;
use crate::refusal::{Listener, Refusal, Shape};
use crate::stages::dispatch::Way;
use crate::stages::inspect::Inquiry;
use crate::stages::relay::Pending;
use crate::stages::resolve::{Address, Place, Target};
use crate::stages::route::Credential;
use crate::stages::{admit, authenticate, dispatch, inspect, relay, resolve, route};
use crate::visit::{self, Arrival, Visit, bounded};

/// Answers one request, whatever happens.
pub async fn serve(deps: Arc<Deps>, request: Request<Incoming>) -> Response<Answer> {
    let arrival = Arrival::now();
    if request.method() == Method::OPTIONS {
        return allowed();
    }
    let answering = AssertUnwindSafe(answered(&deps, arrival, request)).catch_unwind();
    answering.await.unwrap_or_else(|_| {
        let shape = Shape::Provider(Dialect::OpenAi);
        visit::told(Listener { shape, request_id: arrival.id }, &Refusal::Bug)
    })
}

async fn answered(deps: &Arc<Deps>, arrival: Arrival, request: Request<Incoming>) -> Response<Answer> {
    let (head, body) = request.into_parts();
    let found = match &deps.interests {
        None => resolve::place(&deps.snapshot.load(), &head.uri),
        Some(interests) => resolve::place_in_use(interests, &deps.snapshot, &head.uri, arrival.at_ms).await,
    };
    let (place, rest) = match found {
        Ok(found) => found,
        Err(refusal) => return astray(deps, arrival, &head, &refusal),
    };
    let shape = place.gateway.gateway.error_shape;
    // Whoever names no provider means the universal endpoint, which only the gateway's clients know.
    let speaks_to_gateway = speaks_to_gateway(&head) || rest.is_empty();
    let shape = Shape::of(shape, speaks_to_gateway, resolve::dialect(&head.method, &head.uri));
    let mut visit = Visit::begin(deps, arrival, &place, &head, shape);
    match through_the_stages(deps, &place, rest.to_owned(), &mut visit, head, body).await {
        Ok(Reply::Provider(pending)) => relay::answer(visit, *pending).await,
        Ok(Reply::Own(method, answer)) => relay::own(visit, &method, answer),
        Err(refusal) => visit.refused(&refusal),
    }
}

/// Who answers.
enum Reply {
    Provider(Box<Pending>),
    Own(Method, Bytes),
}

const SERVED: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

async fn through_the_stages(
    deps: &Deps,
    place: &Place,
    rest: String,
    visit: &mut Visit,
    head: Parts,
    body: Incoming,
) -> Result<Reply, Refusal> {
    if !SERVED.contains(&head.method) {
        return Err(Refusal::NoSuchMethod);
    }
    let target = resolve::target(&deps.origins, &head.method, &rest, head.uri.query())?;
    note_target(visit, &target, &head)?;
    let (query, now_ms) = (head.uri.query(), visit.arrival().at_ms);
    let caller = authenticate::caller(place, &head.headers, &rest, query, now_ms)?;
    if let Some(token) = caller.token() {
        token.id.clone_into(&mut visit.record().token);
    }
    if matches!(target.address, Address::CompatModels) {
        return Ok(Reply::Own(head.method, providers::compat::models()));
    }
    if let Address::Native { provider, .. } = target.address {
        // Who has no credential need not send a body.
        route::credential(deps, place, &caller, &head.headers, (provider, target.endpoint))?;
    }
    let mut inquiry = inspect::inquiry(&deps.bounds, &target, &head.headers, body).await?;
    note_inquiry(visit, &inquiry);
    let provider = inquiry.provider.ok_or(Refusal::NotCompat)?;
    let credential = route::credential(deps, place, &caller, &head.headers, (provider, target.endpoint))?;
    let facts = match credential {
        Credential::Request(..) | Credential::Stored(_) => None,
        Credential::Credits => match inspect::permit(provider, &target, &head, &inquiry)? {
            Permit::Call(facts) => Some(facts),
            list => return Ok(Reply::Own(head.method, models::on_credits(visit, place, provider, list)?)),
        },
    };
    let whom = (provider, target.endpoint, &credential);
    let rating = Rating::new(
        &deps.snapshot.load(),
        visit.arrival(),
        place,
        &caller,
        whom,
        &mut inquiry,
        &head.headers,
    )?;
    let rating = Arc::new(rating);
    let asked = admit::Asked {
        place,
        caller: &caller,
        credential: &credential,
        facts,
        inquiry: &mut inquiry,
        rating: &rating,
    };
    let admission = admit::admission(visit, asked).await?;
    let way = Way { place, caller: &caller, target, provider, credential };
    let dispatched = dispatch::dispatched(visit, way, admission, head, &mut inquiry).await?;
    Ok(Reply::Provider(Box::new(Pending { dispatched, rating, hides_usage: inquiry.hides_usage })))
}

fn note_target(visit: &mut Visit, target: &Target, head: &Parts) -> Result<(), Refusal> {
    let record = visit.record();
    target.endpoint.as_str().clone_into(&mut record.endpoint);
    record.path = bounded(&target.path, 1024);
    target.address.dialect().clone_into(&mut record.dialect);
    if let Address::Native { provider, .. } = &target.address {
        provider.slug.clone_into(&mut record.provider);
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
    if let Some(provider) = inquiry.provider {
        provider.slug.clone_into(&mut record.provider);
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

/// `OPTIONS` is about us, not about a provider.
fn allowed() -> Response<Answer> {
    let mut response = Response::new(Answer::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(ALLOW, methods);
    response
}
