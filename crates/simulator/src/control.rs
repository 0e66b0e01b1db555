//! The tests' own entrance: `GET /_simulator/requests` lists what arrived, `DELETE` forgets it.

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::answer::encoded;
use crate::delivery::Body;
use crate::serve::Simulator;

/// Every path below this is ours, not the simulated provider's.
pub(crate) const PREFIX: &str = "/_simulator/";

/// Answers a request for a path below [`PREFIX`].
pub(crate) fn answer(simulator: &Simulator, request: &Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/_simulator/requests") => {
            let from = request.uri().query().and_then(|query| query.strip_prefix("from=")?.parse().ok());
            json(StatusCode::OK, encoded(&simulator.arrivals.since(from.unwrap_or(0))))
        }
        (&Method::DELETE, "/_simulator/requests") => {
            simulator.arrivals.clear();
            simulator.failures.clear();
            json(StatusCode::OK, b"{}".to_vec())
        }
        _ => json(StatusCode::NOT_FOUND, br#"{"error":"there is only /_simulator/requests"}"#.to_vec()),
    }
}

fn json(status: StatusCode, document: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::whole(document));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
