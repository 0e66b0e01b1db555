//! The price catalogue: what each model of each provider costs, in integer pico-dollars a token.
//!
//! Its lists are made by `cargo xtask prices` and compiled in, a file per version, each of which takes
//! the place of the one before from a moment on. Finding a model reads only its line. Operators set
//! prices of their own with rules, which go before every list.

mod custom_cost;
mod document;
mod list;
pub mod listing;
mod rules;

use std::sync::LazyLock;

use model::AccountId;
use model::prices::PriceRule;
use time::OffsetDateTime;

pub use custom_cost::{InvalidCustomCost, custom_cost};
pub use document::InvalidDocument;
pub use list::List;
pub use model::prices::{Price, Tier, TokenPrices, Variant};
pub use rules::Rules;

/// The lists that this release came with, oldest first. A file that is not named here is not used,
/// which a test tells.
const LISTS: &[&str] = &[include_str!("../data/prices/2026-10-01.jsonl")];

/// Several versions of the price list, and the operator's rules.
#[derive(Debug)]
pub struct Catalogue {
    /// Oldest first.
    lists: &'static [List],
    rules: Rules,
}

/// A price that was found, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// The prices.
    pub price: &'a Price,
    /// The name that they were found by.
    pub name: &'a str,
    /// The list's version, or the rule's id.
    pub version: &'a str,
    /// What the list says of the model, where a rule sets the prices.
    listed: Option<&'a Price>,
    by_rule: bool,
}

impl<'a> Found<'a> {
    /// A price by itself.
    pub fn of(price: &'a Price, name: &'a str, version: &'a str) -> Self {
        Self { price, name, version, listed: None, by_rule: false }
    }

    /// How many tokens the model reads and writes at most, where known.
    pub fn context_window(&self) -> Option<u64> {
        self.price.context_window.or_else(|| self.listed?.context_window)
    }

    /// How many tokens the model produces at most, where known.
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.price.max_output_tokens.or_else(|| self.listed?.max_output_tokens)
    }

    /// Whether the model may think out of sight.
    pub fn reasons(&self) -> bool {
        self.price.reasons || self.listed.is_some_and(|listed| listed.reasons)
    }

    /// Whether the operator set the prices.
    pub fn is_by_rule(&self) -> bool {
        self.by_rule
    }

    /// What the model is: `chat`, `embedding` and so on; empty if not known.
    pub fn mode(&self) -> &'a str {
        let listed = self.listed.map_or("", |listed| listed.mode.as_str());
        if self.price.mode.is_empty() { listed } else { &self.price.mode }
    }
}

static COMPILED: LazyLock<Vec<List>> = LazyLock::new(|| {
    // A list that cannot be indexed prices nothing, so credits refuse everything. A test reads all of them.
    LISTS.iter().filter_map(|text| List::index(text).ok()).collect()
});

static CURRENT: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::new([]));

impl Catalogue {
    /// The catalogue that this release came with, without rules.
    pub fn current() -> &'static Catalogue {
        &CURRENT
    }

    /// The lists of this release under an operator's rules.
    pub fn new(rules: impl IntoIterator<Item = PriceRule>) -> Self {
        Self { lists: &COMPILED, rules: Rules::new(rules) }
    }

    /// Every list, oldest first.
    pub fn lists(&self) -> &'static [List] {
        self.lists
    }

    /// The list that holds at a moment: the last one that was in effect, or the first one for what was
    /// before all of them.
    pub fn at(&self, at: OffsetDateTime) -> Option<&'static List> {
        let began = |list: &&List| list.effective_from() <= at.unix_timestamp();
        self.lists.iter().rev().find(began).or(self.lists.first())
    }

    /// The price of a provider's model for an account at a moment, or `None` if it has none, which never
    /// means free.
    ///
    /// The name is looked for as it is; then without a date at its end (`-2024-07-18`, `-20240718`,
    /// `@20240718`), because providers serve an alias by a dated model; and a fine-tuned model
    /// (`ft:base:organisation:…`) by `ft:base`. A name is never made longer, so an alias does not find a
    /// dated price. For each of these names the rules are asked before the list.
    pub fn price<'a>(
        &'a self,
        account: AccountId,
        provider: &str,
        model: &'a str,
        at: OffsetDateTime,
    ) -> Option<Found<'a>> {
        let list = self.at(at)?;
        let listed = || names(model).find_map(|name| list.get(provider, name));
        names(model).find_map(|name| match self.rules.find(account, provider, name, at) {
            Some(found) => Some(Found { listed: listed(), ..found }),
            None => Some(Found::of(list.get(provider, name)?, name, list.version())),
        })
    }

    /// The price of a request that asked for one model and was served by another: that of the model that
    /// served if it is priced, else that of the one asked for. A rule for the alias that was asked for
    /// holds for the dated model behind it, unless that has a rule of its own.
    pub fn served<'a>(
        &'a self,
        account: AccountId,
        provider: &str,
        served: &'a str,
        asked: &'a str,
        at: OffsetDateTime,
    ) -> Option<Found<'a>> {
        let by =
            |model: &'a str| (!model.is_empty()).then(|| self.price(account, provider, model, at)).flatten();
        let found = by(served);
        let is_alias = asked.len() < served.len() && names(served).skip(1).any(|name| name == asked);
        let by_rule = |found: &Found<'_>| found.by_rule;
        if is_alias && !found.as_ref().is_some_and(by_rule) {
            return by(asked).filter(by_rule).or(found);
        }
        found.or_else(|| by(asked))
    }

    /// The price of a model's pictures of one quality and size, where the list has such: by the piece,
    /// for pictures of which nobody says how many tokens they took.
    pub fn picture(
        &self,
        provider: &str,
        model: &str,
        quality: &str,
        size: &str,
        at: OffsetDateTime,
    ) -> Option<Found<'_>> {
        if size.is_empty() {
            return None;
        }
        let list = self.at(at)?;
        let size = size.replace('x', "-x-");
        let names = [format!("{quality}/{size}/{model}"), format!("{size}/{model}")];
        let (name, price) = names.iter().find_map(|name| list.entry(provider, name))?;
        Some(Found::of(price, name, list.version()))
    }

    /// What usage records name the newest list by.
    pub fn version(&self) -> &'static str {
        self.newest().map_or("", List::version)
    }

    /// From when on the newest list holds, in seconds since 1970.
    pub fn effective_from(&self) -> i64 {
        self.newest().map_or(0, List::effective_from)
    }

    /// The price of a provider's model in the newest list, by the names that [`price`](Self::price) tries.
    pub fn find(&self, provider: &str, model: &str) -> Option<&'static Price> {
        let list = self.newest()?;
        names(model).find_map(|name| list.get(provider, name))
    }

    /// The names and prices of a provider's models in the newest list, in its order.
    pub fn models<'a>(
        &self,
        provider: &'a str,
    ) -> impl Iterator<Item = (&'static str, &'static Price)> + use<'a> {
        self.newest().into_iter().flat_map(move |list| list.models(provider))
    }

    /// The names of a provider's models for which the operator set prices one by one.
    pub fn ruled<'a>(&'a self, provider: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.rules.names(provider)
    }

    fn newest(&self) -> Option<&'static List> {
        self.lists.last()
    }
}

/// The names by which a model is looked for, in their order.
fn names(model: &str) -> impl Iterator<Item = &str> {
    let base = model.strip_prefix("ft:").and_then(|rest| rest.find(':')).map(|end| &model[..end + 3]);
    [Some(model), undated(model), base, base.and_then(undated)].into_iter().flatten()
}

/// The shorter names of a model, by which it is meant too: without its date, and what it was tuned from.
pub fn shorter_names(model: &str) -> impl Iterator<Item = &str> {
    names(model).skip(1)
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
