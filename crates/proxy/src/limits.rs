//! What a request counts in: the limits of its gateway and its account, named once for each snapshot
//! and not with each request.

pub mod bound;
pub mod left;
pub mod local;
mod window;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::gateway::{Dimensions, Source};
use model::id::GatewayTokenId;
use model::limits::{Counter, Window};
use model::resource::{Gateway, GatewayToken};
use model::terms::SpendingLimit;
use model::usage::Measure;
use model::{AccountId, Nanos};
use providers::prices;
use serde_json::{Map, Value};

pub use left::Left;

/// One limit that a request falls under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which of the limits it is.
    pub kind: Kind,
    /// What is counted, and how far.
    pub counter: Counter,
    /// The bound that callers are told; where requests stop at it, the counter's own.
    pub told: i64,
}

/// Where a limit comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The gateway's rate limit.
    Rate,
    /// The operator's bound on calls that are paid from credits.
    Wholesale,
    /// A gateway's rule on spending.
    Spend {
        /// The rule's id.
        rule: String,
    },
    /// The gateway's token budget.
    Tokens,
    /// What all gateways of the account may spend together.
    Account,
    /// What the caller's token may spend.
    Token,
}

/// Limits, in the order in which they are asked.
pub type Rules = Arc<[Arc<Rule>]>;

/// The limits of one gateway, as far as requests have asked for them.
#[derive(Debug, Default)]
pub struct Plan {
    /// What holds for every request; nothing if rules tell requests apart.
    same: OnceLock<Option<Rules>>,
    apart: Mutex<HashMap<Asked, Rules>>,
    tokens: Mutex<HashMap<GatewayTokenId, Option<Arc<Rule>>>>,
}

type Asked = (Cow<'static, str>, String, String);

/// So many different requests are remembered. Whoever sends more than that has them looked up again.
const MOST: usize = 1024;

impl Plan {
    /// The limits for requests of `provider` and `model` with this metadata, which is a JSON object or
    /// nothing.
    pub fn rules(
        &self,
        gateway: &Gateway,
        provider: Cow<'static, str>,
        model: &str,
        metadata: &str,
    ) -> Rules {
        let same = self.same.get_or_init(|| {
            let splits = gateway
                .spend_rules
                .iter()
                .any(|rule| rule.model.is_some() || rule.provider.is_some() || !rule.metadata.is_empty());
            (!splits).then(|| named(gateway, "", "", ""))
        });
        if let Some(same) = same {
            return Arc::clone(same);
        }
        let asked = (provider, model.to_owned(), metadata.to_owned());
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = apart.get(&asked) {
            return Arc::clone(rules);
        }
        let rules = named(gateway, &asked.0, model, metadata);
        if apart.len() >= MOST {
            apart.clear();
        }
        apart.insert(asked, Arc::clone(&rules));
        rules
    }

    /// What a token of the gateway may spend, if that is bounded.
    pub fn of_token(&self, gateway: &Gateway, token: &GatewayToken) -> Option<Arc<Rule>> {
        let budget = token.budget?;
        let named = || {
            let counter = token.counter(gateway.time_zone)?;
            Some(Arc::new(Rule { kind: Kind::Token, told: budget.limit.0, counter }))
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.entry(token.id).or_insert_with(named).clone()
    }
}

fn named(gateway: &Gateway, provider: &str, model: &str, metadata: &str) -> Rules {
    let metadata: Map<String, Value> = serde_json::from_str(metadata).unwrap_or_default();
    let limits_of = |model| gateway.limits(&Dimensions { provider, model, metadata: &metadata });
    let mut limits = limits_of(model);
    // Nobody gets around a rule for a model by asking for the dated one behind its name.
    for alias in prices::shorter_names(model) {
        for limit in limits_of(alias) {
            if limits.iter().all(|known| known.source != limit.source) {
                limits.push(limit);
            }
        }
    }
    let rule = |limit: model::gateway::Limit<'_>| {
        let kind = match limit.source {
            Source::RateLimit => Kind::Rate,
            Source::SpendRule(id) => Kind::Spend { rule: id.to_owned() },
            Source::TokenBudget => Kind::Tokens,
        };
        Arc::new(Rule { kind, counter: limit.counter, told: limit.told })
    };
    limits.into_iter().map(rule).collect()
}

impl Rule {
    /// The bound on what all gateways of an account spend.
    pub fn of_account(account: AccountId, limit: &SpendingLimit) -> Self {
        let counter = limit.counter(account);
        Self { kind: Kind::Account, told: counter.limit, counter }
    }

    /// The operator's bound on calls a minute that one gateway's credits pay for. Cloudflare does not
    /// say how its own moves; minutes by the clock are the easiest to foresee.
    pub fn wholesale(gateway: &Gateway, calls_a_minute: u32) -> Self {
        let (limit, window) = (i64::from(calls_a_minute), Window::Fixed { seconds: 60 });
        let id = format!("w{}", gateway.internal_id.0.simple());
        Self {
            kind: Kind::Wholesale,
            told: limit,
            counter: Counter { id, measure: Measure::Requests, limit, window },
        }
    }

    /// What a request that costs so much and has so many tokens takes of it.
    pub fn taken(&self, cost: Nanos, tokens: i64) -> i64 {
        match self.counter.measure {
            Measure::Requests => 1,
            Measure::Spend => cost.0,
            Measure::Tokens => tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::gateway::GatewaySettings;
    use model::id::GatewayInternalId;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn gateway(settings: Value) -> Gateway {
        let settings: GatewaySettings = serde_json::from_value(settings).unwrap();
        Gateway::of(GatewayInternalId(Uuid::from_u128(1)), "demo".parse().unwrap(), &settings)
    }

    #[test]
    fn limits_that_are_the_same_for_all_are_named_once() {
        let gateway = gateway(json!({
            "rate_limiting_limit": 10, "rate_limiting_interval": 60,
            "spend_limits": {"enabled": true, "rules": [{"id": "aa", "limitType": "cost", "limit": 1, "window": 60}]},
        }));
        let plan = Plan::default();
        let rules = plan.rules(&gateway, "openai".into(), "gpt-4o", "");
        assert_eq!(
            rules.iter().map(|rule| &rule.kind).collect::<Vec<_>>(),
            [&Kind::Rate, &Kind::Spend { rule: "aa".to_owned() }]
        );
        assert!(Arc::ptr_eq(&rules, &plan.rules(&gateway, "openai".into(), "other", r#"{"a":1}"#)));
    }

    #[test]
    fn what_is_told_apart_is_named_by_what_it_is() {
        let gateway = gateway(json!({"spend_limits": {"enabled": true, "rules": [
            {"id": "aa", "limitType": "cost", "limit": 1, "window": 60, "metadata": {"team": {"mode": "partition"}}},
            {"id": "bb", "limitType": "cost", "limit": 1, "window": 60, "model": {"mode": "filter", "values": ["m"]}},
        ]}}));
        let plan = Plan::default();
        let red = plan.rules(&gateway, "openai".into(), "m", r#"{"team":"red"}"#);
        let blue = plan.rules(&gateway, "openai".into(), "x", r#"{"team":"blue"}"#);
        assert_eq!((red.len(), blue.len()), (2, 1));
        assert_ne!(red[0].counter.id, blue[0].counter.id);
        assert!(Arc::ptr_eq(&red, &plan.rules(&gateway, "openai".into(), "m", r#"{"team":"red"}"#)));
    }

    #[test]
    fn a_rule_for_a_model_holds_for_its_dated_versions() {
        let gateway = gateway(json!({"spend_limits": {"enabled": true, "rules": [
            {"id": "aa", "limitType": "cost", "limit": 1, "window": 60, "model": {"mode": "filter", "values": ["gpt-4o"]}},
            {"id": "bb", "limitType": "cost", "limit": 1, "window": 60, "model": {"mode": "partition"}},
        ]}}));
        let ids = |model| {
            named(&gateway, "openai", model, "")
                .iter()
                .map(|rule| rule.counter.id.clone())
                .collect::<Vec<_>>()
        };
        let [by_name, apart] = &ids("gpt-4o")[..] else { panic!("two rules") };
        let dated = ids("gpt-4o-2024-08-06");
        assert_eq!(dated.len(), 2);
        assert!(dated.contains(by_name) && !dated.contains(apart));
        assert_eq!(ids("gpt-4o-mini").len(), 1);
    }
}
