//! Prices: what a model costs by class of token and by other units, in integer pico-dollars; how a
//! usage is rated; and the rules by which operators and accounts set prices of their own.

pub mod decimal;
mod rating;
mod rule;
pub mod token_pricing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::Picos;

pub use rule::{ModelRule, PriceRule};

/// The prices of one model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Price {
    /// What it is: `chat`, `embedding`, `image_generation` and so on; empty if not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// How many tokens it reads and writes at most, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// How many tokens it produces at most, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Whether it may think out of sight, so that less is seen than is billed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reasons: bool,
    /// The regular prices of tokens.
    pub tokens: TokenPrices,
    /// Other prices: of service tiers, and of long inputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// Prices of other units, such as `output_per_image`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, Picos>,
}

macro_rules! token_prices {
    ($($class:ident),* $(,)?) => {
        /// Prices by class of token. A class without a price of its own costs what its base class costs:
        /// `input` for what is read, `output` for what is produced.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(default)]
        #[expect(missing_docs, reason = "the names are those of `model::usage::Tokens`")]
        pub struct TokenPrices {
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $class: Option<Picos>,)*
        }

        impl TokenPrices {
            /// Each of these prices, put together with the other one of its class.
            pub(super) fn with(self, other: Self, choice: fn(Option<Picos>, Option<Picos>) -> Option<Picos>) -> Self {
                Self { $($class: choice(self.$class, other.$class),)* }
            }

            /// The classes' names, each with its price.
            pub fn by_class(&self) -> impl Iterator<Item = (&'static str, Picos)> {
                [$((stringify!($class), self.$class),)*].into_iter().filter_map(|(name, price)| Some((name, price?)))
            }

            /// A class by its name, to be set; `None` if there is none of that name.
            pub fn class_mut(&mut self, name: &str) -> Option<&mut Option<Picos>> {
                match name {
                    $(stringify!($class) => Some(&mut self.$class),)*
                    _ => None,
                }
            }
        }
    };
}

token_prices! {
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
}

/// Prices that take the place of the regular ones, each where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// For requests of this tier.
    pub tier: Tier,
    /// For requests that read more tokens than this; all of their tokens cost it.
    #[serde(default)]
    pub above_input_tokens: u64,
    /// The prices.
    pub tokens: TokenPrices,
}

/// Which price list a request is served by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The regular one.
    #[default]
    Standard,
    /// Within a day, cheaper.
    Batch,
    /// Slower, cheaper.
    Flex,
    /// Faster, dearer.
    Priority,
    /// Fastest, dearest.
    Ultrafast,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Standard, Self::Batch, Self::Flex, Self::Priority, Self::Ultrafast];

    /// As the price list and the providers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
        }
    }

    /// The tier that an answer names. OpenAI calls the regular one `default`, `auto` before it has
    /// decided, and takes `fast` for `priority`.
    pub fn from_word(word: &str) -> Self {
        match word {
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "priority" | "fast" => Self::Priority,
            "ultrafast" => Self::Ultrafast,
            _ => Self::Standard,
        }
    }
}

#[cfg(test)]
mod tests;
