//! HTTP requests that policies make.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use egress::{Bounds, Egress, EgressError};
use http::header::{self, HeaderMap, HeaderName};
use http::{Request, Response, Uri};
use policy::run::{Call, CallFailed, Called};
use tracing::debug;

use super::Whose;
use super::hops::HOPS;
use super::rooms::Rooms;
use crate::headers::is_ours;
use crate::stages::authenticate::{address_bears_token, bears_token, header_bears_token};

/// Makes a call. What is refused is refused before a byte is sent.
pub(super) async fn called(
    egress: &Egress,
    rooms: &Arc<Rooms>,
    whose: Whose,
    call: Call,
) -> Result<Called, CallFailed> {
    let begun = Instant::now();
    let answered = answered(egress, rooms, whose, call).await;
    let took = begun.elapsed();
    match answered {
        Ok((response, address)) => {
            let (head, body) = response.into_parts();
            let (status, headers) = (head.status, head.headers);
            Ok(Called { status, headers, body, resolved_ip: Some(address.to_canonical()), took })
        }
        Err(reason) => {
            debug!(gateway.id = %whose.gateway, "A request of a traffic policy was not answered: {reason}");
            Err(CallFailed { reason, took })
        }
    }
}

async fn answered(
    egress: &Egress,
    rooms: &Arc<Rooms>,
    whose: Whose,
    call: Call,
) -> Result<(Response<bytes::Bytes>, IpAddr), &'static str> {
    let hops = whose.hops.told().ok_or("gateways call each other in a circle")?;
    let uri: Uri = call.url.parse().map_err(|_| "the address is not one that can be called")?;
    if address_bears_token(&call.url) || bears_token(&call.body) {
        return Err("a gateway token would have been sent on");
    }
    let _room = rooms.enter(whose.owner()).ok_or("too many requests of this gateway are under way")?;
    let Call { method, url: _, headers, body, timeout, max_redirects, max_bytes } = call;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = sendable(headers);
    request.headers_mut().insert(&HOPS, hops);
    let bounds = Bounds { time: timeout, bytes: max_bytes };
    let answer = egress.follow(request, bounds, max_redirects).await.map_err(|error| reason(&error))?;
    Ok((answer.response, answer.address))
}

/// What of a policy's headers is sent: nothing that is about the connection or meant for us, and no credential of
/// ours, wherever a policy has found it.
fn sendable(mut headers: HeaderMap) -> HeaderMap {
    let stays = |name: &HeaderName| {
        headers.get_all(name).iter().any(|value| header_bears_token(name, value))
            || is_ours(name)
            || is_of_connection(name)
    };
    let gone: Vec<HeaderName> = headers.keys().filter(|name| stays(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    headers
}

fn is_of_connection(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]
    .contains(name)
        || name.as_str() == "keep-alive"
        || name.as_str().starts_with("proxy-")
}

/// Why there is no answer, in words for the gateway's owner. They tell nothing of what is not his to know.
fn reason(error: &EgressError) -> &'static str {
    match error {
        EgressError::Address(_) => "the address is not one that can be called",
        EgressError::Refused => "the host has no address that may be reached from here",
        EgressError::Unreachable(_) => "no connection to the host",
        EgressError::BrokeOff(_) => "the connection broke before the answer was complete",
        EgressError::TooSlow(_) => "no complete answer in time",
        EgressError::TooLarge(_) => "the answer is too long",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_ours_and_nothing_about_the_connection_is_sent() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer tg_gw_0123456789abcdef"),
            ("x-token", "ng-abc-g1-0123456789"),
            ("cf-aig-authorization", "Bearer x"),
            ("tollgate-policy-calls", "0"),
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "x"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("content-length", "7"),
            ("host", "elsewhere.example"),
            ("x-api-key", "sk-the-tenants-own"),
            ("user-agent", "tollgate"),
            ("x-forwarded-for", "192.0.2.1"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        // One value among several is enough.
        headers.append("x-mixed", "plain".parse().unwrap());
        headers.append("x-mixed", "tg_gw_0123456789abcdef".parse().unwrap());
        let sent = sendable(headers);
        let mut names: Vec<&str> = sent.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["user-agent", "x-api-key", "x-forwarded-for"]);
    }
}
