//! What is left of a request's limits, in the headers of its answer.
//!
//! Calls are told in the headers of the IETF's draft, `ratelimit-limit`, `ratelimit-remaining` and
//! `ratelimit-reset`, and not in `x-ratelimit-…`, in which providers tell of their own limits and which
//! pass as they came. Of several limits the one with the least left is told. Money and tokens, for
//! which the draft has no word, are told in `tollgate-budget-remaining`, in dollars, and
//! `tollgate-tokens-remaining`.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use model::Nanos;
use model::usage::Measure;

use super::Rule;
use super::window::place;
use crate::headers;

/// What is left after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    calls: Option<Calls>,
    budget: Option<Nanos>,
    tokens: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Calls {
    limit: i64,
    remaining: i64,
    reset_seconds: u64,
}

impl Left {
    /// What remains of each rule, seen at `now`, which is counted from 1970.
    pub fn of<'a>(rules: impl Iterator<Item = (&'a Arc<Rule>, i64)>, now: Duration) -> Self {
        let mut left = Self::default();
        for (rule, remaining) in rules {
            // A limit that stops nobody has a bound of its own, which nobody is told.
            let remaining = (remaining - (rule.counter.limit - rule.told)).max(0);
            let least = |known: Option<i64>| known.is_none_or(|known| remaining < known);
            match rule.counter.measure {
                Measure::Requests if least(left.calls.map(|calls| calls.remaining)) => {
                    let reset = place(rule.counter.window, now).left;
                    let reset_seconds = whole_seconds(reset);
                    left.calls = Some(Calls { limit: rule.told, remaining, reset_seconds });
                }
                Measure::Spend if least(left.budget.map(|budget| budget.0)) => {
                    left.budget = Some(Nanos(remaining));
                }
                Measure::Tokens if least(left.tokens) => left.tokens = Some(remaining),
                _ => {}
            }
        }
        left
    }

    /// Adds what there is to tell.
    pub fn mark(&self, headers: &mut HeaderMap) {
        let Self { calls, budget, tokens } = self;
        if let Some(Calls { limit, remaining, reset_seconds }) = calls {
            headers.insert(&headers::RATELIMIT_LIMIT, HeaderValue::from(*limit));
            headers.insert(&headers::RATELIMIT_REMAINING, HeaderValue::from(*remaining));
            headers.insert(&headers::RATELIMIT_RESET, HeaderValue::from(*reset_seconds));
        }
        if let Some(budget) = budget {
            insert_dollars(headers, &headers::TOLLGATE_BUDGET_REMAINING, *budget);
        }
        if let Some(tokens) = tokens {
            headers.insert(&headers::TOLLGATE_TOKENS_REMAINING, HeaderValue::from(*tokens));
        }
    }
}

/// An amount as a header has it: dollars, exactly.
pub(crate) fn insert_dollars(headers: &mut HeaderMap, name: &'static HeaderName, amount: Nanos) {
    if let Ok(value) = HeaderValue::try_from(amount.to_string()) {
        headers.insert(name, value);
    }
}

/// Seconds as headers have them: rounded up, so that nobody comes too early.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use model::limits::{Counter, Window};

    use super::*;
    use crate::limits::Kind;

    fn rule(measure: Measure, limit: i64, told: i64) -> Arc<Rule> {
        let counter = Counter { id: String::new(), measure, limit, window: Window::Fixed { seconds: 60 } };
        Arc::new(Rule { kind: Kind::Rate, counter, told })
    }

    #[test]
    fn the_tightest_limit_of_each_kind_is_told() {
        let rules = [
            (rule(Measure::Requests, 100, 100), 7),
            (rule(Measure::Requests, 10, 10), 9),
            (rule(Measure::Spend, 5_000_000_000, 5_000_000_000), 1_250_000_000),
            (rule(Measure::Spend, 9_000_000_000, 9_000_000_000), 8_000_000_000),
            // Nobody is stopped at its thousand tokens, of which fourteen hundred were used.
            (rule(Measure::Tokens, 1 << 53, 1000), (1 << 53) - 1400),
        ];
        let left = Left::of(rules.iter().map(|(rule, left)| (rule, *left)), Duration::from_millis(90_500));
        let mut headers = HeaderMap::new();
        left.mark(&mut headers);
        let told: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            told,
            [
                ("ratelimit-limit", "100"),
                ("ratelimit-remaining", "7"),
                ("ratelimit-reset", "30"),
                ("tollgate-budget-remaining", "1.25"),
                ("tollgate-tokens-remaining", "0"),
            ]
        );
    }
}
