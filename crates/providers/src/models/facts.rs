//! What a model costs, in the words of strategies that choose among models.

use model::Picos;
use model::prices::{Price, Tier};

/// Prices by what is paid for, in dollars per million tokens. They are compared and shown, and never
/// computed with.
pub fn pricing(price: &Price) -> Vec<(&'static str, f64)> {
    let regular = &price.tokens;
    let batch =
        price.variants.iter().find(|variant| variant.tier == Tier::Batch && variant.above_input_tokens == 0);
    let batch = batch.map(|variant| variant.tokens).unwrap_or_default();
    let priced = [
        ("text.input", regular.input),
        ("text.output", regular.output),
        ("text.input_cache_write", regular.cache_write),
        ("text.input_cache_read", regular.cached_input),
        ("text.input_batch", batch.input),
        ("text.output_batch", batch.output),
    ];
    priced.into_iter().filter_map(|(what, price)| Some((what, per_million(price?)))).collect()
}

/// Dollars for a million tokens.
pub(super) fn per_million(price: Picos) -> f64 {
    price.0 as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::Catalogue;

    #[test]
    fn a_price_is_told_by_the_million() {
        let price = Catalogue::current().find("openai", "gpt-4o").unwrap();
        let expected = [
            ("text.input", 2.5),
            ("text.output", 10.0),
            ("text.input_cache_read", 1.25),
            ("text.input_batch", 1.25),
            ("text.output_batch", 5.0),
        ];
        assert_eq!(pricing(price), expected);
        assert!(pricing(&Price::default()).is_empty());
    }
}
