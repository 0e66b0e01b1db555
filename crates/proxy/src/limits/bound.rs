//! What a request on its own key takes of limits on money and tokens, as far as it can be read in it.

use model::Nanos;
use model::money::Unrounded;
use model::prices::{Tier, TokenPrices};
use model::usage::Measure;
use providers::Endpoint;
use providers::credits::bound::LEAST_OUTPUT;
use providers::scan::{self, Member};

use super::Rule;
use crate::rating::{Least, Rating};
use crate::stages::inspect::Inquiry;

/// What a request is taken to read and produce.
#[derive(Debug, Clone, Copy, Default)]
pub struct Estimate {
    input: u64,
    output: u64,
    /// Whether the output has a limit that the provider obeys.
    is_bounded: bool,
    is_counted: bool,
    runs_a_model: bool,
    /// Of which the dearer ones hold.
    prices: [Option<TokenPrices>; 2],
}

impl Estimate {
    /// No token is shorter than a byte, and no conversation longer than its model's context. Where the
    /// caller names no limit of output, it is the model's, or else the gateway's.
    pub fn of(rating: &Rating, inquiry: &Inquiry, max_output_tokens: u32) -> Self {
        let found: Vec<_> = rating.prices().collect();
        let context = found.iter().find_map(|found| found.context_window()).unwrap_or(u64::MAX);
        let longest = found.iter().find_map(|found| found.max_output_tokens());
        let (named, answers) = limits_in(&inquiry.text);
        let output = match rating.endpoint {
            Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Responses => {
                named.or(longest).unwrap_or(max_output_tokens.into()).saturating_mul(answers)
            }
            _ => 0,
        };
        let input = (inquiry.text.len() as u64).min(context);
        let mut dearest = found.iter().map(|found| found.price.dearest(&Tier::ALL, input));
        let prices = [dearest.next(), dearest.next()];
        let is_bounded = output == 0 || named.is_some();
        let runs_a_model = rating.endpoint.runs_a_model();
        Self { input, output, is_bounded, is_counted: false, runs_a_model, prices }
    }

    /// Whether it is known what it costs: nothing, or what its model's price comes to.
    pub fn is_priced(&self) -> bool {
        self.prices[0].is_some() || !self.runs_a_model
    }

    /// What it comes to if nobody hears of it again: its input, by an estimate. A token of most texts
    /// has three to five bytes.
    pub fn floor(&self, rating: &Rating) -> Least {
        let Some(found) = rating.price().filter(|_| self.prices[0].is_some()) else {
            return Least::default();
        };
        let input = self.input.div_ceil(3);
        Least::of(&found, None, input, Self { input, ..*self }.cost(0))
    }

    /// What it takes of a limit at most.
    pub fn taken(&self, rule: &Rule) -> i64 {
        rule.taken(self.cost(self.output), tokens(self.input.saturating_add(self.output)))
    }

    /// What it takes of a limit with a short answer.
    pub fn least(&self, rule: &Rule) -> i64 {
        if self.is_bounded {
            return self.taken(rule);
        }
        let output = self.output.min(LEAST_OUTPUT);
        rule.taken(self.cost(output), tokens(self.input.saturating_add(output)))
    }

    /// Counts the input, which takes too long for the threads that serve others. Says whether there is
    /// less of it than was thought.
    pub async fn count(&mut self, rating: &std::sync::Arc<Rating>) -> bool {
        if std::mem::replace(&mut self.is_counted, true) {
            return false;
        }
        let rating = std::sync::Arc::clone(rating);
        let counted = tokio::task::spawn_blocking(move || rating.count_input()).await;
        match counted {
            Ok(counted) if counted < self.input => {
                self.input = counted;
                true
            }
            _ => false,
        }
    }

    fn cost(&self, output: u64) -> Nanos {
        let costs = self.prices.iter().flatten().map(|prices| {
            let mut sum = Unrounded::default();
            let dearest_input = [prices.input, prices.cache_write, prices.cache_write_long];
            if let Some(price) = dearest_input.into_iter().flatten().max() {
                sum.add(self.input, price);
            }
            if let Some(price) = prices.output.max(prices.reasoning) {
                sum.add(output, price);
            }
            sum.round()
        });
        costs.max().unwrap_or_default()
    }
}

impl Rule {
    /// Whether it counts calls, of which none is smaller than another.
    pub fn counts_calls(&self) -> bool {
        self.counter.measure == Measure::Requests
    }
}

fn tokens(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// The limit of output that a body names, and how many answers it asks for. What cannot be read is as
/// if it were not there: it is the provider's to judge.
fn limits_in(body: &[u8]) -> (Option<u64>, u64) {
    const NAMES: [&str; 4] = ["max_tokens", "max_completion_tokens", "max_output_tokens", "n"];
    let Ok([old, new, of_responses, n]) = scan::members_of_text(body, &NAMES) else { return (None, 1) };
    let number = |member: Option<Member>| str::from_utf8(&body[member?.span]).ok()?.parse::<u64>().ok();
    let named = [old, new, of_responses].into_iter().filter_map(number).max();
    (named, number(n).unwrap_or(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_output_is_read_by_any_of_its_names() {
        assert_eq!(limits_in(br#"{"max_tokens":7,"n":3}"#), (Some(7), 3));
        assert_eq!(limits_in(br#"{"max_completion_tokens":9}"#), (Some(9), 1));
        assert_eq!(limits_in(br#"{"max_output_tokens":null,"n":0}"#), (None, 1));
        assert_eq!(limits_in(br#"{"max_tokens":-1}"#), (None, 1));
        assert_eq!(limits_in(b"[]"), (None, 1));
    }
}
