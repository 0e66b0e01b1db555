//! Price rules: prices that an operator sets in the place of the catalogue's, for all accounts or one,
//! and those that an account reports its own costs by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::decimal::{self, EACH};
use super::{Price, Tier, Variant, token_pricing};
use crate::document::{self, Document, Mistake, boolean, instant, integer, nullable, one_of, text};
use crate::id::{AccountId, PriceRuleId};

/// A price that holds for some models of a provider from a moment on.
///
/// It says all that such a model costs: classes that it does not name have no other price than that of
/// their base class. What it does not say of the model itself (its longest output and context) is still
/// the catalogue's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRule {
    /// What usage records name it by, in the place of the catalogue's version.
    pub id: PriceRuleId,
    /// The provider's slug.
    pub provider: String,
    /// A model's name or a part of it.
    pub model: String,
    /// How a model's name must be like `model`.
    #[serde(default)]
    pub model_rule: ModelRule,
    /// The only account for which it holds, if it does not hold for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// From when on.
    #[serde(with = "time::serde::rfc3339")]
    pub effective_from: OffsetDateTime,
    /// Whether it holds at all.
    #[serde(default = "enabled")]
    pub enable: bool,
    /// The price.
    pub price: Price,
}

/// How a model's name is compared with a rule's, in Cloudflare's words.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ModelRule {
    /// Anywhere in it.
    Contains,
    /// At its beginning.
    StartsWith,
    /// Letter by letter.
    #[default]
    Equals,
}

const fn enabled() -> bool {
    true
}

impl ModelRule {
    /// Whether a model is meant.
    pub fn fits(self, rule: &str, model: &str) -> bool {
        match self {
            Self::Contains => model.contains(rule),
            Self::StartsWith => model.starts_with(rule),
            Self::Equals => model == rule,
        }
    }
}

/// What the answer to a rule carries beside it, and clients send back.
const OF_THE_ANSWER: &[&str] = &["id", "created_at", "modified_at", "changed_by", "weight", "version"];

impl PriceRule {
    /// Reads an operator's rule. Without `effective_from` it holds from `now` on.
    pub fn of_operator(body: &Value, id: PriceRuleId, now: OffsetDateTime) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            document.ignored(OF_THE_ANSWER);
            let provider = document.required("provider", text(1..=128));
            let account = document.optional(
                "account_id",
                None,
                nullable(one_of("an account id: 32 lower-case hex digits")),
            );
            let read = members(document, id, now);
            Some(Self { provider: provider?, account: account?, ..read? })
        })
    }

    /// Reads an account's own rule for a provider whose slug is known already from
    /// `account_provider_id`, which the reader leaves to its caller.
    pub fn of_account(
        body: &Value,
        id: PriceRuleId,
        account: AccountId,
        provider: &str,
        now: OffsetDateTime,
    ) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            document.ignored(OF_THE_ANSWER);
            document.ignored(&["account_provider_id", "provider"]);
            let read = members(document, id, now);
            Some(Self { provider: provider.to_owned(), account: Some(account), ..read? })
        })
    }
}

/// What both kinds have in common: the members of Cloudflare's pricing rules, and ours for the prices
/// that those have no word for.
fn members(document: &mut Document<'_>, id: PriceRuleId, now: OffsetDateTime) -> Option<PriceRule> {
    let model = document.required("model", text(1..=256));
    let rule = one_of("`equals`, `starts-with` or `contains`");
    let model_rule = document.optional("model_rule", ModelRule::default(), rule);
    let effective_from = document.optional("effective_from", now, instant);
    let enable = document.optional("enable", true, boolean);
    document.optional("cost_type", (), |value| match value.as_str() {
        Some("tokens") => Ok(()),
        _ => Err("must be `tokens`".to_owned()),
    });
    let price = price(document);
    Some(PriceRule {
        id,
        provider: String::new(),
        model: model?,
        model_rule: model_rule?,
        account: None,
        effective_from: effective_from?,
        enable: enable?,
        price: price?,
    })
}

fn price(document: &mut Document<'_>) -> Option<Price> {
    let mut price = Price::default();
    let pricing = document.optional("token_pricing", (), |value| match value {
        Value::Null => Ok(()),
        value => token_pricing::read(value, &mut price),
    });
    let each = |value: &Value| {
        decimal::read_json(value, EACH)
            .ok_or_else(|| "must be a price of 0 or more in dollars a token".to_owned())
    };
    let cost_in = document.optional("cost_in", None, nullable(each));
    let cost_out = document.optional("cost_out", None, nullable(each));
    let units = document.optional("unit_pricing", BTreeMap::new(), units);
    let variants = document.optional("variants", Vec::new(), variants);
    let mode = document.optional("mode", String::new(), text(0..=64));
    let number = || nullable(integer(1..=1 << 40));
    let context_window = document.optional("context_window", None, number());
    let max_output_tokens = document.optional("max_output_tokens", None, number());
    let reasons = document.optional("reasons", false, boolean);
    pricing?;
    price.tokens.input = price.tokens.input.or(cost_in?);
    price.tokens.output = price.tokens.output.or(cost_out?);
    price.units.append(&mut units?);
    let price = Price {
        mode: mode?,
        context_window: context_window?,
        max_output_tokens: max_output_tokens?,
        reasons: reasons?,
        variants: variants?,
        ..price
    };
    if !price.is_priced() {
        document.mistake("token_pricing", "`token_pricing` is required, as nothing else says a price");
        return None;
    }
    Some(price)
}

/// Dollars by the catalogue's names of units.
fn units(value: &Value) -> Result<BTreeMap<String, crate::Picos>, String> {
    let expected = "must be an object of prices in dollars, such as `{\"output_per_image\": 0.04}`";
    let object = value.as_object().ok_or(expected)?;
    let unit = |(name, value): (&String, &Value)| Some((name.clone(), decimal::read_json(value, EACH)?));
    object.iter().map(unit).collect::<Option<_>>().ok_or_else(|| expected.to_owned())
}

fn variants(value: &Value) -> Result<Vec<Variant>, String> {
    let list = value.as_array().filter(|list| list.len() <= 32);
    list.ok_or("must be a list of at most 32 objects")?.iter().map(variant).collect()
}

fn variant(value: &Value) -> Result<Variant, String> {
    let expected = "must have objects with `service_tier`, `above_input_tokens` and `token_pricing`";
    let object: &Map<String, Value> = value.as_object().ok_or(expected)?;
    let (mut tier, mut above_input_tokens, mut price) = (Tier::Standard, 0, Price::default());
    for (name, value) in object {
        match name.as_str() {
            "service_tier" => tier = Tier::deserialize(value).map_err(|_| expected)?,
            "above_input_tokens" => above_input_tokens = value.as_u64().ok_or(expected)?,
            "token_pricing" => token_pricing::read(value, &mut price)?,
            _ => return Err(format!("{expected} and not `{name}`")),
        }
    }
    if price.tokens == super::TokenPrices::default() || !price.units.is_empty() {
        return Err(format!("{expected}, each with prices of tokens"));
    }
    Ok(Variant { tier, above_input_tokens, tokens: price.tokens })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::Picos;

    const ID: PriceRuleId = PriceRuleId(Uuid::nil());
    const NOW: OffsetDateTime = datetime!(2030-01-31 00:00 UTC);

    #[test]
    fn an_operators_rule_is_read_whole() {
        let account = "0".repeat(32);
        let body = json!({
            "provider": "openai", "model": "gpt-4o", "model_rule": "starts-with", "account_id": account,
            "effective_from": "2026-12-01T00:00:00Z", "token_pricing": {"input_tokens": 3, "output_tokens": 12},
            "unit_pricing": {"input_per_request": "0.001"}, "context_window": 128_000,
            "variants": [{"service_tier": "priority", "token_pricing": {"input_tokens": 5}}],
        });
        let rule = PriceRule::of_operator(&body, ID, NOW).unwrap();
        assert_eq!((rule.provider.as_str(), rule.model_rule), ("openai", ModelRule::StartsWith));
        assert_eq!(rule.account, Some(AccountId(Uuid::nil())));
        assert_eq!(rule.effective_from, datetime!(2026-12-01 00:00 UTC));
        assert_eq!(rule.price.tokens.input, Some(Picos(3_000_000)));
        assert_eq!(rule.price.variants[0].tokens.input, Some(Picos(5_000_000)));
        assert_eq!(rule.price.unit("input_per_request"), Some(Picos(1_000_000_000)));
        let wire = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<PriceRule>(&wire).unwrap(), rule);
    }

    #[test]
    fn an_accounts_rule_has_cloudflares_members() {
        let body = json!({
            "account_provider_id": "d47f8a9c-0000-4000-8000-000000000000", "model": "m", "cost_type": "tokens",
            "cost_in": 0.000_001_5, "cost_out": 2e-6, "token_pricing": "{\"input_cached_tokens\":0.5}",
            "enable": false, "weight": 1,
        });
        let account = AccountId(Uuid::nil());
        let rule = PriceRule::of_account(&body, ID, account, "custom-mine", NOW).unwrap();
        assert_eq!((rule.provider.as_str(), rule.enable, rule.effective_from), ("custom-mine", false, NOW));
        assert_eq!(rule.price.tokens.input, Some(Picos(1_500_000)));
        assert_eq!(rule.price.tokens.output, Some(Picos(2_000_000)));
        assert_eq!(rule.price.tokens.cached_input, Some(Picos(500_000)));
    }

    #[test]
    fn all_mistakes_are_told_together() {
        let body = json!({"model": "", "model_rule": "like", "cost_in": -1, "variants": [{}], "smell": 1});
        let mistakes = PriceRule::of_operator(&body, ID, NOW).unwrap_err();
        let mut named: Vec<_> = mistakes.iter().map(|mistake| mistake.path[1].as_str()).collect();
        named.sort_unstable();
        assert_eq!(named, ["cost_in", "model", "model_rule", "provider", "smell", "variants"]);
        let unpriced = json!({"provider": "openai", "model": "m"});
        let mistakes = PriceRule::of_operator(&unpriced, ID, NOW).unwrap_err();
        assert_eq!(mistakes[0].path, ["body", "token_pricing"]);
    }

    #[test]
    fn names_are_compared_as_the_rule_says() {
        let fits =
            |rule: ModelRule| ["gpt-4o", "gpt-4o-mini", "my-gpt-4o"].map(|model| rule.fits("gpt-4o", model));
        assert_eq!(fits(ModelRule::Equals), [true, false, false]);
        assert_eq!(fits(ModelRule::StartsWith), [true, true, false]);
        assert_eq!(fits(ModelRule::Contains), [true, true, true]);
    }
}
