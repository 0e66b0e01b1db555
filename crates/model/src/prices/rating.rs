//! From a usage to money: the one place where quantities meet prices.

use super::{Price, Tier, TokenPrices, Variant};
use crate::money::{Nanos, Picos, Unrounded};
use crate::usage::{Tokens, Unit};

impl Price {
    /// What a usage costs, rounded once; `None` if something that was used has no price.
    ///
    /// A tier that the model has no prices for costs the regular ones. A long input's prices hold for
    /// the whole request. What stands both in tokens and in units is counted in both: a usage says
    /// everything once.
    pub fn cost(&self, tokens: &Tokens, units: &[Unit], tier: Tier) -> Option<Nanos> {
        let prices = self.prices(tier, tokens.total_input());
        let mut sum = Unrounded::default();
        prices.resolved().add(tokens, &mut sum)?;
        for Unit { name, quantity } in units.iter().filter(|unit| unit.quantity > 0) {
            sum.add(*quantity, self.unit(name)?);
        }
        // A model that is billed in other units has not been rated by its tokens, whatever their number.
        (prices != TokenPrices::default() || !units.is_empty()).then(|| sum.round())
    }

    /// What a usage in nothing but tokens costs.
    pub fn rate(&self, tokens: &Tokens, tier: Tier) -> Option<Nanos> {
        self.cost(tokens, &[], tier)
    }

    /// The prices that hold for a tier and a number of tokens read.
    ///
    /// A class that costs what its base class costs in the regular list does so in every other one, unless
    /// that says otherwise: a tier with another price of output has it for reasoning too.
    pub fn prices(&self, tier: Tier, input_tokens: u64) -> TokenPrices {
        let longest = |tier| {
            let reached = |variant: &&Variant| {
                let above = variant.above_input_tokens;
                variant.tier == tier && (above == 0 || input_tokens > above)
            };
            self.variants.iter().filter(reached).max_by_key(|variant| variant.above_input_tokens)
        };
        let own_classes = self.tokens.own_classes();
        let regular = longest(Tier::Standard);
        let regular_above = regular.map_or(0, |variant| variant.above_input_tokens);
        let regular = regular.map_or(own_classes, |variant| variant.tokens.with(own_classes, Option::or));
        match longest(tier) {
            None => regular,
            Some(own) if own.above_input_tokens >= regular_above => own.tokens.with(regular, Option::or),
            // The tier says nothing about inputs this long. Either the request is served as a regular one
            // or in its tier, so the dearer price holds.
            Some(own) => {
                let own = own.tokens.with(own_classes, Option::or);
                own.resolved().with(regular.resolved(), Ord::max)
            }
        }
    }

    /// The most that each class can cost in one of these tiers, for at most so many tokens read.
    pub fn dearest(&self, tiers: &[Tier], input_tokens: u64) -> TokenPrices {
        let beyond = self.variants.iter().map(|variant| variant.above_input_tokens);
        let reached = beyond.filter(|above| *above < input_tokens).map(|above| above + 1);
        let lengths: Vec<u64> = reached.chain([0]).collect();
        let mut dearest = TokenPrices::default();
        for tier in tiers {
            for length in &lengths {
                dearest = self.prices(*tier, *length).resolved().with(dearest, Ord::max);
            }
        }
        dearest
    }

    /// The price of another unit, such as `output_per_image`.
    pub fn unit(&self, name: &str) -> Option<Picos> {
        self.units.get(name).copied()
    }

    /// Whether there is any price here at all.
    pub fn is_priced(&self) -> bool {
        self.tokens != TokenPrices::default() || !self.units.is_empty()
    }
}

impl TokenPrices {
    /// Every class with the price that it costs: its own, or that of the class it is a kind of.
    pub fn resolved(self) -> Self {
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
        let cache_write = cache_write.or(input);
        let (audio_input, image_input) = (audio_input.or(input), image_input.or(input));
        Self {
            input,
            cached_input: cached_input.or(input),
            cache_write,
            cache_write_long: cache_write_long.or(cache_write),
            output,
            reasoning: reasoning.or(output),
            audio_input,
            cached_audio_input: cached_audio_input.or(audio_input),
            audio_output: audio_output.or(output),
            image_input,
            cached_image_input: cached_image_input.or(image_input),
            image_output: image_output.or(output),
        }
    }

    /// Without the classes that cost what their base class costs.
    fn own_classes(self) -> Self {
        let all = self.resolved();
        let differs = |price: Option<Picos>, base: Option<Picos>| price.filter(|_| price != base);
        Self {
            input: self.input,
            cached_input: differs(self.cached_input, self.input),
            cache_write: differs(self.cache_write, self.input),
            cache_write_long: differs(self.cache_write_long, all.cache_write),
            output: self.output,
            reasoning: differs(self.reasoning, self.output),
            audio_input: differs(self.audio_input, self.input),
            cached_audio_input: differs(self.cached_audio_input, all.audio_input),
            audio_output: differs(self.audio_output, self.output),
            image_input: differs(self.image_input, self.input),
            cached_image_input: differs(self.cached_image_input, all.image_input),
            image_output: differs(self.image_output, self.output),
        }
    }

    /// Adds up all tokens at these prices; `None` if a class that was used has none.
    fn add(&self, tokens: &Tokens, sum: &mut Unrounded) -> Option<()> {
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
        let classes: [(u64, Option<Picos>); 12] = [
            (input, self.input),
            (cached_input, self.cached_input),
            (cache_write, self.cache_write),
            (cache_write_long, self.cache_write_long),
            (output, self.output),
            (reasoning, self.reasoning),
            (audio_input, self.audio_input),
            (cached_audio_input, self.cached_audio_input),
            (audio_output, self.audio_output),
            (image_input, self.image_input),
            (cached_image_input, self.cached_image_input),
            (image_output, self.image_output),
        ];
        for (units, price) in classes.into_iter().filter(|(units, _)| *units > 0) {
            sum.add(units, price?);
        }
        Some(())
    }
}
