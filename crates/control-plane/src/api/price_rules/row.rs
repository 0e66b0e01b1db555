//! A price as a row of Cloudflare's price table, with members of ours for what that has no word for.

use std::collections::BTreeMap;

use model::prices::{ModelRule, Price, PriceRule, Tier, Variant, decimal, token_pricing};
use model::{AccountId, Picos};
use providers::prices::listing;
use serde::Serialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::api::error::ApiError;

/// A price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cost)]
pub(crate) struct CostRow {
    /// Of a rule its own; of the price list provider and model.
    id: String,
    /// The provider's slug.
    provider: String,
    /// The only account for which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// A model's name or a part of it.
    model: String,
    model_rule: ModelRule,
    /// `tokens`.
    cost_type: &'static str,
    /// Dollars per token read, where there is such a price; to look at, for `token_pricing` is exact.
    cost_in: Option<f64>,
    /// The same per token produced. Null is no price, and never means free.
    cost_out: Option<f64>,
    /// A JSON object as a text: dollars per million tokens, and per piece for images.
    token_pricing: String,
    /// Prices of other units in dollars, such as `input_per_second`, as exact decimals.
    unit_pricing: BTreeMap<String, String>,
    /// Prices of service tiers and of long inputs.
    variants: Vec<CostVariant>,
    /// `chat`, `embedding` and so on, where it is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    mode: String,
    /// How many tokens the model reads and writes at most, where it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    /// How many tokens the model produces at most, where it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    /// Whether the model may think out of sight.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reasons: bool,
    /// Whether it holds at all.
    enable: bool,
    /// From when on.
    #[serde(with = "time::serde::rfc3339")]
    effective_from: OffsetDateTime,
    /// What usage records name it by.
    version: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    modified_at: OffsetDateTime,
    /// `manual` for rules, `list` for the price list.
    changed_by: &'static str,
    /// Of several rules that fit a model, the one with more of it goes first.
    weight: usize,
}

/// Prices that take the place of the regular ones.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CostVariant {
    /// `standard`, `batch`, `flex`, `priority` or `ultrafast`.
    service_tier: &'static str,
    /// For requests that read more tokens than this.
    above_input_tokens: u64,
    /// As in the row.
    token_pricing: String,
}

impl CostRow {
    pub(in crate::api) fn of_rule(rule: store::price_rules::PriceRule) -> Self {
        let store::price_rules::PriceRule { rule, created_at, modified_at } = rule;
        let weight = weight(&rule);
        let PriceRule { id, provider, model, model_rule, account, effective_from, enable, price } = rule;
        let Price { mode, context_window, max_output_tokens, reasons, tokens, variants, units } = &price;
        let dollars = |price: Picos| price.0 as f64 / 1e12;
        let unit = |(name, price): (&String, &Picos)| (name.clone(), decimal::write(*price, decimal::EACH));
        Self {
            id: id.to_string(),
            provider,
            account_id: account,
            model,
            model_rule,
            cost_type: "tokens",
            cost_in: tokens.input.map(dollars),
            cost_out: tokens.output.map(dollars),
            token_pricing: token_pricing::write(&price),
            unit_pricing: units.iter().map(unit).collect(),
            variants: variants.iter().map(CostVariant::of).collect(),
            mode: mode.clone(),
            context_window: *context_window,
            max_output_tokens: *max_output_tokens,
            reasons: *reasons,
            enable,
            effective_from,
            version: id.to_string(),
            created_at,
            modified_at,
            changed_by: "manual",
            weight,
        }
    }

    /// A rule of an account's own, to that account.
    pub(in crate::api) fn of_own(rule: store::price_rules::PriceRule) -> Self {
        Self { account_id: None, ..Self::of_rule(rule) }
    }

    pub(in crate::api) fn of_list(row: listing::Row) -> Self {
        let listing::Row {
            id,
            provider,
            model,
            model_rule: _,
            cost_type,
            cost_in,
            cost_out,
            token_pricing,
            unit_pricing,
            variants,
            enable,
            version,
            effective_from,
        } = row;
        let began = OffsetDateTime::from_unix_timestamp(effective_from);
        let effective_from = began.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let has = |member: &str| token_pricing.contains(member);
        let is_rule = version.starts_with("prr_");
        let variant = |listing::RowVariant { service_tier, above_input_tokens, token_pricing }| CostVariant {
            service_tier,
            above_input_tokens,
            token_pricing,
        };
        Self {
            id,
            provider,
            account_id: None,
            model,
            model_rule: ModelRule::Equals,
            cost_type,
            cost_in: has(r#""input_tokens""#).then_some(cost_in),
            cost_out: has(r#""output_tokens""#).then_some(cost_out),
            token_pricing,
            unit_pricing: unit_pricing.into_iter().collect(),
            variants: variants.into_iter().map(variant).collect(),
            mode: String::new(),
            context_window: None,
            max_output_tokens: None,
            reasons: false,
            enable,
            effective_from,
            version,
            created_at: effective_from,
            modified_at: effective_from,
            changed_by: if is_rule { "manual" } else { "list" },
            weight: 0,
        }
    }
}

impl CostVariant {
    fn of(variant: &Variant) -> Self {
        let Variant { tier, above_input_tokens, tokens } = variant;
        let price = Price { tokens: *tokens, ..Price::default() };
        Self {
            service_tier: Tier::as_str(*tier),
            above_input_tokens: *above_input_tokens,
            token_pricing: token_pricing::write(&price),
        }
    }
}

fn weight(rule: &PriceRule) -> usize {
    let kind = match rule.model_rule {
        ModelRule::Contains => 0,
        ModelRule::StartsWith => 1,
        ModelRule::Equals => 2,
    };
    // Names have at most 256 characters, each of at most four bytes.
    (usize::from(rule.account.is_some()) * 3 + kind) * 1025 + rule.model.len()
}

/// A rule's word as it is stored and written.
pub(super) fn word(rule: ModelRule) -> &'static str {
    match rule {
        ModelRule::Contains => "contains",
        ModelRule::StartsWith => "starts-with",
        ModelRule::Equals => "equals",
    }
}

/// The members that say prices.
const PRICES: [&str; 5] = ["token_pricing", "unit_pricing", "variants", "cost_in", "cost_out"];

/// The rule as the body of a request.
pub(super) fn document(rule: &PriceRule) -> Map<String, Value> {
    let PriceRule { id: _, provider, model, model_rule, account, effective_from, enable, price } = rule;
    let Price { mode, context_window, max_output_tokens, reasons, tokens: _, variants, units } = price;
    let variants = variants.iter().map(CostVariant::of);
    let units = units.iter().map(|(name, price)| (name, decimal::write(*price, decimal::EACH)));
    let at = effective_from.format(&time::format_description::well_known::Rfc3339);
    let document = json!({
        "provider": provider,
        "account_id": account,
        "model": model,
        "model_rule": model_rule,
        "effective_from": at.unwrap_or_default(),
        "enable": enable,
        "token_pricing": token_pricing::write(price),
        "unit_pricing": units.collect::<BTreeMap<_, _>>(),
        "variants": variants.collect::<Vec<_>>(),
        "context_window": context_window,
        "max_output_tokens": max_output_tokens,
        "reasons": reasons,
        "mode": mode,
    });
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

/// The document after a change. What the change leaves out stays; but prices are one thing, and a change
/// that names any of them says all of them.
pub(super) fn overlaid(mut document: Map<String, Value>, change: Value) -> Result<Value, ApiError> {
    let Value::Object(change) = change else {
        return Err(ApiError::Invalid {
            path: vec!["body".to_owned()],
            message: "must be an object".to_owned(),
        });
    };
    if PRICES.iter().any(|name| change.contains_key(*name)) {
        document.retain(|name, _| !PRICES.contains(&name.as_str()));
    }
    document.extend(change);
    Ok(Value::Object(document))
}

/// A price to be set.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct NewCost {
    /// A model's name or a part of it.
    model: String,
    #[schema(inline)]
    #[serde(flatten)]
    terms: CostTerms,
}

/// What is said about a price.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct CostTerms {
    /// How a model's name must be like `model`; `equals` unless said.
    model_rule: Option<ModelRule>,
    /// `tokens`.
    cost_type: Option<String>,
    /// Dollars per token read, where `token_pricing` says nothing.
    cost_in: Option<f64>,
    /// Dollars per token produced, where `token_pricing` says nothing.
    cost_out: Option<f64>,
    /// Dollars per million tokens and per image, by Cloudflare's names; or a string that holds this.
    #[schema(value_type = Option<Object>)]
    token_pricing: Option<Value>,
    /// Dollars by other units, such as `input_per_second`.
    #[schema(value_type = Option<Object>)]
    unit_pricing: Option<Value>,
    /// Prices of service tiers and of long inputs: `{service_tier, above_input_tokens, token_pricing}`.
    #[schema(value_type = Option<Vec<Object>>)]
    variants: Option<Vec<Value>>,
    /// `chat`, `embedding` and so on.
    mode: Option<String>,
    /// How many tokens the model reads and writes at most.
    context_window: Option<u64>,
    /// How many tokens the model produces at most.
    max_output_tokens: Option<u64>,
    /// Whether the model may think out of sight.
    reasons: Option<bool>,
    /// Whether it holds at all; true unless said.
    enable: Option<bool>,
    /// From when on; from now on unless said.
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_from: Option<String>,
}
