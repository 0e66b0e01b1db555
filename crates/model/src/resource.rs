//! What a proxy is told: one resource at a time, each whole, each refused alone.

mod gateway;
mod wire;

use crate::gateway::{
    Budget, DEFAULT_MAX_OUTPUT_TOKENS, ErrorShape, GatewaySettings, RateLimit, SpendRule, StoredKeys,
    TokenBudget, Unpriced,
};
use crate::id::{
    AccountId, ApiTokenId, GatewayId, GatewayInternalId, GatewayTokenId, OperatorKeyId, PriceRuleId,
    ProviderKeyId,
};
use crate::operator_key::Cancel;
pub use crate::prices::PriceRule;
use crate::terms::{AccountTerms, Terms};
use crate::time_zone::TimeZone;
use crate::token::TokenDigest;

/// The settings that this release's proxy obeys. A resource that needs another name here is
/// refused by the proxy rather than served with a protection missing.
pub const OBEYED: &[&str] = &[
    "authentication",
    "byok_only",
    "error_shape",
    "stored_keys",
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
];

/// Which resource is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceKey {
    /// Whose it is.
    pub account: AccountId,
    /// What it is.
    pub kind: ResourceId,
}

/// The kinds of resource, each with its own id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceId {
    /// The account itself.
    Account,
    /// A gateway.
    Gateway(GatewayInternalId),
    /// A token for one gateway.
    GatewayToken(GatewayTokenId),
    /// A management token that may run requests.
    ApiToken(ApiTokenId),
    /// A stored provider key.
    ProviderKey(ProviderKeyId),
    /// A provider key of the operator's, under [`AccountId::INSTALLATION`].
    OperatorKey(OperatorKeyId),
    /// The operator's terms, under [`AccountId::INSTALLATION`].
    Terms,
    /// What an account, or under [`AccountId::INSTALLATION`] the operator, says about prices.
    PriceRule(PriceRuleId),
}

/// A resource with its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Whose it is.
    pub account: AccountId,
    /// What it says.
    pub body: Body,
}

/// What a resource says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// The account's sealed data keys and its terms.
    Account {
        /// Sealed under the `credentials` ring.
        credentials_key: Vec<u8>,
        /// Sealed under the `contents` ring.
        contents_key: Vec<u8>,
        /// On what terms it buys and spends credits.
        terms: AccountTerms,
    },
    /// A gateway with the settings that proxies obey.
    Gateway(Gateway),
    /// A gateway's own token.
    GatewayToken(GatewayToken),
    /// A management token with the permission to run requests.
    ApiToken(ApiToken),
    /// A stored key, sealed.
    ProviderKey(ProviderKey),
    /// A key of the operator's, sealed.
    OperatorKey(OperatorKey),
    /// The operator's terms.
    Terms(Terms),
    /// What somebody says about prices.
    PriceRule(Box<PriceRule>),
}

/// The part of a gateway that proxies obey.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// The gateway for good.
    pub internal_id: GatewayInternalId,
    /// What callers call it.
    pub id: GatewayId,
    /// Whether callers must present a token.
    pub authentication: bool,
    /// Whether credits may never be spent here.
    pub byok_only: bool,
    /// Whether requests are shown in the log.
    pub collect_logs: bool,
    /// In whose shape our own errors are told.
    pub error_shape: ErrorShape,
    /// Who may use stored keys.
    pub stored_keys: StoredKeys,
    /// The rate limit.
    pub rate_limit: Option<RateLimit>,
    /// The rules on spending that count.
    pub spend_rules: Vec<SpendRule>,
    /// What becomes of requests that a rule concerns and whose model has no price.
    pub unpriced: Unpriced,
    /// A bound on tokens.
    pub token_budget: Option<TokenBudget>,
    /// The output that a request on credits is held to if it names no bound itself.
    pub max_output_tokens: u32,
    /// Where days, weeks and months begin.
    pub time_zone: TimeZone,
    /// Whether requests on credits ask the provider to retain nothing.
    pub zdr: bool,
}

impl Gateway {
    /// What a proxy is told of a gateway's settings.
    pub fn of(internal_id: GatewayInternalId, id: GatewayId, settings: &GatewaySettings) -> Self {
        Self {
            internal_id,
            id,
            authentication: settings.authentication,
            byok_only: settings.byok_only,
            collect_logs: settings.collect_logs,
            error_shape: settings.error_shape,
            stored_keys: settings.stored_keys,
            rate_limit: settings.rate_limit(),
            spend_rules: settings.spend_rules().cloned().collect(),
            unpriced: settings.spend_limits.as_ref().map(|limits| limits.unpriced).unwrap_or_default(),
            token_budget: settings.token_budget,
            max_output_tokens: settings.max_output_tokens.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS),
            time_zone: settings.time_zone,
            zdr: settings.zdr,
        }
    }
}

/// A gateway's own token.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayToken {
    /// The token's id, which is inside the token.
    pub id: GatewayTokenId,
    /// The gateway it works for.
    pub gateway: GatewayInternalId,
    /// What it must hash to.
    pub digest: TokenDigest,
    /// Milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
    /// The most that it may spend.
    pub budget: Option<Budget>,
}

/// A management token with the permission to run requests.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiToken {
    /// The token's id, which is inside the token.
    pub id: ApiTokenId,
    /// What it must hash to.
    pub digest: TokenDigest,
    /// Milliseconds since 1970.
    pub not_before_ms: Option<i64>,
    /// Milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
}

/// A stored key, sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderKey {
    /// The key's id, part of what its sealing is bound to.
    pub id: ProviderKeyId,
    /// The gateway it belongs to.
    pub gateway: GatewayInternalId,
    /// The provider's slug.
    pub provider: String,
    /// What requests call it.
    pub alias: String,
    /// Whether it is used when a request names no alias.
    pub is_default: bool,
    /// Sealed under the account's credentials key.
    pub sealed: Vec<u8>,
}

/// A key of the operator's, sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorKey {
    /// The key's id, part of what its sealing is bound to.
    pub id: OperatorKeyId,
    /// The provider's slug.
    pub provider: String,
    /// What the operator calls it.
    pub alias: String,
    /// Which of a provider's keys is used: the lowest first.
    pub priority: u32,
    /// What the provider does with a request whose caller has left, where the catalogue is wrong for
    /// this key.
    pub cancel: Option<Cancel>,
    /// Sealed under the installation's credentials key.
    pub sealed: Vec<u8>,
}

/// Why a resource from the wire is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResource {
    /// A field is missing or not what it should be.
    #[error("the resource has no valid `{0}`")]
    Field(&'static str),
    /// It depends on a setting that this release does not know.
    #[error("the resource needs the setting `{0}`, which this release does not obey")]
    Requires(String),
}

impl Resource {
    /// Which resource this is.
    pub fn key(&self) -> ResourceKey {
        let kind = match &self.body {
            Body::Account { .. } => ResourceId::Account,
            Body::Gateway(gateway) => ResourceId::Gateway(gateway.internal_id),
            Body::GatewayToken(token) => ResourceId::GatewayToken(token.id),
            Body::ApiToken(token) => ResourceId::ApiToken(token.id),
            Body::ProviderKey(key) => ResourceId::ProviderKey(key.id),
            Body::OperatorKey(key) => ResourceId::OperatorKey(key.id),
            Body::Terms(_) => ResourceId::Terms,
            Body::PriceRule(rule) => ResourceId::PriceRule(rule.id),
        };
        ResourceKey { account: self.account, kind }
    }

    /// The settings without which a proxy would serve this resource with less protection than was
    /// asked for. Only settings that differ from "as before" count.
    fn requires(&self) -> Vec<&'static str> {
        match &self.body {
            Body::Account { terms, .. } => {
                terms.spending_limit.map(|_| "account_spending_limit").into_iter().collect()
            }
            Body::ProviderKey(_) => Vec::new(),
            Body::OperatorKey(_) => vec!["operator_keys"],
            Body::Terms(_) => vec!["terms"],
            Body::PriceRule(_) => vec!["price_rules"],
            Body::Gateway(gateway) => [
                ("authentication", gateway.authentication),
                ("byok_only", gateway.byok_only),
                ("error_shape", gateway.error_shape != ErrorShape::ByCaller),
                ("stored_keys", gateway.stored_keys != StoredKeys::Authenticated),
                ("rate_limit", gateway.rate_limit.is_some()),
                ("spend_limits", !gateway.spend_rules.is_empty()),
                ("token_budget", gateway.token_budget.is_some()),
                ("max_output_tokens", gateway.max_output_tokens != DEFAULT_MAX_OUTPUT_TOKENS),
                ("time_zone", gateway.time_zone != TimeZone::UTC),
                ("zdr", gateway.zdr),
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::gateway::Technique;
    use crate::limits::Period;
    use crate::money::Nanos;
    use crate::terms::{LimitDuration, SpendingLimit};

    fn gateway() -> Resource {
        let internal_id = GatewayInternalId(Uuid::from_u128(2));
        let settings = GatewaySettings { authentication: true, ..GatewaySettings::default() };
        let gateway = Gateway::of(internal_id, "demo".parse().unwrap(), &settings);
        Resource { account: AccountId(Uuid::from_u128(1)), body: Body::Gateway(gateway) }
    }

    fn everything_set() -> Resource {
        let settings: GatewaySettings = serde_json::from_str(
            r#"{
                "rate_limiting_limit": 10, "rate_limiting_interval": 60, "zdr": true,
                "token_budget": {"limit": 1000, "period": "month", "hard_stop": true},
                "max_output_tokens": 512, "time_zone": "-03:30",
                "spend_limits": {"enabled": true, "unpriced": "refuse", "rules": [{
                    "id": "a", "limitType": "cost", "limit": 0.123456789, "window": 60, "technique": "fixed",
                    "metadata": {"team": {"mode": "partition"}},
                    "model": {"mode": "filter", "values": ["x", "y"]},
                    "provider": {"mode": "partition"}
                }]}
            }"#,
        )
        .unwrap();
        let gateway = Gateway::of(GatewayInternalId(Uuid::from_u128(2)), "demo".parse().unwrap(), &settings);
        Resource { account: AccountId(Uuid::from_u128(1)), body: Body::Gateway(gateway) }
    }

    fn token() -> Resource {
        let budget = Budget { limit: Nanos(2_000_000_001), period: Period::Week, hard_stop: true };
        let token = GatewayToken {
            id: GatewayTokenId(Uuid::from_u128(5)),
            gateway: GatewayInternalId(Uuid::from_u128(2)),
            digest: TokenDigest([1; 32]),
            expires_at_ms: Some(6),
            budget: Some(budget),
        };
        Resource { account: AccountId(Uuid::from_u128(1)), body: Body::GatewayToken(token) }
    }

    fn price_rule() -> PriceRule {
        let body = serde_json::json!({"provider": "openai", "model": "x", "cost_in": "0.0000015"});
        let id = PriceRuleId(Uuid::from_u128(4));
        PriceRule::of_operator(&body, id, time::OffsetDateTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_price_rule_that_is_another_or_means_nothing_is_refused_alone() {
        let wire = |change: fn(&mut String)| {
            let body = Body::PriceRule(Box::new(price_rule()));
            let mut wire = Resource { account: AccountId::INSTALLATION, body }.to_wire();
            let Some(proto::resource::Body::PriceRule(rule)) = &mut wire.body else { panic!("a price rule") };
            change(&mut rule.rule_json);
            Resource::from_wire(wire)
        };
        assert!(wire(|_| ()).is_ok());
        let refused = Err(InvalidResource::Field("rule"));
        assert_eq!(wire(|json| *json = json.replace("openai\"", "openai\",\"price\":7")), refused);
        assert_eq!(wire(|json| *json = json.replace("prr_0", "prr_1")), refused);
    }

    fn of_installation() -> [Resource; 4] {
        let limit = SpendingLimit {
            amount: Nanos(1_500_000_001),
            duration: LimitDuration::Weekly,
            strategy: Technique::Sliding,
        };
        let bodies = [
            Body::Account {
                credentials_key: vec![1],
                contents_key: vec![2],
                terms: AccountTerms { markup_ppm: Some(-1), spending_limit: Some(limit) },
            },
            Body::Terms(Terms { default_markup_ppm: 50_000, calls_a_minute: Some(200) }),
            Body::OperatorKey(OperatorKey {
                id: OperatorKeyId(Uuid::from_u128(3)),
                provider: "openai".to_owned(),
                alias: "main".to_owned(),
                priority: 1,
                cancel: Some(Cancel::Stop),
                sealed: vec![3],
            }),
            Body::PriceRule(Box::new(price_rule())),
        ];
        bodies.map(|body| Resource { account: AccountId::INSTALLATION, body })
    }

    #[test]
    fn whatever_is_set_arrives() {
        for resource in of_installation().into_iter().chain([everything_set(), token()]) {
            assert_eq!(Resource::from_wire(resource.to_wire()), Ok(resource));
        }
    }

    #[test]
    fn a_proxy_that_obeys_less_is_told_by_name_what_it_would_leave_out() {
        let expected =
            ["rate_limit", "spend_limits", "token_budget", "max_output_tokens", "time_zone", "zdr"];
        assert_eq!(everything_set().to_wire().requires, expected);
        assert_eq!(token().to_wire().requires, ["expiry", "gateway_token_budget"]);
        let required: Vec<_> =
            of_installation().iter().flat_map(|resource| resource.to_wire().requires).collect();
        assert_eq!(required, ["account_spending_limit", "terms", "operator_keys", "price_rules"]);
        assert!(
            required
                .iter()
                .chain(&everything_set().to_wire().requires)
                .all(|name| OBEYED.contains(&name.as_str()))
        );
    }

    #[test]
    fn a_resource_reads_back_what_it_writes() {
        assert_eq!(Resource::from_wire(gateway().to_wire()), Ok(gateway()));
    }

    #[test]
    fn a_resource_that_needs_an_unknown_setting_is_refused() {
        let mut wire = gateway().to_wire();
        wire.requires.push("guardrails".to_owned());
        assert_eq!(Resource::from_wire(wire), Err(InvalidResource::Requires("guardrails".to_owned())));
    }
}
