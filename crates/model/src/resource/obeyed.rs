//! Which settings protect something, and which of them this release's proxy obeys.

use super::{Body, Resource};
use crate::gateway::{DEFAULT_MAX_OUTPUT_TOKENS, ErrorShape, KeyPrecedence, StoredKeys};
use crate::time_zone::TimeZone;

/// The settings that this release's proxy obeys. A resource that needs another name here is
/// refused by the proxy rather than served with a protection missing.
pub const OBEYED: &[&str] = &[
    "authentication",
    "byok_only",
    "error_shape",
    "stored_keys",
    "key_precedence",
    "expiry",
    "rate_limit",
    "spend_limits",
    "token_budget",
    "max_output_tokens",
    "time_zone",
    "zdr",
    "gateway_token_budget",
    "account_spending_limit",
    "operator_keys",
    "terms",
    "price_rules",
    "endpoints",
    "vault_secrets",
    "bound_keys",
    "traffic_policy",
];

impl Resource {
    /// The settings without which a proxy would serve this resource with less protection than was
    /// asked for. Only settings that differ from "as before" count.
    pub(super) fn requires(&self) -> Vec<&'static str> {
        match &self.body {
            Body::Account { terms, .. } => {
                terms.spending_limit.map(|_| "account_spending_limit").into_iter().collect()
            }
            Body::ProviderKey(_) => Vec::new(),
            Body::OperatorKey(_) => vec!["operator_keys"],
            Body::Terms(_) => vec!["terms"],
            Body::PriceRule(_) => vec!["price_rules"],
            Body::Endpoint(_) => vec!["endpoints"],
            Body::VaultSecret(_) => vec!["vault_secrets"],
            Body::BoundKey(_) => vec!["bound_keys"],
            Body::Gateway(gateway) => [
                ("authentication", gateway.authentication),
                ("byok_only", gateway.byok_only),
                ("error_shape", gateway.error_shape != ErrorShape::ByCaller),
                ("stored_keys", gateway.stored_keys != StoredKeys::Authenticated),
                ("key_precedence", gateway.key_precedence != KeyPrecedence::Request),
                ("rate_limit", gateway.rate_limit.is_some()),
                ("spend_limits", !gateway.spend_rules.is_empty()),
                ("token_budget", gateway.token_budget.is_some()),
                ("max_output_tokens", gateway.max_output_tokens != DEFAULT_MAX_OUTPUT_TOKENS),
                ("time_zone", gateway.time_zone != TimeZone::UTC),
                ("zdr", gateway.zdr),
                ("traffic_policy", gateway.traffic_policy.is_some()),
            ]
            .into_iter()
            .filter_map(|(name, used)| used.then_some(name))
            .collect(),
            Body::GatewayToken(token) => {
                let expiry = token.expires_at_ms.map(|_| "expiry");
                expiry.into_iter().chain(token.budget.map(|_| "gateway_token_budget")).collect()
            }
            Body::ApiToken(token) => {
                token.expires_at_ms.or(token.not_before_ms).map(|_| "expiry").into_iter().collect()
            }
        }
    }
}
