//! What a proxy is told: one resource at a time, each whole, each refused alone.

mod bound_key;
mod endpoint;
mod gateway;
mod obeyed;
mod vault_secret;
mod wire;

use std::sync::Arc;

pub use bound_key::BoundKey;
pub use endpoint::Endpoint;
pub use obeyed::OBEYED;
pub use vault_secret::VaultSecret;

use crate::gateway::{
    Budget, DEFAULT_MAX_OUTPUT_TOKENS, ErrorShape, GatewaySettings, KeyPrecedence, RateLimit, SpendRule,
    StoredKeys, TokenBudget, Unpriced,
};
use crate::id::{
    AccountId, ApiTokenId, BoundKeyId, EndpointId, GatewayId, GatewayInternalId, GatewayTokenId,
    OperatorKeyId, PriceRuleId, ProviderKeyId, VaultSecretId,
};
use crate::operator_key::Cancel;
pub use crate::prices::PriceRule;
use crate::terms::{AccountTerms, Terms};
use crate::time_zone::TimeZone;
use crate::token::TokenDigest;

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
    /// A host that is bound to a gateway, under [`AccountId::INSTALLATION`].
    Endpoint(EndpointId),
    /// A secret in a vault.
    VaultSecret(VaultSecretId),
    /// A provider key for one gateway token.
    BoundKey(BoundKeyId),
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
    /// A host that is bound to a gateway.
    Endpoint(Endpoint),
    /// A secret in a vault, sealed.
    VaultSecret(VaultSecret),
    /// A provider key for one gateway token, sealed.
    BoundKey(BoundKey),
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
    /// Which key goes first.
    pub key_precedence: KeyPrecedence,
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
    /// The text of its traffic policy.
    pub traffic_policy: Option<Arc<str>>,
}

impl Gateway {
    /// What a proxy is told of a gateway's settings; its traffic policy is not one of them.
    pub fn of(internal_id: GatewayInternalId, id: GatewayId, settings: &GatewaySettings) -> Self {
        Self {
            internal_id,
            id,
            authentication: settings.authentication,
            byok_only: settings.byok_only,
            collect_logs: settings.collect_logs,
            error_shape: settings.error_shape,
            stored_keys: settings.stored_keys,
            key_precedence: settings.key_precedence,
            rate_limit: settings.rate_limit(),
            spend_rules: settings.spend_rules().cloned().collect(),
            unpriced: settings.spend_limits.as_ref().map(|limits| limits.unpriced).unwrap_or_default(),
            token_budget: settings.token_budget,
            max_output_tokens: settings.max_output_tokens.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS),
            time_zone: settings.time_zone,
            zdr: settings.zdr,
            traffic_policy: None,
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
            Body::Endpoint(endpoint) => ResourceId::Endpoint(endpoint.id),
            Body::VaultSecret(secret) => ResourceId::VaultSecret(secret.id),
            Body::BoundKey(key) => ResourceId::BoundKey(key.id),
        };
        ResourceKey { account: self.account, kind }
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
        let gateway = Gateway { traffic_policy: Some("on_http_request: []".into()), ..gateway };
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

    fn of_hosts() -> [Resource; 3] {
        let account = AccountId(Uuid::from_u128(1));
        let endpoint = Body::Endpoint(Endpoint {
            id: EndpointId(Uuid::from_u128(6)),
            account,
            gateway: GatewayInternalId(Uuid::from_u128(2)),
            host: "*.example.com".parse().unwrap(),
            url: "https://*.example.com".to_owned(),
        });
        let secret = Body::VaultSecret(VaultSecret {
            id: VaultSecretId(Uuid::from_u128(7)),
            vault: "openai".to_owned(),
            name: "api-key".to_owned(),
            sealed: vec![4],
        });
        let key = Body::BoundKey(BoundKey {
            id: BoundKeyId(Uuid::from_u128(8)),
            gateway_token: GatewayTokenId(Uuid::from_u128(5)),
            provider: "openai".to_owned(),
            sealed: vec![5],
        });
        [(AccountId::INSTALLATION, endpoint), (account, secret), (account, key)]
            .map(|(account, body)| Resource { account, body })
    }

    #[test]
    fn whatever_is_set_arrives() {
        let resources = of_installation().into_iter().chain(of_hosts()).chain([everything_set(), token()]);
        for resource in resources {
            assert_eq!(Resource::from_wire(resource.to_wire()), Ok(resource));
        }
    }

    #[test]
    fn a_proxy_that_obeys_less_is_told_by_name_what_it_would_leave_out() {
        let expected =
            "rate_limit spend_limits token_budget max_output_tokens time_zone zdr traffic_policy".split(' ');
        assert_eq!(everything_set().to_wire().requires, expected.collect::<Vec<_>>());
        assert_eq!(token().to_wire().requires, ["expiry", "gateway_token_budget"]);
        let resources = of_installation().into_iter().chain(of_hosts());
        let required: Vec<_> = resources.flat_map(|resource| resource.to_wire().requires).collect();
        let expected =
            "account_spending_limit terms operator_keys price_rules endpoints vault_secrets bound_keys";
        assert_eq!(required, expected.split(' ').collect::<Vec<_>>());
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
