use proptest::prelude::*;

use super::*;
use crate::money::{Nanos, Unrounded};
use crate::usage::{Tokens, Unit};

fn prices(tokens: [Option<i64>; 12]) -> TokenPrices {
    let mut prices = TokenPrices::default();
    let names: Vec<_> = TokenPrices { ..filled() }.by_class().map(|(name, _)| name).collect();
    for (name, price) in names.iter().zip(tokens) {
        *prices.class_mut(name).unwrap() = price.map(Picos);
    }
    prices
}

fn filled() -> TokenPrices {
    let one = Some(Picos(1));
    TokenPrices {
        input: one,
        cached_input: one,
        cache_write: one,
        cache_write_long: one,
        output: one,
        reasoning: one,
        audio_input: one,
        cached_audio_input: one,
        audio_output: one,
        image_input: one,
        cached_image_input: one,
        image_output: one,
    }
}

fn tokens(counts: [u64; 12]) -> Tokens {
    let [input, cached_input, cache_write, cache_write_long, output, reasoning, ..] = counts;
    let [.., audio_input, cached_audio_input, audio_output, image_input, cached_image_input, image_output] =
        counts;
    Tokens {
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
}

fn price() -> impl Strategy<Value = Price> {
    let classes = || prop::array::uniform12(prop::option::of(0..1_000_000_000_i64));
    let variant =
        (prop::sample::select(&Tier::ALL[..]), prop::sample::select(vec![0_u64, 10, 1000]), classes());
    let variant = variant.prop_map(|(tier, above_input_tokens, classes)| Variant {
        tier,
        above_input_tokens,
        tokens: prices(classes),
    });
    (classes(), prop::collection::vec(variant, 0..6), 0..1_000_000_i64).prop_map(
        |(classes, variants, unit)| {
            let mut tokens = prices(classes);
            // Base classes, so that everything has a price.
            tokens.input = tokens.input.or(Some(Picos(7)));
            tokens.output = tokens.output.or(Some(Picos(11)));
            let units = BTreeMap::from([("input_per_request".to_owned(), Picos(unit))]);
            Price { tokens, variants, units, ..Price::default() }
        },
    )
}

#[test]
fn a_cache_write_of_the_longer_lifetime_has_its_own_price() {
    let tokens =
        TokenPrices { input: Some(Picos(10)), cache_write: Some(Picos(20)), ..TokenPrices::default() };
    assert_eq!(tokens.resolved().cache_write_long, Some(Picos(20)));
    let tokens = TokenPrices { cache_write_long: Some(Picos(30)), ..tokens };
    assert_eq!(tokens.resolved().cache_write_long, Some(Picos(30)));
}

#[test]
fn units_are_rated_with_tokens_and_rounded_with_them() {
    let units = BTreeMap::from([("input_per_request".to_owned(), Picos(1400))]);
    let tokens = TokenPrices { input: Some(Picos(100)), ..TokenPrices::default() };
    let price = Price { tokens, units, ..Price::default() };
    let used = Tokens { input: 1, ..Tokens::default() };
    let request = |quantity| [Unit { name: "input_per_request".to_owned(), quantity }];
    // 100 + 1400 = 1500 pico-dollars, and half a nano-dollar is rounded up.
    assert_eq!(price.cost(&used, &request(1), Tier::Standard), Some(Nanos(2)));
    assert_eq!(price.cost(&used, &request(0), Tier::Standard), Some(Nanos(0)));
    let unknown = [Unit { name: "output_per_image".to_owned(), quantity: 1 }];
    assert_eq!(price.cost(&used, &unknown, Tier::Standard), None);
}

#[test]
fn a_price_is_written_as_the_catalogue_has_it() {
    let line = r#"{"mode":"chat","max_output_tokens":9,"reasons":true,"tokens":{"input":5},"variants":[{"tier":"flex","above_input_tokens":0,"tokens":{"input":3}}],"units":{"u":7}}"#;
    let price: Price = serde_json::from_str(line).unwrap();
    assert_eq!(serde_json::to_string(&price).unwrap(), line);
}

#[test]
fn every_tier_reads_back() {
    for tier in Tier::ALL {
        assert_eq!(Tier::from_word(tier.as_str()), tier);
    }
    assert_eq!(
        ["default", "auto", "fast"].map(Tier::from_word),
        [Tier::Standard, Tier::Standard, Tier::Priority]
    );
}

proptest! {
    #[test]
    fn a_usage_costs_what_its_classes_cost_together(price in price(), counts in prop::array::uniform12(0..500_u64), requests in 0..9_u64) {
        let used = tokens(counts);
        let units = [Unit { name: "input_per_request".to_owned(), quantity: requests }];
        for tier in Tier::ALL {
            let prices = price.prices(tier, used.total_input()).resolved();
            let mut sum = Unrounded::default();
            // One class at a time, each with the price that it has by itself.
            for (class, count) in filled().by_class().map(|(name, _)| name).zip(counts) {
                let of_class = prices.by_class().find(|(name, _)| *name == class);
                sum.add(count, of_class.unwrap().1);
            }
            sum.add(requests, price.unit("input_per_request").unwrap());
            prop_assert_eq!(price.cost(&used, &units, tier), Some(sum.round()));
        }
    }

    #[test]
    fn more_tokens_never_cost_less(price in price(), counts in prop::array::uniform12(0..500_u64), class in 0..12_usize, more in 1..2000_u64) {
        // Prices that fall with length would be cheaper beyond it; no provider has such, so they are left out.
        let falls = |variant: &Variant| variant.above_input_tokens > 0;
        let price = Price { variants: price.variants.into_iter().filter(|variant| !falls(variant)).collect(), ..price };
        let mut grown = counts;
        grown[class] += more;
        for tier in Tier::ALL {
            prop_assert!(price.rate(&tokens(grown), tier) >= price.rate(&tokens(counts), tier));
        }
    }

    #[test]
    fn nothing_costs_more_than_the_dearest(price in price(), counts in prop::array::uniform12(0..500_u64), above in 0..2000_u64) {
        let used = tokens(counts);
        let dearest = price.dearest(&Tier::ALL, used.total_input() + above);
        for tier in Tier::ALL {
            let prices = price.prices(tier, used.total_input()).resolved();
            for ((name, price), (same, most)) in prices.by_class().zip(dearest.by_class()) {
                prop_assert_eq!(name, same);
                prop_assert!(price <= most, "{} {:?}", name, tier);
            }
        }
    }
}
