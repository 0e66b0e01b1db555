//! What a request on its own key takes of limits on money and tokens, as far as it can be read in it.

use model::Nanos;
use model::money::Unrounded;
use model::prices::{Tier, TokenPrices};
use model::usage::Measure;
use providers::Endpoint;
use providers::catalog::Dialect;
use providers::credits::{self, bound::LEAST_OUTPUT};
use providers::google::Limits;
use providers::prices::Found;
use providers::rated;
use providers::request::InvalidBody;
use providers::scan::{self, Kind, Malformed, Member};
use serde_json::Value;

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
    /// Of which the dearer ones hold.
    prices: [Option<TokenPrices>; 2],
    /// What it costs at least, if its question says that.
    known_cost: Nanos,
    /// Whether it is answered when it is over, so that its answer says what it cost.
    is_later: bool,
    /// What in the question has no price, whatever the model costs.
    unpriced: Option<&'static str>,
    is_free: bool,
}

impl Estimate {
    /// No token is shorter than a byte, and no conversation longer than its model's context. Where the
    /// caller names no limit of output, it is the model's, or else the gateway's. `method` is what is done.
    pub fn of(
        rating: &Rating,
        inquiry: &Inquiry,
        method: &str,
        max_output_tokens: u32,
    ) -> Result<Self, InvalidBody> {
        let found: Vec<_> = rating.prices().collect();
        let context = found.iter().find_map(|found| found.context_window()).unwrap_or(u64::MAX);
        let longest = found.iter().find_map(|found| found.max_output_tokens());
        let Asked { answers, speaks, is_later } = Asked::read(rating.endpoint, &inquiry.text)?;
        let is_googles = rating.endpoint.dialect() == Some(Dialect::Google);
        let (named, answers) = match is_googles && rating.endpoint.writes_text() {
            true => {
                let limits = Limits::read(&inquiry.text)?;
                (limits.output, limits.answers)
            }
            false => (limit_in(&inquiry.text), answers),
        };
        let output = match rating.endpoint {
            endpoint if endpoint.writes_text() => {
                named.or(longest).unwrap_or(max_output_tokens.into()).saturating_mul(answers)
            }
            _ => 0,
        };
        let input = (inquiry.text.len() as u64).min(context);
        let dearest = |found: &Found<'_>| {
            let prices = found.price.dearest(&Tier::ALL, input);
            let output = if speaks { prices.output.max(prices.audio_output) } else { prices.output };
            // Google's models may speak and paint without being asked for it.
            let more = if is_googles { prices.audio_output.max(prices.image_output) } else { None };
            let output = output.max(more);
            TokenPrices { output, ..prices }
        };
        let prices = [found.first().map(dearest), found.get(1).map(dearest)];
        let known_cost =
            |found| credits::known_cost(rating.server.provider, rating.endpoint, &inquiry.text, found);
        let known_cost = found.iter().filter_map(known_cost).max().unwrap_or_default();
        let is_bounded = output == 0 || named.is_some();
        // Keeping and fetching costs nothing to speak of; what else is begun, nobody here knows the cost of.
        let is_free = rating.endpoint.is_free() || method != "POST";
        // What is begun and not answered has no price, though its model has.
        let prices = if rating.endpoint.runs_a_model() { prices } else { [None; 2] };
        let unpriced = rated::unpriced(rating.endpoint, &inquiry.text);
        Ok(Self {
            input,
            output,
            is_bounded,
            is_counted: false,
            prices,
            known_cost,
            is_later,
            unpriced,
            is_free,
        })
    }

    /// Whether it is known what it costs: nothing, or what its model's price comes to.
    pub fn is_priced(&self) -> bool {
        !self.is_later && self.unpriced.is_none() && (self.prices[0].is_some() || self.is_free)
    }

    /// The member of its question because of which that is not known.
    pub fn unpriced(&self) -> Option<&'static str> {
        self.unpriced
    }

    /// Whether its answer comes before it is over.
    pub fn is_later(&self) -> bool {
        self.is_later
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
        costs.max().unwrap_or_default().max(self.known_cost)
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

/// What a body says of how much is made, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    /// How many answers.
    answers: u64,
    /// Whether they may be spoken.
    speaks: bool,
    /// Whether they are made after the request was answered.
    is_later: bool,
}

impl Asked {
    /// What is read here multiplies what is set aside, so it is refused if it can be read in two ways.
    fn read(endpoint: Endpoint, body: &[u8]) -> Result<Self, InvalidBody> {
        const NAMES: [&str; 5] = ["n", "best_of", "prompt", "modalities", "background"];
        let [n, best_of, prompt, modalities, background] = match scan::members_of_text(body, &NAMES) {
            Err(twice @ Malformed::Twice(_)) => return Err(twice.into()),
            found => found.unwrap_or_default(),
        };
        let number = |field, member: Option<Member>| -> Result<u64, InvalidBody> {
            match member {
                None => Ok(1),
                Some(member) if member.kind == Kind::Null => Ok(1),
                Some(member) => {
                    let digits =
                        str::from_utf8(&body[member.span]).ok().and_then(|digits| digits.parse().ok());
                    digits.ok_or(InvalidBody::WrongType { field, expected: "a whole number" })
                }
            }
        };
        let each = number(NAMES[0], n)?.max(number(NAMES[1], best_of)?).max(1);
        let is_prompted = endpoint == Endpoint::Completions;
        let prompts = prompt.filter(|prompt| is_prompted && prompt.kind == Kind::List);
        let prompts =
            prompts.and_then(|prompt| serde_json::from_slice::<Vec<Value>>(&body[prompt.span]).ok());
        // A list of numbers is the tokens of one prompt.
        let prompts = prompts.unwrap_or_default().iter().filter(|prompt| !prompt.is_number()).count() as u64;
        Ok(Self {
            answers: each.saturating_mul(prompts.max(1)),
            speaks: modalities.is_some_and(|modalities| modalities.kind == Kind::List),
            is_later: background.is_some_and(|background| background.kind == Kind::True),
        })
    }
}

/// The limit of output that a body names. What cannot be read is as if it were not there: then the
/// longest answer is set aside.
fn limit_in(body: &[u8]) -> Option<u64> {
    const NAMES: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    let members = scan::members_of_text(body, &NAMES).ok()?;
    let number = |member: Member| str::from_utf8(&body[member.span]).ok()?.parse::<u64>().ok();
    members.into_iter().flatten().filter_map(number).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_output_is_read_by_any_of_its_names() {
        assert_eq!(limit_in(br#"{"max_tokens":7,"n":3}"#), Some(7));
        assert_eq!(limit_in(br#"{"max_completion_tokens":9}"#), Some(9));
        assert_eq!(limit_in(br#"{"max_output_tokens":null}"#), None);
        assert_eq!(limit_in(br#"{"max_tokens":-1}"#), None);
        assert_eq!(limit_in(br#"{"max_tokens":1,"max_tokens":2}"#), None);
        assert_eq!(limit_in(b"[]"), None);
    }

    #[test]
    fn how_much_is_made_is_read_in_one_way_or_not_at_all() {
        let answers =
            |endpoint, body: &str| Asked::read(endpoint, body.as_bytes()).map(|asked| asked.answers);
        assert_eq!(answers(Endpoint::ChatCompletions, r#"{"n":3,"prompt":["a","b"]}"#), Ok(3));
        assert_eq!(answers(Endpoint::Completions, r#"{"n":2,"best_of":5,"prompt":["a",[1,2]]}"#), Ok(10));
        assert_eq!(answers(Endpoint::Completions, r#"{"n":null,"prompt":[1,2,3]}"#), Ok(1));
        assert_eq!(answers(Endpoint::Completions, "[]"), Ok(1));
        for (body, field) in
            [(r#"{"n":1,"\u006e":128}"#, "n"), (r#"{"n":1.28e2}"#, "n"), (r#"{"best_of":"9"}"#, "best_of")]
        {
            let refused = answers(Endpoint::Completions, body).unwrap_err();
            assert_eq!(refused.field(), Some(field), "{body}");
        }
        let later = |body: &str| Asked::read(Endpoint::Responses, body.as_bytes()).unwrap().is_later;
        assert!(later(r#"{"background":true}"#) && !later(r#"{"background":false}"#));
    }
}
