//! `redirect`: sends the caller to another address.

use http::{HeaderValue, StatusCode, header};

use super::Next;
use super::deny::status;
use super::headers::Headers;
use super::rewriting::Rewriting;
use crate::document::place::Place;
use crate::problem::Code;
use crate::run::{Answer, Exchange, Failure, Written};

/// Where to, and how it is said.
pub struct Redirect {
    rewriting: Rewriting,
    status: StatusCode,
    headers: Headers,
}

impl Redirect {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["from", "to", "status_code", "headers"])?;
        let rewriting = Rewriting::read(&fields);
        let status = fields.or("status_code", StatusCode::FOUND, |place| status(place, 300..=399));
        let headers = fields.or("headers", Headers::none(), |place| {
            let headers = Headers::read(place, 0..=10)?;
            if headers.names().any(|name| name == header::LOCATION) {
                return place.wrong(Code::HeaderName, "`location` is said by `to`.");
            }
            Some(headers)
        });
        Some(Self { rewriting: rewriting?, status: status?, headers: headers? })
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        let Some(rewritten) = self.rewriting.apply(exchange)? else { return Ok(Next::Go) };
        let location = HeaderValue::from_str(&rewritten.url)
            .map_err(|_| Failure::evaluation("the address that was computed is not one"))?;
        let mut headers = exchange.look(|facts| self.headers.render(facts))?;
        headers.insert(header::LOCATION, location);
        Ok(Next::End(Answer::Written(Written { headers, ..Written::empty(self.status) })))
    }
}
