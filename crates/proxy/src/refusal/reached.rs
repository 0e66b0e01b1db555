//! A limit that has no room for a request.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use model::Nanos;
use model::limits::{Period, Window};

use super::Fault;
use crate::limits::{Kind, Rule};

/// A limit that has no room, and when it will have some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The limit.
    pub rule: Arc<Rule>,
    /// What is left of it.
    pub remaining: i64,
    /// How long it makes no sense to try again.
    pub retry_after: Duration,
    /// Who would have been asked.
    pub provider: Cow<'static, str>,
    /// For which model.
    pub model: String,
}

impl Reached {
    pub(super) fn told(&self) -> (Fault, StatusCode, u32, &'static str) {
        let (code, cause) = match self.rule.kind {
            Kind::Rate => (2003, "rate_limited"),
            Kind::Wholesale => (2018, "credits_rate_limited"),
            Kind::Spend { .. } => (2041, "spend_limit"),
            Kind::Account => (2041, "account_spend_limit"),
            Kind::Token => (2041, "token_spend_limit"),
            Kind::Tokens => (9022, "token_budget"),
        };
        (Fault::Account, StatusCode::TOO_MANY_REQUESTS, code, cause)
    }
}

/// In Cloudflare's words, where it has any.
impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, provider, model, .. } = self;
        let over = Over(rule.counter.window);
        match &rule.kind {
            Kind::Rate => f.write_str("Rate limited"),
            Kind::Wholesale => f.write_str("Wholesale Rate limited"),
            Kind::Spend { rule: id } => {
                let limit = Nanos(rule.told);
                write!(
                    f,
                    "Spend limit exceeded: rule '{id}' (cost limit {limit} {over}) for {provider} {model}"
                )
            }
            Kind::Account | Kind::Token => {
                let whose = if rule.kind == Kind::Token { "token" } else { "account" };
                let limit = Nanos(rule.told);
                write!(
                    f,
                    "Spend limit exceeded: the {whose}'s (cost limit {limit} {over}) for {provider} {model}"
                )
            }
            Kind::Tokens => {
                write!(
                    f,
                    "Token budget exceeded: {} tokens {over}, of which {} are left",
                    rule.told, self.remaining
                )
            }
        }
    }
}

/// A window in words.
struct Over(Window);

impl std::fmt::Display for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Window::Fixed { seconds } => write!(f, "per {seconds}s, fixed"),
            Window::Sliding { seconds } => write!(f, "per {seconds}s, sliding"),
            Window::Calendar { period, .. } => f.write_str(match period {
                Period::Hour => "per hour",
                Period::Day => "per day",
                Period::Week => "per week",
                Period::Month => "per month",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::limits::Counter;
    use model::usage::Measure;

    use super::*;

    #[test]
    fn a_spend_rule_is_told_as_cloudflare_tells_it() {
        let window = Window::Sliding { seconds: 3600 };
        let counter = Counter { id: "x".to_owned(), measure: Measure::Spend, limit: 500_000_000, window };
        let rule = Rule { kind: Kind::Spend { rule: "ab12cd34".to_owned() }, told: counter.limit, counter };
        let reached = Reached {
            rule: Arc::new(rule),
            remaining: 0,
            retry_after: Duration::from_secs(9),
            provider: "openai".into(),
            model: "gpt-4o".to_owned(),
        };
        assert_eq!(
            reached.to_string(),
            "Spend limit exceeded: rule 'ab12cd34' (cost limit 0.5 per 3600s, sliding) for openai gpt-4o"
        );
        assert_eq!(reached.told().2, 2041);
    }
}
