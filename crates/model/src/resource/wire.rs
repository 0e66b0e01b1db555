//! The wire form of resources and their keys.

use uuid::Uuid;

use super::gateway::{period_of, period_to_wire, technique_of, technique_to_wire};
use super::{
    ApiToken, Body, BoundKey, Endpoint, Gateway, GatewayToken, InvalidResource, OBEYED, OperatorKey,
    PriceRule, ProviderKey, Resource, ResourceId, ResourceKey, VaultSecret,
};
use crate::gateway::Budget;
use crate::id::{AccountId, GatewayInternalId};
use crate::money::Nanos;
use crate::operator_key::Cancel;
use crate::terms::{AccountTerms, LimitDuration, SpendingLimit, Terms};
use crate::token::TokenDigest;

impl Resource {
    /// The wire form.
    pub fn to_wire(&self) -> proto::Resource {
        use proto::resource::Body as Wire;
        let body = match &self.body {
            Body::Account { credentials_key, contents_key, terms } => Wire::Account(proto::Account {
                credentials_key: credentials_key.clone(),
                contents_key: contents_key.clone(),
                terms: Some(account_terms_to_wire(terms)),
            }),
            Body::Gateway(gateway) => Wire::Gateway(gateway.to_wire()),
            Body::GatewayToken(GatewayToken { id: _, gateway, digest, expires_at_ms, budget }) => {
                Wire::GatewayToken(proto::GatewayToken {
                    digest: digest.0.to_vec(),
                    gateway_internal_id: gateway.0.as_bytes().to_vec(),
                    expires_at_ms: expires_at_ms.unwrap_or(0),
                    budget: budget.map(|Budget { limit, period, hard_stop }| proto::Budget {
                        limit_nanos: limit.0,
                        period: period_to_wire(period).into(),
                        hard_stop,
                    }),
                })
            }
            Body::ApiToken(ApiToken { id: _, digest, not_before_ms, expires_at_ms }) => {
                Wire::ApiToken(proto::ApiToken {
                    digest: digest.0.to_vec(),
                    not_before_ms: not_before_ms.unwrap_or(0),
                    expires_at_ms: expires_at_ms.unwrap_or(0),
                })
            }
            Body::ProviderKey(ProviderKey { id: _, gateway, provider, alias, is_default, sealed }) => {
                Wire::ProviderKey(proto::ProviderKey {
                    gateway_internal_id: gateway.0.as_bytes().to_vec(),
                    provider: provider.clone(),
                    alias: alias.clone(),
                    is_default: *is_default,
                    sealed: sealed.clone(),
                })
            }
            Body::OperatorKey(OperatorKey { id: _, provider, alias, priority, cancel, sealed }) => {
                Wire::OperatorKey(proto::OperatorKey {
                    provider: provider.clone(),
                    alias: alias.clone(),
                    priority: *priority,
                    cancel: match cancel {
                        None => proto::Cancel::AsCatalogued,
                        Some(Cancel::Drain) => proto::Cancel::Drain,
                        Some(Cancel::Stop) => proto::Cancel::Stop,
                    }
                    .into(),
                    sealed: sealed.clone(),
                })
            }
            Body::Terms(Terms { default_markup_ppm, calls_a_minute }) => Wire::Terms(proto::Terms {
                default_markup_ppm: *default_markup_ppm,
                calls_a_minute: *calls_a_minute,
            }),
            // What cannot be written, proxies refuse.
            Body::PriceRule(rule) => Wire::PriceRule(proto::PriceRule {
                rule_json: serde_json::to_string(rule).unwrap_or_default(),
            }),
            Body::Endpoint(endpoint) => Wire::Endpoint(endpoint.to_wire()),
            Body::VaultSecret(secret) => Wire::VaultSecret(secret.to_wire()),
            Body::BoundKey(key) => Wire::BoundKey(key.to_wire()),
        };
        proto::Resource {
            key: Some(self.key().to_wire()),
            requires: self.requires().into_iter().map(str::to_owned).collect(),
            body: Some(body),
        }
    }

    /// Reads the wire form, refusing what this release would serve with a protection missing.
    pub fn from_wire(wire: proto::Resource) -> Result<Self, InvalidResource> {
        use proto::resource::Body as Wire;
        if let Some(unknown) = wire.requires.iter().find(|name| !OBEYED.contains(&name.as_str())) {
            return Err(InvalidResource::Requires(unknown.clone()));
        }
        let field = InvalidResource::Field;
        let key = ResourceKey::from_wire(wire.key.ok_or(field("key"))?)?;
        let body = match (key.kind, wire.body.ok_or(field("body"))?) {
            (ResourceId::Account, Wire::Account(proto::Account { credentials_key, contents_key, terms })) => {
                let terms = terms.map(account_terms).transpose()?.unwrap_or_default();
                Body::Account { credentials_key, contents_key, terms }
            }
            (ResourceId::Gateway(internal_id), Wire::Gateway(gateway)) => {
                Body::Gateway(Gateway::from_wire(internal_id, gateway)?)
            }
            (ResourceId::GatewayToken(id), Wire::GatewayToken(token)) => Body::GatewayToken(GatewayToken {
                id,
                gateway: internal_id(&token.gateway_internal_id)?,
                digest: digest(token.digest)?,
                expires_at_ms: instant(token.expires_at_ms),
                budget: token.budget.map(budget).transpose()?,
            }),
            (ResourceId::ApiToken(id), Wire::ApiToken(token)) => Body::ApiToken(ApiToken {
                id,
                digest: digest(token.digest)?,
                not_before_ms: instant(token.not_before_ms),
                expires_at_ms: instant(token.expires_at_ms),
            }),
            (ResourceId::ProviderKey(id), Wire::ProviderKey(key)) => Body::ProviderKey(ProviderKey {
                id,
                gateway: internal_id(&key.gateway_internal_id)?,
                provider: key.provider,
                alias: key.alias,
                is_default: key.is_default,
                sealed: key.sealed,
            }),
            (ResourceId::OperatorKey(id), Wire::OperatorKey(key)) => Body::OperatorKey(OperatorKey {
                id,
                cancel: match proto::Cancel::try_from(key.cancel) {
                    Ok(proto::Cancel::AsCatalogued) => None,
                    Ok(proto::Cancel::Drain) => Some(Cancel::Drain),
                    Ok(proto::Cancel::Stop) => Some(Cancel::Stop),
                    Err(_) => return Err(field("cancel")),
                },
                provider: key.provider,
                alias: key.alias,
                priority: key.priority,
                sealed: key.sealed,
            }),
            (ResourceId::Terms, Wire::Terms(proto::Terms { default_markup_ppm, calls_a_minute })) => {
                Body::Terms(Terms { default_markup_ppm, calls_a_minute })
            }
            (ResourceId::PriceRule(id), Wire::PriceRule(proto::PriceRule { rule_json })) => {
                let rule: PriceRule = serde_json::from_str(&rule_json).map_err(|_| field("rule"))?;
                if rule.id != id {
                    return Err(field("rule"));
                }
                Body::PriceRule(Box::new(rule))
            }
            (ResourceId::Endpoint(id), Wire::Endpoint(endpoint)) => {
                Body::Endpoint(Endpoint::from_wire(id, endpoint)?)
            }
            (ResourceId::VaultSecret(id), Wire::VaultSecret(secret)) => {
                Body::VaultSecret(VaultSecret::from_wire(id, secret))
            }
            (ResourceId::BoundKey(id), Wire::BoundKey(key)) => Body::BoundKey(BoundKey::from_wire(id, key)?),
            _ => return Err(field("kind")),
        };
        Ok(Self { account: key.account, body })
    }
}

impl ResourceKey {
    /// The wire form.
    pub fn to_wire(self) -> proto::ResourceKey {
        use proto::ResourceKind as Kind;
        let (kind, id) = match self.kind {
            ResourceId::Account => (Kind::Account, String::new()),
            ResourceId::Gateway(id) => (Kind::Gateway, id.to_string()),
            ResourceId::GatewayToken(id) => (Kind::GatewayToken, id.to_string()),
            ResourceId::ApiToken(id) => (Kind::ApiToken, id.to_string()),
            ResourceId::ProviderKey(id) => (Kind::ProviderKey, id.to_string()),
            ResourceId::OperatorKey(id) => (Kind::OperatorKey, id.to_string()),
            ResourceId::Terms => (Kind::Terms, String::new()),
            ResourceId::PriceRule(id) => (Kind::PriceRule, id.to_string()),
            ResourceId::Endpoint(id) => (Kind::Endpoint, id.to_string()),
            ResourceId::VaultSecret(id) => (Kind::VaultSecret, id.to_string()),
            ResourceId::BoundKey(id) => (Kind::BoundKey, id.to_string()),
        };
        proto::ResourceKey { kind: kind.into(), account_id: self.account.0.as_bytes().to_vec(), id }
    }

    /// Reads the wire form.
    pub fn from_wire(wire: proto::ResourceKey) -> Result<Self, InvalidResource> {
        use proto::ResourceKind as Kind;
        let bad_id = |_| InvalidResource::Field("id");
        let kind = match wire.kind() {
            Kind::Unspecified => return Err(InvalidResource::Field("kind")),
            Kind::Account => ResourceId::Account,
            Kind::Gateway => ResourceId::Gateway(wire.id.parse().map_err(bad_id)?),
            Kind::GatewayToken => ResourceId::GatewayToken(wire.id.parse().map_err(bad_id)?),
            Kind::ApiToken => ResourceId::ApiToken(wire.id.parse().map_err(bad_id)?),
            Kind::ProviderKey => ResourceId::ProviderKey(wire.id.parse().map_err(bad_id)?),
            Kind::OperatorKey => ResourceId::OperatorKey(wire.id.parse().map_err(bad_id)?),
            Kind::Terms => ResourceId::Terms,
            Kind::PriceRule => ResourceId::PriceRule(wire.id.parse().map_err(bad_id)?),
            Kind::Endpoint => ResourceId::Endpoint(wire.id.parse().map_err(bad_id)?),
            Kind::VaultSecret => ResourceId::VaultSecret(wire.id.parse().map_err(bad_id)?),
            Kind::BoundKey => ResourceId::BoundKey(wire.id.parse().map_err(bad_id)?),
        };
        let account = Uuid::from_slice(&wire.account_id).map_err(|_| InvalidResource::Field("account_id"))?;
        Ok(Self { account: AccountId(account), kind })
    }
}

pub(super) fn internal_id(bytes: &[u8]) -> Result<GatewayInternalId, InvalidResource> {
    Uuid::from_slice(bytes).map(GatewayInternalId).map_err(|_| InvalidResource::Field("gateway_internal_id"))
}

fn digest(bytes: Vec<u8>) -> Result<TokenDigest, InvalidResource> {
    bytes.try_into().map(TokenDigest).map_err(|_| InvalidResource::Field("digest"))
}

fn instant(milliseconds: i64) -> Option<i64> {
    (milliseconds != 0).then_some(milliseconds)
}

fn budget(wire: proto::Budget) -> Result<Budget, InvalidResource> {
    let proto::Budget { limit_nanos, period, hard_stop } = wire;
    let period = period_of(period).ok_or(InvalidResource::Field("budget"))?;
    Ok(Budget { limit: Nanos(limit_nanos), period, hard_stop })
}

fn account_terms_to_wire(terms: &AccountTerms) -> proto::AccountTerms {
    let AccountTerms { markup_ppm, spending_limit } = terms;
    let limit = spending_limit.map(|SpendingLimit { amount, duration, strategy }| proto::SpendingLimit {
        amount_nanos: amount.0,
        duration: match duration {
            LimitDuration::Daily => proto::LimitDuration::Daily,
            LimitDuration::Weekly => proto::LimitDuration::Weekly,
            LimitDuration::Monthly => proto::LimitDuration::Monthly,
        }
        .into(),
        strategy: technique_to_wire(strategy).into(),
    });
    proto::AccountTerms { markup_ppm: *markup_ppm, spending_limit: limit }
}

fn account_terms(wire: proto::AccountTerms) -> Result<AccountTerms, InvalidResource> {
    let proto::AccountTerms { markup_ppm, spending_limit } = wire;
    Ok(AccountTerms { markup_ppm, spending_limit: spending_limit.map(spending_limit_of).transpose()? })
}

fn spending_limit_of(wire: proto::SpendingLimit) -> Result<SpendingLimit, InvalidResource> {
    let duration = match wire.duration() {
        proto::LimitDuration::Unspecified => return Err(InvalidResource::Field("spending_limit")),
        proto::LimitDuration::Daily => LimitDuration::Daily,
        proto::LimitDuration::Weekly => LimitDuration::Weekly,
        proto::LimitDuration::Monthly => LimitDuration::Monthly,
    };
    let strategy = technique_of(wire.strategy)?;
    Ok(SpendingLimit { amount: Nanos(wire.amount_nanos), duration, strategy })
}
