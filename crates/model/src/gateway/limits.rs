//! A gateway's limits as settings, and which counts a request falls into.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::Technique;
use crate::decimal;
use crate::limits::{Counter, Period, Window};
use crate::money::Nanos;
use crate::resource::{Gateway, GatewayToken};
use crate::time_zone::TimeZone;
use crate::usage::Measure;

/// The most that a limit can be, in nano-dollars or tokens. Scripts count in doubles, and two windows
/// of this size still add up exactly.
pub const LARGEST_LIMIT: i64 = 4_000_000_000_000_000;

/// The bound on output tokens of a gateway that names none.
pub const DEFAULT_MAX_OUTPUT_TOKENS: u32 = 16_384;

/// Rules on spending: `{"enabled": true, "rules": […]}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct SpendLimits {
    /// Whether the rules count.
    pub enabled: bool,
    /// At most twenty. A request must fit into all of them.
    #[serde(deserialize_with = "or_default")]
    pub rules: Vec<SpendRule>,
    /// What becomes of requests whose model has no price, and whose cost is therefore not counted.
    /// Tollgate's own member.
    pub unpriced: Unpriced,
}

/// What becomes of requests whose cost nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unpriced {
    /// They are served, and count nothing.
    #[default]
    Allow,
    /// They are refused where a rule concerns them.
    Refuse,
}

/// One rule: so much money in so much time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SpendRule {
    /// Names the rule in what callers are told; 8 hex digits unless said.
    #[serde(default)]
    #[schema(required = false)]
    pub id: String,
    /// Whether it counts.
    #[serde(default = "yes")]
    #[schema(required = false)]
    pub enabled: bool,
    /// `cost`.
    #[serde(rename = "limitType")]
    pub limit_type: LimitType,
    /// US dollars, with up to nine decimals.
    #[serde(serialize_with = "decimal::dollars::serialize", deserialize_with = "lenient_dollars")]
    #[schema(value_type = f64)]
    pub limit: Nanos,
    /// Seconds.
    #[serde(deserialize_with = "lenient_seconds")]
    pub window: u32,
    /// How windows follow each other; `sliding` unless said.
    #[serde(default = "sliding", deserialize_with = "technique")]
    #[schema(required = false)]
    pub technique: Technique,
    /// What requests must have in their metadata, or are told apart by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    #[schema(required = false)]
    pub metadata: BTreeMap<String, Split>,
    /// Which models it concerns, or that each counts for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Split>,
    /// Which providers it concerns, or that each counts for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Split>,
}

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitType {
    /// Money.
    Cost,
}

/// How a rule treats the values of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Split {
    /// Each value counts for itself. Requests without one count together.
    Partition,
    /// The rule concerns only requests with one of these, which count together.
    Filter {
        /// Which.
        values: Vec<String>,
    },
}

/// A bound on tokens, of all classes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenBudget {
    /// How many.
    pub limit: u64,
    /// In which stretch of the gateway's calendar.
    pub period: Period,
    /// Whether requests beyond it are refused; else they are only told that it is spent.
    pub hard_stop: bool,
}

/// A bound on what one token may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Budget {
    /// US dollars, with up to nine decimals.
    #[serde(with = "decimal::dollars")]
    #[schema(value_type = f64)]
    pub limit: Nanos,
    /// In which stretch of its gateway's calendar.
    pub period: Period,
    /// Whether requests beyond it are refused; else they are only told that it is spent.
    pub hard_stop: bool,
}

/// A rate limit that counts: so many calls in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub calls: i64,
    /// In how many seconds.
    pub seconds: u32,
    /// How windows follow each other.
    pub technique: Technique,
}

/// What rules tell requests apart by.
#[derive(Debug, Clone, Copy)]
pub struct Dimensions<'a> {
    /// The provider's slug.
    pub provider: &'a str,
    /// The model as the caller wrote it.
    pub model: &'a str,
    /// What the caller wrote into `cf-aig-metadata`.
    pub metadata: &'a Map<String, Value>,
}

/// One of a gateway's limits that concerns a request, ready to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit<'a> {
    /// Which of them it is.
    pub source: Source<'a>,
    /// What the request counts in. A limit that stops nobody has a bound that nobody reaches.
    pub counter: Counter,
    /// The bound that callers are told; where requests stop at it, the counter's own.
    pub told: i64,
}

/// Where a limit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// `rate_limiting_limit`.
    RateLimit,
    /// The rule of `spend_limits` with this id.
    SpendRule(&'a str),
    /// `token_budget`.
    TokenBudget,
}

impl Technique {
    /// The window of so many seconds.
    pub fn window(self, seconds: u32) -> Window {
        match self {
            Self::Fixed => Window::Fixed { seconds },
            Self::Sliding => Window::Sliding { seconds },
        }
    }
}

impl Gateway {
    /// Every limit that a request falls under. What it reserves in each is for the caller to say: one
    /// call, its money or its tokens, by the counter's measure.
    pub fn limits<'a>(&'a self, request: &Dimensions<'_>) -> Vec<Limit<'a>> {
        let gateway = self.internal_id.to_string();
        let rate = self.rate_limit.map(|RateLimit { calls, seconds, technique }| {
            let window = technique.window(seconds);
            let id = counter_id(window, &["rate", &gateway]);
            Limit::hard(Source::RateLimit, Counter { id, measure: Measure::Requests, limit: calls, window })
        });
        let budget = self.token_budget.map(|TokenBudget { limit, period, hard_stop }| {
            let window = Window::Calendar { period, offset_seconds: self.time_zone.offset_seconds() };
            let id = counter_id(window, &["tokens", &gateway]);
            let told = i64::try_from(limit).unwrap_or(LARGEST_LIMIT).min(LARGEST_LIMIT);
            let counter = Counter { id, measure: Measure::Tokens, limit: bound(told, hard_stop), window };
            Limit { source: Source::TokenBudget, counter, told }
        });
        let rules = self.spend_rules.iter().filter_map(|rule| rule.limit(&gateway, request));
        rate.into_iter().chain(rules).chain(budget).collect()
    }
}

impl GatewayToken {
    /// What the token's own requests count in, if it has a budget; its gateway has the calendar. The
    /// bound that callers are told is the budget's.
    pub fn counter(&self, time_zone: TimeZone) -> Option<Counter> {
        let Budget { limit, period, hard_stop } = self.budget?;
        let window = Window::Calendar { period, offset_seconds: time_zone.offset_seconds() };
        let id = counter_id(window, &["token", &self.id.to_string()]);
        Some(Counter { id, measure: Measure::Spend, limit: bound(limit.0, hard_stop), window })
    }
}

/// More than any count comes to, and still exact in a script.
const NOBODY_REACHES: i64 = 1 << 53;

fn bound(told: i64, hard_stop: bool) -> i64 {
    if hard_stop { told } else { NOBODY_REACHES }
}

impl Limit<'_> {
    fn hard(source: Source<'_>, counter: Counter) -> Limit<'_> {
        let told = counter.limit;
        Limit { source, counter, told }
    }
}

impl SpendRule {
    /// The rule's count for this request, unless it does not concern it.
    fn limit<'a>(&'a self, gateway: &str, request: &Dimensions<'_>) -> Option<Limit<'a>> {
        let window = self.technique.window(self.window);
        let mut parts = vec!["spend".to_owned(), gateway.to_owned(), self.id.clone()];
        let value = |key: &str| request.metadata.get(key).map(label);
        let mut splits: Vec<(String, &Split, Option<String>)> =
            self.metadata.iter().map(|(key, split)| (format!("metadata.{key}"), split, value(key))).collect();
        splits.extend(
            self.model.iter().map(|split| ("model".to_owned(), split, Some(request.model.to_owned()))),
        );
        splits.extend(
            self.provider
                .iter()
                .map(|split| ("provider".to_owned(), split, Some(request.provider.to_owned()))),
        );
        for (name, split, value) in splits {
            match split {
                Split::Filter { values } => {
                    value.filter(|value| values.contains(value))?;
                }
                Split::Partition => {
                    parts.push(name);
                    parts.extend(value);
                }
            }
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let id = counter_id(window, &parts);
        let counter = Counter { id, measure: Measure::Spend, limit: self.limit.0, window };
        Some(Limit::hard(Source::SpendRule(&self.id), counter))
    }
}

/// A short name for a count, made of its window and what it tells apart. A rule that changes its
/// window begins to count anew; one that changes its bound goes on.
pub(crate) fn counter_id(window: Window, parts: &[&str]) -> String {
    let window = match window {
        Window::Fixed { seconds } => format!("fixed {seconds}"),
        Window::Sliding { seconds } => format!("sliding {seconds}"),
        Window::Calendar { period, offset_seconds } => format!("{period:?} {offset_seconds}"),
    };
    let mut hash = Sha256::new();
    for part in [window.as_str()].iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..12])
}

/// A label as filters write it: texts without their quotes.
fn label(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn yes() -> bool {
    true
}

fn sliding() -> Technique {
    Technique::Sliding
}

/// What a client wrote as null is as if it had not been written.
fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn technique<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Technique, D::Error> {
    Option::deserialize(deserializer).map(|technique| technique.unwrap_or(Technique::Sliding))
}

/// Rules from before they were obeyed had any amount above zero.
fn lenient_dollars<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
    let text = decimal::text(deserializer)?;
    let exact = decimal::scaled(&text, 9).map(|nanos| nanos.clamp(1, LARGEST_LIMIT));
    // What is finer than a nano-dollar is cut off there, and what is beyond all bounds is at the bound.
    let cut = || {
        let (whole, fraction) = text.split_once('.')?;
        decimal::scaled(&format!("{whole}.{:.9}", fraction), 9).map(|nanos| nanos.clamp(1, LARGEST_LIMIT))
    };
    let is_tiny = || text.contains("e-") || text.contains("E-");
    let nanos = exact.or_else(cut).unwrap_or(if is_tiny() { 1 } else { LARGEST_LIMIT });
    Ok(Nanos(nanos))
}

fn lenient_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    u64::deserialize(deserializer).map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::gateway::GatewaySettings;
    use crate::id::GatewayInternalId;

    fn gateway(settings: Value) -> Gateway {
        let settings: GatewaySettings = serde_json::from_value(settings).unwrap();
        Gateway::of(GatewayInternalId(Uuid::from_u128(1)), "demo".parse().unwrap(), &settings)
    }

    fn rules(rules: Value) -> Gateway {
        gateway(json!({"spend_limits": {"enabled": true, "rules": rules}}))
    }

    fn ids(gateway: &Gateway, model: &str, metadata: Value) -> Vec<String> {
        let metadata = metadata.as_object().unwrap();
        let request = Dimensions { provider: "openai", model, metadata };
        gateway.limits(&request).into_iter().map(|limit| limit.counter.id).collect()
    }

    #[test]
    fn a_request_counts_in_every_limit_that_concerns_it() {
        let gateway = gateway(json!({
            "rate_limiting_limit": 10, "rate_limiting_interval": 60, "rate_limiting_technique": "sliding",
            "token_budget": {"limit": 1000, "period": "day", "hard_stop": true},
            "time_zone": "+02:00",
            "spend_limits": {"enabled": true, "rules": [
                {"id": "aa", "limitType": "cost", "limit": 0.5, "window": 3600},
                {"id": "bb", "limitType": "cost", "limit": 9, "window": 60, "enabled": false},
                {"id": "cc", "limitType": "cost", "limit": 9, "window": 60,
                 "model": {"mode": "filter", "values": ["gpt-4o"]}},
            ]},
        }));
        let request = Dimensions { provider: "openai", model: "gpt-4o-mini", metadata: &Map::new() };
        let limits = gateway.limits(&request);
        let seen: Vec<_> = limits
            .iter()
            .map(|Limit { source, counter, told }| (*source, counter.measure, *told, counter.window))
            .collect();
        let expected = [
            (Source::RateLimit, Measure::Requests, 10, Window::Sliding { seconds: 60 }),
            (Source::SpendRule("aa"), Measure::Spend, 500_000_000, Window::Sliding { seconds: 3600 }),
            (
                Source::TokenBudget,
                Measure::Tokens,
                1000,
                Window::Calendar { period: Period::Day, offset_seconds: 7200 },
            ),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_partitioned_counts_apart_and_what_is_filtered_together() {
        let gateway = rules(json!([{
            "id": "aa", "limitType": "cost", "limit": 1, "window": 60, "model": {"mode": "partition"},
            "metadata": {
                "team": {"mode": "partition"},
                "env": {"mode": "filter", "values": ["prod", "1"]},
            },
        }]));
        let red = ids(&gateway, "a", json!({"team": "red", "env": "prod"}));
        assert_eq!(red.len(), 1);
        assert_eq!(ids(&gateway, "a", json!({"team": "red", "env": 1})), red);
        let others = [
            ids(&gateway, "b", json!({"team": "red", "env": "prod"})),
            ids(&gateway, "a", json!({"team": "blue", "env": "prod"})),
            ids(&gateway, "a", json!({"env": "prod"})),
        ];
        for (index, other) in others.iter().enumerate() {
            assert!(other.len() == 1 && *other != red && !others[..index].contains(other));
        }
        assert_eq!(ids(&gateway, "a", json!({"team": "red"})), [""; 0]);
    }

    #[test]
    fn a_count_goes_on_when_its_bound_is_changed_and_begins_anew_with_another_window() {
        let rule =
            |limit, window| json!([{"id": "a", "limitType": "cost", "limit": limit, "window": window}]);
        let before = ids(&rules(rule(1, 60)), "a", json!({}));
        assert_eq!(ids(&rules(rule(2, 60)), "a", json!({})), before);
        assert_ne!(ids(&rules(rule(1, 61)), "a", json!({})), before);
    }

    #[test]
    fn a_budget_without_a_hard_stop_stops_nobody() {
        let gateway = gateway(json!({"token_budget": {"limit": 5, "period": "hour", "hard_stop": false}}));
        let request = Dimensions { provider: "", model: "", metadata: &Map::new() };
        let limits = gateway.limits(&request);
        assert_eq!((limits[0].told, limits[0].counter.limit), (5, NOBODY_REACHES));
    }

    #[test]
    fn a_token_counts_in_its_budget_by_its_gateways_calendar() {
        let token = |budget| GatewayToken {
            id: crate::id::GatewayTokenId(Uuid::from_u128(1)),
            gateway: GatewayInternalId(Uuid::from_u128(1)),
            digest: crate::token::TokenDigest([0; 32]),
            expires_at_ms: None,
            budget,
        };
        assert_eq!(token(None).counter(TimeZone::UTC), None);
        let budget = Budget { limit: Nanos(7), period: Period::Month, hard_stop: true };
        let hard = token(Some(budget)).counter("+02:00".parse().unwrap()).unwrap();
        assert_eq!((hard.measure, hard.limit), (Measure::Spend, 7));
        assert_eq!(hard.window, Window::Calendar { period: Period::Month, offset_seconds: 7200 });
        let soft = token(Some(Budget { hard_stop: false, ..budget })).counter(TimeZone::UTC).unwrap();
        assert_eq!(soft.limit, NOBODY_REACHES);
    }

    #[test]
    fn a_rule_from_before_rules_were_obeyed_still_loads() {
        for (limit, nanos) in [("0.1234567891", 123_456_789), ("1e-30", 1), ("1e30", LARGEST_LIMIT)] {
            let text = format!(r#"{{"limitType":"cost","limit":{limit},"window":9007199254740991}}"#);
            let rule: SpendRule = serde_json::from_str(&text).unwrap();
            assert_eq!((rule.limit, rule.window), (Nanos(nanos), u32::MAX), "{limit}");
        }
    }
}
