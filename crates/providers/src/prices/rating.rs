//! From tokens to money.

use model::money::Unrounded;
use model::usage::Tokens;
use model::{Nanos, Picos};

use super::{Price, Tier, TokenPrices, Variant};

impl Price {
    /// What a usage costs, rounded once; `None` if a class that was used has no price.
    ///
    /// A tier that the model has no prices for costs the regular ones. A long input's prices hold for
    /// the whole request.
    pub fn rate(&self, tokens: &Tokens, tier: Tier) -> Option<Nanos> {
        let Tokens {
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            audio_input,
            audio_output,
            image_input,
            image_output,
            cache_write_long,
            cached_audio_input,
            cached_image_input,
        } = *tokens;
        let prices = self.prices(tier, tokens.total_input());
        let classes = [
            (input, prices.input),
            (cached_input, prices.cached_input.or(prices.input)),
            (cache_write, prices.cache_write.or(prices.input)),
            (output, prices.output),
            (reasoning, prices.reasoning.or(prices.output)),
            (audio_input, prices.audio_input.or(prices.input)),
            (audio_output, prices.audio_output.or(prices.output)),
            (image_input, prices.image_input.or(prices.input)),
            (image_output, prices.image_output.or(prices.output)),
            (cache_write_long, prices.cache_write_long.or(prices.cache_write).or(prices.input)),
            (cached_audio_input, prices.cached_audio_input.or(prices.audio_input).or(prices.input)),
            (cached_image_input, prices.cached_image_input.or(prices.image_input).or(prices.input)),
        ];
        let mut sum = Unrounded::default();
        for (units, price) in classes.into_iter().filter(|(units, _)| *units > 0) {
            sum.add(units, price?);
        }
        // A model that is billed in other units has not been rated by its tokens, whatever their number.
        (prices != TokenPrices::default()).then(|| sum.round())
    }

    /// The prices that hold for a tier and a number of tokens read.
    pub fn prices(&self, tier: Tier, input_tokens: u64) -> TokenPrices {
        let longest = |tier| {
            let reached = |variant: &&Variant| {
                let above = variant.above_input_tokens;
                variant.tier == tier && (above == 0 || input_tokens > above)
            };
            self.variants.iter().filter(reached).max_by_key(|variant| variant.above_input_tokens)
        };
        let regular = longest(Tier::Standard);
        let regular_above = regular.map_or(0, |variant| variant.above_input_tokens);
        let regular = regular.map_or(self.tokens, |variant| variant.tokens.with(self.tokens, Option::or));
        match longest(tier) {
            None => regular,
            Some(own) if own.above_input_tokens >= regular_above => own.tokens.with(regular, Option::or),
            // The tier says nothing about inputs this long. Either the request is served as a regular one
            // or in its tier, so the dearer price holds.
            Some(own) => own.tokens.with(regular, Ord::max),
        }
    }

    /// The price of another unit, such as `output_per_image`.
    pub fn unit(&self, name: &str) -> Option<Picos> {
        self.units.get(name).copied()
    }
}

impl TokenPrices {
    /// Each of these prices, put together with the other one of its class.
    fn with(self, other: Self, choice: fn(Option<Picos>, Option<Picos>) -> Option<Picos>) -> Self {
        let Self {
            input,
            cached_input,
            cache_write,
            cache_write_long,
            output,
            reasoning,
            audio_input,
            cached_audio_input,
            audio_output,
            image_input,
            cached_image_input,
            image_output,
        } = self;
        Self {
            input: choice(input, other.input),
            cached_input: choice(cached_input, other.cached_input),
            cache_write: choice(cache_write, other.cache_write),
            cache_write_long: choice(cache_write_long, other.cache_write_long),
            output: choice(output, other.output),
            reasoning: choice(reasoning, other.reasoning),
            audio_input: choice(audio_input, other.audio_input),
            cached_audio_input: choice(cached_audio_input, other.cached_audio_input),
            audio_output: choice(audio_output, other.audio_output),
            image_input: choice(image_input, other.image_input),
            cached_image_input: choice(cached_image_input, other.cached_image_input),
            image_output: choice(image_output, other.image_output),
        }
    }
}
