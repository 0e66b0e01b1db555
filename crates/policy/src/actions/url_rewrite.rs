//! `url-rewrite`: what comes later sees another address.

use http::Uri;

use super::Next;
use super::rewriting::Rewriting;
use crate::document::place::Place;
use crate::run::{Exchange, Failure};
use crate::value::Value;

/// Another address for a request.
pub struct UrlRewrite(Rewriting);

impl UrlRewrite {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["from", "to"])?;
        Rewriting::read(&fields).map(Self)
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        let Some(rewritten) = self.0.apply(exchange)? else {
            let url = exchange.url();
            exchange.found("url_rewrite", [("matches", Value::list(Vec::new())), ("url", url.into())]);
            return Ok(Next::Go);
        };
        let refused = || Failure::evaluation("the address that was computed is not one");
        let uri: Uri = rewritten.url.parse().map_err(|_| refused())?;
        if let Some(authority) = uri.authority() {
            authority.as_str().clone_into(&mut exchange.arrival.authority);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        if !path.starts_with('/') {
            return Err(refused());
        }
        exchange.arrival.uri = path.parse().map_err(|_| refused())?;
        let found = [("matches", Value::list(rewritten.matches)), ("url", rewritten.url.into())];
        exchange.found("url_rewrite", found);
        Ok(Next::Go)
    }
}
