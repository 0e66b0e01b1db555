//! The tests' own entrance.
//!
//! `GET /_simulator/requests` lists what arrived and what was billed for it (`?from=N`: since that sequence number);
//! `DELETE` forgets it, and opens and forgets all gates. `GET /_simulator/gate` tells how a gate stands
//! (`?waiting=N`: once so many wait at it), `PUT` opens it, `DELETE` closes it (`?name=…`: one of several).

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::answer::encoded;
use crate::delivery::Body;
use crate::serve::Simulator;

/// Every path below this is ours, not the simulated provider's.
pub(crate) const PREFIX: &str = "/_simulator/";

/// Answers a request for a path below [`PREFIX`].
pub(crate) async fn answer(simulator: &Simulator, request: &Request<Incoming>) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
    };
    let number = |name| parameter(name).and_then(|value| value.parse::<u64>().ok()).unwrap_or_default();
    let gate = || simulator.gates.named(parameter("name").unwrap_or_default());
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/_simulator/requests") => {
            json(StatusCode::OK, encoded(&simulator.arrivals.since(number("from"))))
        }
        (&Method::DELETE, "/_simulator/requests") => {
            simulator.arrivals.clear();
            simulator.failures.clear();
            simulator.gates.clear();
            json(StatusCode::OK, b"{}".to_vec())
        }
        (&Method::GET, "/_simulator/gate") => {
            json(StatusCode::OK, encoded(&gate().with(number("waiting") as usize).await))
        }
        (&Method::PUT, "/_simulator/gate") => {
            gate().open();
            json(StatusCode::OK, b"{}".to_vec())
        }
        (&Method::DELETE, "/_simulator/gate") => {
            gate().close();
            json(StatusCode::OK, b"{}".to_vec())
        }
        _ => json(
            StatusCode::NOT_FOUND,
            br#"{"error":"there are only /_simulator/requests and /_simulator/gate"}"#.to_vec(),
        ),
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
