//! What may be asked on credits. All tenants share the operator's account at the provider, so only what
//! is known to be priced, bounded and forgotten is asked of it.

use http::request::Parts;
use providers::catalog::Provider;
use providers::credits::{self, Permit};
use providers::path;

use super::Inquiry;
use crate::refusal::{Refusal, Unpaid};
use crate::stages::resolve::{Address, Target};

/// What a request may do on credits, or why it may not.
pub fn permit(
    provider: &'static Provider,
    target: &Target,
    head: &Parts,
    inquiry: &Inquiry,
) -> Result<Permit, Refusal> {
    // Whoever is not named by the path is asked for what the rest of it names, and for a model that is
    // not the one that stands in the body.
    let is_named = matches!(target.address, Address::Native { .. });
    let request = credits::Request {
        endpoint: target.endpoint,
        method: &head.method,
        operation: if is_named { path::operation(provider, &target.path) } else { &target.path },
        query: head.uri.query(),
        headers: &head.headers,
        body: inquiry.is_read.then_some(&*inquiry.text),
        model: (!is_named).then_some(&inquiry.model),
    };
    credits::allowed(provider, &request).map_err(|forbidden| Unpaid::Forbidden(forbidden).into())
}
