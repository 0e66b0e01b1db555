//! The price catalogue: what each model of each provider costs, in integer pico-dollars a token.
//!
//! It is made by `cargo xtask prices` and compiled in. Finding a model reads only its line.

mod document;
mod rating;

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, OnceLock};

use model::Picos;
use serde::Deserialize;

pub use document::InvalidDocument;

/// The prices of one model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Price {
    /// What it is: `chat`, `embedding`, `image_generation` and so on; empty if not known.
    pub mode: String,
    /// How many tokens it reads and writes at most, where known.
    pub context_window: Option<u64>,
    /// How many tokens it produces at most, where known.
    pub max_output_tokens: Option<u64>,
    /// Whether it may think out of sight, so that less is seen than is billed.
    pub reasons: bool,
    /// The regular prices of tokens.
    pub tokens: TokenPrices,
    /// Other prices: of service tiers, and of long inputs.
    pub variants: Vec<Variant>,
    /// Prices of other units, such as `output_per_image`.
    pub units: BTreeMap<String, Picos>,
}

/// Prices by class of token. A class without a price of its own costs what its base class costs:
/// `input` for what is read, `output` for what is produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are those of `model::usage::Tokens`")]
pub struct TokenPrices {
    pub input: Option<Picos>,
    pub cached_input: Option<Picos>,
    pub cache_write: Option<Picos>,
    pub cache_write_long: Option<Picos>,
    pub output: Option<Picos>,
    pub reasoning: Option<Picos>,
    pub audio_input: Option<Picos>,
    pub cached_audio_input: Option<Picos>,
    pub audio_output: Option<Picos>,
    pub image_input: Option<Picos>,
    pub cached_image_input: Option<Picos>,
    pub image_output: Option<Picos>,
}

/// Prices that take the place of the regular ones, each where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
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
}

impl Tier {
    /// As the price list and the providers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }

    /// The tier that an answer names. OpenAI calls the regular one `default`, and `auto` before it
    /// has decided.
    pub fn from_word(word: &str) -> Self {
        match word {
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            _ => Self::Standard,
        }
    }
}

/// One version of the price catalogue.
#[derive(Debug)]
pub struct Catalogue {
    header: document::Header,
    /// By provider, then by model.
    entries: HashMap<&'static str, HashMap<&'static str, Entry>>,
    /// Providers and models in the file's order.
    order: Vec<(&'static str, &'static str)>,
}

#[derive(Debug)]
struct Entry {
    line: &'static str,
    price: OnceLock<Option<Price>>,
}

static CURRENT: LazyLock<Catalogue> = LazyLock::new(|| {
    // A file that cannot be indexed prices nothing, so credits refuse everything. A test reads all of it.
    Catalogue::index(include_str!("../data/prices.jsonl")).unwrap_or_else(|_| Catalogue {
        header: document::Header::default(),
        entries: HashMap::new(),
        order: Vec::new(),
    })
});

impl Catalogue {
    /// The catalogue that this release came with.
    pub fn current() -> &'static Catalogue {
        &CURRENT
    }

    /// What usage records name it by.
    pub fn version(&self) -> &str {
        &self.header.version
    }

    /// From when on it holds, in seconds since 1970.
    pub fn effective_from(&self) -> i64 {
        self.header.effective_from
    }

    /// The price of a provider's model, or `None` if it has none, which never means free.
    ///
    /// The name is looked for as it is; then without a date at its end (`-2024-07-18`, `-20240718`,
    /// `@20240718`), because providers serve an alias by a dated model; and a fine-tuned model
    /// (`ft:base:organisation:…`) by `ft:base`. A name is never made longer, so an alias does not find a
    /// dated price.
    pub fn find(&self, provider: &str, model: &str) -> Option<&Price> {
        let base = model.strip_prefix("ft:").and_then(|rest| rest.find(':')).map(|end| &model[..end + 3]);
        let names = [Some(model), undated(model), base, base.and_then(undated)];
        names.into_iter().flatten().find_map(|name| self.exact(provider, name))
    }

    /// The names and prices of a provider's models, in the catalogue's order.
    pub fn models<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = (&'a str, &'a Price)> {
        let names = self.order.iter().filter(move |(of, _)| *of == provider);
        names.filter_map(|(provider, model)| Some((*model, self.exact(provider, model)?)))
    }

    fn exact(&self, provider: &str, model: &str) -> Option<&Price> {
        let entry = self.entries.get(provider)?.get(model)?;
        entry.price.get_or_init(|| document::price(entry.line).ok()).as_ref()
    }

    /// Cuts a file into lines by name, without reading the prices.
    fn index(text: &'static str) -> Result<Self, InvalidDocument> {
        let (header, lines) = document::lines(text)?;
        let mut entries: HashMap<_, HashMap<_, _>> = HashMap::new();
        let mut order = Vec::with_capacity(4096);
        for line in lines {
            let ((provider, model), line) = line?;
            order.push((provider, model));
            entries.entry(provider).or_default().insert(model, Entry { line, price: OnceLock::new() });
        }
        Ok(Self { header, entries, order })
    }
}

/// The name without a date at its end.
fn undated(model: &str) -> Option<&str> {
    let dated = |length: usize, shape: &str| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(length)?)?;
        let fits = date.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            shape => byte == shape,
        });
        (fits && !name.is_empty()).then_some(name)
    };
    dated(11, "-0000-00-00").or_else(|| dated(9, "-00000000")).or_else(|| dated(9, "@00000000"))
}

#[cfg(test)]
mod tests;
