//! A second face of the management API: the paths, shapes and manners of ngrok's control API, for scripts
//! and clients written for it. It stands on the same store as `api`, and only what is written here differs.
//!
//! A caller presents an API token, and the token decides the account. Endpoints, vaults, secrets and
//! keys are the same things as in `api`; [`endpoints`] says what an endpoint is here.

mod access;
mod ai_gateway_api_keys;
mod ai_gateway_provider_keys;
mod api_keys;
mod body;
mod conventions;
mod endpoints;
mod filter;
mod ip_policies;
mod ip_policy_rules;
mod list;
mod not_offered;
mod rate_limit;
mod reference;
mod refusal;
mod vault_secrets;
mod vaults;

use std::sync::Arc;

use axum::{Extension, Router};

use crate::api::ApiState;
pub(crate) use conventions::no_such_path;
use rate_limit::RateLimit;

/// Every path of this face.
pub(crate) fn routes(state: ApiState) -> Router {
    Router::new()
        .merge(endpoints::routes())
        .merge(vaults::routes())
        .merge(vault_secrets::routes())
        .merge(ai_gateway_api_keys::routes())
        .merge(ai_gateway_provider_keys::routes())
        .merge(api_keys::routes())
        .merge(ip_policies::routes())
        .merge(ip_policy_rules::routes())
        .merge(not_offered::routes())
        .method_not_allowed_fallback(conventions::no_such_path)
        .layer(axum::middleware::from_fn(conventions::keep))
        .layer(Extension(Arc::new(RateLimit::default())))
        .with_state(state)
}

/// What stands in front of every path here, for addresses that must be whole.
fn base(state: &ApiState) -> &str {
    &state.settings.public_api_url
}
