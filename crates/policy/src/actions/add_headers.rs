//! `add-headers`: adds to what is there and replaces nothing, but for `host`.

use http::header;

use super::Next;
use super::headers::{Headers, told};
use crate::document::place::Place;
use crate::phase::Phase;
use crate::problem::Code;
use crate::run::{Exchange, Failure};

/// Headers to be added.
pub struct AddHeaders {
    headers: Headers,
}

impl AddHeaders {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["headers"])?;
        let headers = fields.need("headers", |place| {
            for (name, place) in place.entries(1..=10)? {
                if name.eq_ignore_ascii_case(header::USER_AGENT.as_str()) {
                    return place.wrong(Code::HeaderName, "`user-agent` cannot be added.");
                }
            }
            Headers::read(place, 1..=10)
        })?;
        Some(Self { headers })
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        let headers = exchange.look(|facts| self.headers.render(facts))?;
        let result = told(&headers);
        for (name, value) in &headers {
            if *name == header::HOST && exchange.phase == Phase::Request {
                if let Ok(host) = value.to_str() {
                    exchange.arrival.authority = host.to_owned();
                }
                exchange.headers_mut().insert(name, value.clone());
            } else {
                exchange.headers_mut().append(name, value.clone());
            }
        }
        exchange.found("add_headers", [("headers_added", result)]);
        Ok(Next::Go)
    }
}
