//! The wire form of a gateway.

use super::{Gateway, InvalidResource};
use crate::gateway::{
    DEFAULT_MAX_OUTPUT_TOKENS, ErrorShape, KeyPrecedence, LimitType, RateLimit, SpendRule, Split, StoredKeys,
    Technique, TokenBudget, Unpriced,
};
use crate::id::GatewayInternalId;
use crate::limits::Period;
use crate::money::Nanos;
use crate::time_zone::TimeZone;

impl Gateway {
    pub(super) fn to_wire(&self) -> proto::Gateway {
        let Gateway {
            internal_id,
            id,
            authentication,
            byok_only,
            collect_logs,
            error_shape,
            stored_keys,
            key_precedence,
            rate_limit,
            spend_rules,
            unpriced,
            token_budget,
            max_output_tokens,
            time_zone,
            zdr,
            traffic_policy,
        } = self;
        proto::Gateway {
            internal_id: internal_id.0.as_bytes().to_vec(),
            slug: id.to_string(),
            authentication: *authentication,
            byok_only: *byok_only,
            collect_logs: *collect_logs,
            error_shape: match error_shape {
                ErrorShape::ByCaller => proto::ErrorShape::ByCaller,
                ErrorShape::Gateway => proto::ErrorShape::Gateway,
                ErrorShape::Provider => proto::ErrorShape::Provider,
                ErrorShape::Ngrok => proto::ErrorShape::Ngrok,
            }
            .into(),
            stored_keys: match stored_keys {
                StoredKeys::Authenticated => proto::StoredKeys::Authenticated,
                StoredKeys::Open => proto::StoredKeys::Open,
            }
            .into(),
            key_precedence: match key_precedence {
                KeyPrecedence::Request => proto::KeyPrecedence::Request,
                KeyPrecedence::Stored => proto::KeyPrecedence::Stored,
            }
            .into(),
            rate_limit: rate_limit.map(|RateLimit { calls, seconds, technique }| proto::RateLimit {
                calls,
                seconds,
                technique: technique_to_wire(technique).into(),
            }),
            spend_rules: spend_rules.iter().map(SpendRule::to_wire).collect(),
            refuse_unpriced: *unpriced == Unpriced::Refuse,
            token_budget: token_budget.map(|TokenBudget { limit, period, hard_stop }| proto::TokenBudget {
                limit,
                period: period_to_wire(period).into(),
                hard_stop,
            }),
            max_output_tokens: *max_output_tokens,
            time_zone: time_zone.to_string(),
            zdr: *zdr,
            traffic_policy: traffic_policy.as_deref().map(str::to_owned),
        }
    }

    pub(super) fn from_wire(
        internal_id: GatewayInternalId,
        wire: proto::Gateway,
    ) -> Result<Self, InvalidResource> {
        let field = InvalidResource::Field;
        let error_shape = match proto::ErrorShape::try_from(wire.error_shape) {
            Ok(proto::ErrorShape::ByCaller) => ErrorShape::ByCaller,
            Ok(proto::ErrorShape::Gateway) => ErrorShape::Gateway,
            Ok(proto::ErrorShape::Provider) => ErrorShape::Provider,
            Ok(proto::ErrorShape::Ngrok) => ErrorShape::Ngrok,
            Err(_) => return Err(field("error_shape")),
        };
        let stored_keys = match proto::StoredKeys::try_from(wire.stored_keys) {
            Ok(proto::StoredKeys::Authenticated) => StoredKeys::Authenticated,
            Ok(proto::StoredKeys::Open) => StoredKeys::Open,
            Err(_) => return Err(field("stored_keys")),
        };
        let key_precedence = match proto::KeyPrecedence::try_from(wire.key_precedence) {
            Ok(proto::KeyPrecedence::Request) => KeyPrecedence::Request,
            Ok(proto::KeyPrecedence::Stored) => KeyPrecedence::Stored,
            Err(_) => return Err(field("key_precedence")),
        };
        if wire.internal_id != internal_id.0.as_bytes() {
            return Err(field("internal_id"));
        }
        Ok(Self {
            internal_id,
            id: wire.slug.parse().map_err(|_| field("slug"))?,
            authentication: wire.authentication,
            byok_only: wire.byok_only,
            collect_logs: wire.collect_logs,
            error_shape,
            stored_keys,
            key_precedence,
            rate_limit: wire.rate_limit.map(rate_limit).transpose()?,
            spend_rules: wire.spend_rules.into_iter().map(SpendRule::from_wire).collect::<Result<_, _>>()?,
            unpriced: if wire.refuse_unpriced { Unpriced::Refuse } else { Unpriced::Allow },
            token_budget: wire.token_budget.map(token_budget).transpose()?,
            // An older control plane names none.
            max_output_tokens: match wire.max_output_tokens {
                0 => DEFAULT_MAX_OUTPUT_TOKENS,
                tokens => tokens,
            },
            time_zone: match wire.time_zone.as_str() {
                "" => TimeZone::UTC,
                zone => zone.parse().map_err(|_| field("time_zone"))?,
            },
            zdr: wire.zdr,
            traffic_policy: wire.traffic_policy.map(Into::into),
        })
    }
}

impl SpendRule {
    fn to_wire(&self) -> proto::SpendRule {
        let Self { id, enabled: _, limit_type, limit, window, technique, metadata, model, provider } = self;
        let LimitType::Cost = limit_type;
        let metadata = metadata.iter().map(|(key, split)| (key.clone(), split_to_wire(split)));
        proto::SpendRule {
            id: id.clone(),
            limit_nanos: limit.0,
            seconds: *window,
            technique: technique_to_wire(*technique).into(),
            metadata: metadata.collect(),
            model: model.as_ref().map(split_to_wire),
            provider: provider.as_ref().map(split_to_wire),
        }
    }

    fn from_wire(wire: proto::SpendRule) -> Result<Self, InvalidResource> {
        let proto::SpendRule { id, limit_nanos, seconds, technique, metadata, model, provider } = wire;
        if limit_nanos <= 0 || seconds == 0 {
            return Err(InvalidResource::Field("spend_rules"));
        }
        Ok(Self {
            id,
            // Rules that do not count are not told.
            enabled: true,
            limit_type: LimitType::Cost,
            limit: Nanos(limit_nanos),
            window: seconds,
            technique: technique_of(technique)?,
            metadata: metadata.into_iter().map(|(key, split)| (key, split_of(split))).collect(),
            model: model.map(split_of),
            provider: provider.map(split_of),
        })
    }
}

fn rate_limit(wire: proto::RateLimit) -> Result<RateLimit, InvalidResource> {
    let proto::RateLimit { calls, seconds, technique } = wire;
    if calls <= 0 || seconds == 0 {
        return Err(InvalidResource::Field("rate_limit"));
    }
    Ok(RateLimit { calls, seconds, technique: technique_of(technique)? })
}

fn token_budget(wire: proto::TokenBudget) -> Result<TokenBudget, InvalidResource> {
    let proto::TokenBudget { limit, period, hard_stop } = wire;
    let period = period_of(period).ok_or(InvalidResource::Field("token_budget"))?;
    Ok(TokenBudget { limit, period, hard_stop })
}

pub(super) fn period_to_wire(period: Period) -> proto::Period {
    match period {
        Period::Hour => proto::Period::Hour,
        Period::Day => proto::Period::Day,
        Period::Week => proto::Period::Week,
        Period::Month => proto::Period::Month,
    }
}

pub(super) fn period_of(wire: i32) -> Option<Period> {
    match proto::Period::try_from(wire).ok()? {
        proto::Period::Unspecified => None,
        proto::Period::Hour => Some(Period::Hour),
        proto::Period::Day => Some(Period::Day),
        proto::Period::Week => Some(Period::Week),
        proto::Period::Month => Some(Period::Month),
    }
}

pub(super) fn technique_to_wire(technique: Technique) -> proto::Technique {
    match technique {
        Technique::Fixed => proto::Technique::Fixed,
        Technique::Sliding => proto::Technique::Sliding,
    }
}

pub(super) fn technique_of(wire: i32) -> Result<Technique, InvalidResource> {
    match proto::Technique::try_from(wire) {
        Ok(proto::Technique::Fixed) => Ok(Technique::Fixed),
        Ok(proto::Technique::Sliding) => Ok(Technique::Sliding),
        Ok(proto::Technique::Unspecified) | Err(_) => Err(InvalidResource::Field("technique")),
    }
}

fn split_to_wire(split: &Split) -> proto::Split {
    match split {
        Split::Partition => proto::Split { partition: true, values: Vec::new() },
        Split::Filter { values } => proto::Split { partition: false, values: values.clone() },
    }
}

fn split_of(proto::Split { partition, values }: proto::Split) -> Split {
    if partition { Split::Partition } else { Split::Filter { values } }
}
