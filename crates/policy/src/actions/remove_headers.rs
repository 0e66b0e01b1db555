//! `remove-headers`: takes headers away.

use http::{HeaderMap, HeaderName, header};

use super::Next;
use super::headers::{name, told};
use crate::document::place::Place;
use crate::problem::Code;
use crate::run::{Exchange, Failure};

/// Headers to be taken away.
pub struct RemoveHeaders {
    names: Vec<HeaderName>,
}

impl RemoveHeaders {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["headers"])?;
        let names = fields.need("headers", |place| {
            place.list(1..=10, |place| {
                let name = name(place, place.text()?)?;
                if name == header::USER_AGENT {
                    return place.wrong(Code::HeaderName, "`user-agent` cannot be removed.");
                }
                Some(name)
            })
        })?;
        Some(Self { names })
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        let headers = exchange.headers_mut();
        let mut removed = HeaderMap::new();
        for name in &self.names {
            for value in headers.get_all(name) {
                removed.append(name, value.clone());
            }
            headers.remove(name);
        }
        exchange.found("remove_headers", [("headers_removed", told(&removed))]);
        Ok(Next::Go)
    }
}
