//! How much a request on credits can cost at most: a bound that the provider obeys, because it is told.

use std::ops::RangeInclusive;

use model::Nanos;
use model::money::Unrounded;
use model::prices::{Tier, TokenPrices};

use super::facts::Cache;
use super::input::Input;
use super::{Facts, Forbidden, pictures, sold};
use crate::catalog::Provider;
use crate::endpoint::Endpoint;
use crate::prices::Found;
use crate::splice::Splices;

/// The limit of output of a gateway that has none of its own, for requests that name none.
pub const DEFAULT_OUTPUT: u64 = 16_384;
/// An answer is not cut shorter than this because of what a balance affords.
pub const LEAST_OUTPUT: u64 = 256;
/// A stream whose output is all seen is paid for in steps of so many tokens.
pub const STEP: u64 = 2_048;
/// The most that an account has in Redis: four million dollars.
const MOST_HELD: Nanos = Nanos(4_000_000_000_000_000);

/// What to set aside for a request, and what the provider must be told so that it suffices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// What is set aside before the provider is called: all of it, or the first step.
    pub hold: Nanos,
    /// The most that the request can cost.
    pub whole: Nanos,
    /// What its input costs by an estimate: the least that is charged if it is abandoned.
    pub floor: Nanos,
    /// The most tokens that are read.
    pub input_tokens: u64,
    /// The most tokens that are produced, by all answers together.
    pub output_tokens: u64,
    /// Whether a stream shows all the output that is billed, so that what came of one can be counted.
    pub is_visible: bool,
    /// After how many tokens of output more must be set aside; `None` if all of it is.
    pub step: Option<u64>,
    /// The limit that each answer was given here, for `tollgate-output-limit`; `None` if the caller's
    /// own one stands, or there is nothing to limit.
    pub output_limit: Option<u64>,
    /// What everything but the output costs.
    base: Unrounded,
    output: model::Picos,
}

/// Why a request has no bound that can be held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbounded {
    /// The balance does not suffice for the shortest answer; 402.
    #[error("On credits this request needs ${needed}, and ${available} can be spent")]
    TooLittle {
        /// What it costs at least to hold.
        needed: Nanos,
        /// What there is.
        available: Nanos,
    },
    /// The model has no price for what the request does; 400.
    #[error("On credits `{model}` is not available: it has no price for {what}")]
    Unpriced {
        /// The model.
        model: String,
        /// What has no price.
        what: &'static str,
    },
    /// Something has no bound that is known here; 400.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// The bound of a permitted request, at the dearest prices that may come to hold.
///
/// `max_output_tokens` is the gateway's, for requests that name no limit; `affordable` is what the
/// provider's bill may be at most: what can be spent, before a markup.
pub fn bound(
    provider: &Provider,
    facts: &Facts,
    found: &Found<'_>,
    max_output_tokens: u64,
    affordable: Nanos,
) -> Result<Bound, Unbounded> {
    // No account holds more, so that what is held is never a number that Redis would not count exactly.
    let affordable = affordable.min(MOST_HELD);
    sold::check(facts, found)?;
    let input = Input::at_most(facts, found)?;
    let dearest = found.price.dearest(tiers(facts), input.tokens());
    let priced = Priced { facts, found, dearest };
    match facts.endpoint {
        Endpoint::Speech => priced.speech(affordable),
        Endpoint::ImageGenerations => priced.pictures(input, affordable),
        Endpoint::Embeddings | Endpoint::Moderations => priced.input_alone(input, affordable),
        Endpoint::CountTokens => Bound::of(Unrounded::default(), Nanos::ZERO, 0).at_once(affordable),
        _ => priced.text(provider, input, max_output_tokens, affordable),
    }
}

/// The tiers that may serve. Where the caller does not name the regular one, the operator's project may
/// be set to the fast one.
fn tiers(facts: &Facts) -> &'static [Tier] {
    match facts.endpoint {
        Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Messages
            if facts.credits.may_be_fast && !facts.standard_tier =>
        {
            &[Tier::Standard, Tier::Priority]
        }
        _ => &[Tier::Standard],
    }
}

struct Priced<'a> {
    facts: &'a Facts,
    found: &'a Found<'a>,
    dearest: TokenPrices,
}

impl Priced<'_> {
    fn text(
        self,
        provider: &Provider,
        input: Input,
        max_output_tokens: u64,
        affordable: Nanos,
    ) -> Result<Bound, Unbounded> {
        let (facts, own) = (self.facts, &self.found.price.tokens);
        if facts.speaks && own.audio_output.is_none() {
            return Err(self.unpriced("sound that it produces"));
        }
        if facts.sounds > 0 && own.audio_input.is_none() {
            return Err(self.unpriced("sound that it reads"));
        }
        let spoken = self.dearest.audio_output.filter(|_| facts.speaks);
        let output = self.dearest.output.max(self.dearest.reasoning).max(spoken);
        let output = output.ok_or_else(|| self.unpriced("text that it produces"))?;
        let named = facts.limit_tokens();
        let default = facts.credits.completion_output.filter(|_| facts.endpoint == Endpoint::Completions);
        let most = self.found.max_output_tokens().filter(|most| *most > 0).unwrap_or(u64::MAX);
        let wanted = named.or(default).unwrap_or(max_output_tokens).min(most).max(1);
        let outputs = facts.outputs();
        let mut bound = self.base(input)?.with(output, wanted.saturating_mul(outputs));
        // What may be thought must leave room for what is said.
        let least =
            wanted.min(facts.budget.map_or(LEAST_OUTPUT, |budget| budget.saturating_add(LEAST_OUTPUT)));
        let thought = self.thought_beside(most)?;
        let each = match thought {
            // No limit makes it cheaper.
            Some(thought) => {
                bound.affording(affordable, thought..=thought, outputs)?;
                wanted
            }
            None => bound.affording(affordable, least..=wanted, outputs)?,
        };
        bound.output_tokens = thought.unwrap_or(each).saturating_mul(outputs);
        bound.whole = bound.up_to(bound.output_tokens);
        bound.output_limit = (named.or(default) != Some(each)).then_some(each);
        bound.is_visible = provider.output_is_visible && !self.found.reasons() && !facts.speaks;
        // Cutting a stream off saves only where the provider then stops, and where all was seen so far.
        let in_steps = facts.stream && bound.is_visible && provider.stops_billing_on_cancel;
        bound.step = (in_steps && bound.output_tokens > STEP).then_some(STEP);
        bound.hold = bound.up_to(bound.step.unwrap_or(bound.output_tokens));
        Ok(bound)
    }

    /// How long an answer may get with what is thought, whatever its limit, where the limit does not hold
    /// for that; `None` if it does, or the model does not think.
    fn thought_beside(&self, most: u64) -> Result<Option<u64>, Forbidden> {
        let (facts, found) = (self.facts, self.found);
        let may_think = match facts.thinks {
            Some(true) => true,
            Some(false) if facts.is_switchable() => false,
            // Of what the list does not have nobody knows.
            _ => found.reasons() || found.mode().is_empty(),
        };
        match may_think && !facts.credits.limits_thought {
            false => Ok(None),
            true if most < u64::MAX => Ok(Some(most)),
            true => {
                let rule = "must be a model whose longest answer is known: here no other limit holds for what \
                            is thought";
                Err(Forbidden::field("model", rule))
            }
        }
    }

    fn input_alone(self, input: Input, affordable: Nanos) -> Result<Bound, Unbounded> {
        self.base(input)?.at_once(affordable)
    }

    fn pictures(self, input: Input, affordable: Nanos) -> Result<Bound, Unbounded> {
        let facts = self.facts;
        let per_picture = ["output_per_image", "input_per_image"].map(|unit| self.found.price.unit(unit));
        if let ([Some(price), _] | [None, Some(price)], true) =
            (per_picture, self.found.price.tokens == TokenPrices::default())
        {
            let mut bound = Bound::of(Unrounded::default(), Nanos::ZERO, 0);
            bound.base.add(facts.outputs(), price);
            return bound.at_once(affordable);
        }
        let made =
            pictures::made(facts.credits.painted, &facts.model, &facts.size, &facts.quality, facts.drafts);
        let made = made.map_err(|(member, rule)| Forbidden::field(member, rule))?;
        let painted = self.dearest.image_output.ok_or_else(|| self.unpriced("pictures that it produces"))?;
        let mut bound = self.base(input)?;
        bound.base.add(made.saturating_mul(facts.outputs()), painted);
        bound.output_tokens = made.saturating_mul(facts.outputs());
        if let Some(written) = self.dearest.output {
            let captions = pictures::CAPTION_TOKENS.saturating_mul(facts.outputs());
            bound.base.add(captions, written);
            bound.output_tokens = bound.output_tokens.saturating_add(captions);
        }
        bound.at_once(affordable)
    }

    fn speech(self, affordable: Nanos) -> Result<Bound, Unbounded> {
        let Some(price) = self.found.price.unit("input_per_character") else {
            if self.found.price.is_priced() {
                let rule = "must be a model that is billed by the character: how long another one speaks is not \
                            bounded";
                return Err(Forbidden::field("model", rule).into());
            }
            return Err(self.unpriced("speech"));
        };
        let mut bound = Bound::of(Unrounded::default(), Nanos::ZERO, 0);
        bound.base.add(self.facts.spoken, price);
        bound.floor = bound.base.round();
        bound.at_once(affordable)
    }

    /// The cost of what is read.
    fn base(&self, input: Input) -> Result<Bound, Unbounded> {
        let prices = &self.dearest;
        let text = prices.input.map(|price| {
            let cached = [prices.cached_input, prices.cache_write, prices.cache_write_long];
            // Where nothing is written that was not asked to be, this says how dear it can get.
            let classes = match (self.facts.endpoint, self.facts.cache) {
                (Endpoint::Messages, Cache::Never) => 1,
                (Endpoint::Messages, Cache::Short) => 2,
                _ => 3,
            };
            cached.into_iter().take(classes).flatten().fold(price, Ord::max)
        });
        let text = text.ok_or_else(|| self.unpriced("text that it reads"))?;
        let or_text = |classes: [Option<model::Picos>; 2]| classes.into_iter().flatten().fold(text, Ord::max);
        let mut base = Unrounded::default();
        base.add(input.text, text);
        base.add(input.pictures, or_text([prices.image_input, prices.cached_image_input]));
        base.add(input.sound, or_text([prices.audio_input, prices.cached_audio_input]));
        let mut floor = Unrounded::default();
        let estimated = self.facts.estimated().min(input.tokens());
        if let Some(regular) = self.found.price.prices(Tier::Standard, estimated).input {
            floor.add(estimated, regular);
        }
        Ok(Bound::of(base, floor.round(), input.tokens()))
    }

    fn unpriced(&self, what: &'static str) -> Unbounded {
        Unbounded::Unpriced { model: self.facts.model.clone(), what }
    }
}

impl Bound {
    fn of(base: Unrounded, floor: Nanos, input_tokens: u64) -> Self {
        Self {
            hold: Nanos::ZERO,
            whole: Nanos::ZERO,
            floor,
            input_tokens,
            output_tokens: 0,
            is_visible: false,
            step: None,
            output_limit: None,
            base,
            output: model::Picos(0),
        }
    }

    fn with(self, output: model::Picos, output_tokens: u64) -> Self {
        Self { output, output_tokens, ..self }
    }

    /// What the request costs at most if it produces so many tokens.
    pub fn up_to(&self, output_tokens: u64) -> Nanos {
        let mut sum = self.base;
        sum.add(output_tokens, self.output);
        sum.round()
    }

    /// What the request costs at most if it reads and produces no more than so many tokens together:
    /// what is affordable under a limit of tokens. Nothing, if its input alone may be more.
    pub fn up_to_tokens(&self, tokens: i64) -> Nanos {
        let tokens = u64::try_from(tokens).unwrap_or_default();
        tokens.checked_sub(self.input_tokens).map_or(Nanos::ZERO, |output| self.up_to(output))
    }

    /// The most tokens that are read and produced, for limits that count them.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Held whole, if that is affordable.
    fn at_once(mut self, affordable: Nanos) -> Result<Self, Unbounded> {
        self.whole = self.base.round();
        self.hold = self.whole;
        match self.hold <= affordable {
            true => Ok(self),
            false => Err(Unbounded::TooLittle { needed: self.hold, available: affordable }),
        }
    }

    /// How long each of `outputs` answers may be, of so many tokens.
    fn affording(
        &self,
        affordable: Nanos,
        each: RangeInclusive<u64>,
        outputs: u64,
    ) -> Result<u64, Unbounded> {
        let (least, wanted) = each.into_inner();
        let cost = |each: u64| self.up_to(each.saturating_mul(outputs));
        if cost(wanted) <= affordable {
            return Ok(wanted);
        }
        if cost(least) > affordable {
            return Err(Unbounded::TooLittle { needed: cost(least), available: affordable });
        }
        // The longest that is affordable, between one that is and one that is not.
        let (mut affordable_one, mut beyond) = (least, wanted);
        while beyond - affordable_one > 1 {
            let middle = affordable_one + (beyond - affordable_one) / 2;
            if cost(middle) <= affordable { affordable_one = middle } else { beyond = middle }
        }
        Ok(affordable_one)
    }

    /// Tells the provider: the limit of output, and that nothing is to be stored.
    pub fn splice(&self, facts: &Facts, body: &[u8], splices: &mut Splices) {
        let may_store = matches!(facts.endpoint, Endpoint::ChatCompletions | Endpoint::Responses);
        if facts.credits.stores && may_store {
            match &facts.store {
                None => splices.insert(body, "store", "false"),
                Some(store) if &body[store.span.clone()] != b"false" => splices.replace(store, "false"),
                Some(_) => {}
            }
        }
        let Some(limit) = self.output_limit else { return };
        match &facts.limit {
            Some(named) => splices.replace(&named.member, limit.to_string()),
            None => splices.insert(body, facts.limit_member(), &limit.to_string()),
        }
    }
}

impl Facts {
    /// What a limit of output is called.
    pub(super) fn limit_member(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Responses => "max_output_tokens",
            Endpoint::Completions | Endpoint::Messages => "max_tokens",
            _ if self.takes_older_limit() => "max_tokens",
            _ => self.credits.limit,
        }
    }

    /// Whether the model does not think if it is told not to.
    fn is_switchable(&self) -> bool {
        self.credits.switchable.iter().any(|beginning| self.model.starts_with(beginning))
    }

    /// Whether the model is of those that know the limit by its older name: one of them, or a dated or
    /// named version of it.
    fn takes_older_limit(&self) -> bool {
        let is_version = |older: &&'static str| {
            self.model.strip_prefix(older).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        self.credits.older_limit.iter().any(is_version)
    }
}
