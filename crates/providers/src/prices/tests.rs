use model::Nanos;
use model::usage::Tokens;

use super::*;

fn price(model: &str) -> &'static Price {
    Catalogue::current().find("openai", model).unwrap()
}

#[test]
fn every_line_can_be_read() {
    let catalogue = Catalogue::current();
    assert!(catalogue.order.len() > 3000);
    assert_eq!(catalogue.order.len(), catalogue.entries.values().map(HashMap::len).sum::<usize>());
    for entry in catalogue.entries.values().flat_map(HashMap::values) {
        document::price(entry.line).unwrap();
    }
    assert!(!catalogue.version().is_empty());
}

#[test]
fn a_dated_name_is_found_by_itself_or_without_its_date() {
    assert_eq!(price("gpt-4o-2024-05-13").tokens.input, Some(Picos(5_000_000)));
    assert_eq!(price("gpt-4o-2099-01-01"), price("gpt-4o"));
    assert_eq!(price("ft:gpt-4o-mini-2024-07-18:org::id"), price("ft:gpt-4o-mini-2024-07-18"));
    for unknown in ["gpt-4o-latest", "gpt-4", "ft:gpt-9:org::id", "", "-2024-01-01", "é-2024-01-01"] {
        let found = Catalogue::current().find("openai", unknown);
        assert_eq!(found.is_some(), unknown == "gpt-4", "{unknown}");
    }
    assert!(Catalogue::current().find("nobody", "gpt-4o").is_none());
}

#[test]
fn a_usage_is_rated_exactly() {
    let tokens = Tokens { input: 1000, cached_input: 500, output: 100, reasoning: 20, ..Tokens::default() };
    // 1000 × 2.5 + 500 × 1.25 + 120 × 10 dollars per million.
    assert_eq!(price("gpt-4o").rate(&tokens, Tier::Standard), Some(Nanos(4_325_000)));
    assert_eq!(price("gpt-4o").rate(&tokens, Tier::Priority), Some(Nanos(7_352_500)));
    // The half nano-dollar is rounded once, not for each class.
    let tokens = Tokens { input: 1, cached_input: 1, ..Tokens::default() };
    assert_eq!(price("gpt-5-nano").rate(&tokens, Tier::Standard), Some(Nanos(55)));
}

#[test]
fn a_long_input_costs_its_own_price() {
    let price = price("gpt-5.4");
    let rate = |input| price.rate(&Tokens { input, ..Tokens::default() }, Tier::Standard).unwrap().0;
    let (short, long) = (price.prices(Tier::Standard, 272_000), price.prices(Tier::Standard, 272_001));
    assert!(long.input > short.input);
    assert_eq!(rate(272_000), short.input.unwrap().0 * 272);
    assert_eq!(rate(272_001), (long.input.unwrap().0 * 272_001 + 500) / 1000);
}

#[test]
fn a_tier_that_is_silent_about_long_inputs_costs_the_dearer_price() {
    let price = price("gpt-5.4");
    let (priority, long) = (price.prices(Tier::Priority, 1), price.prices(Tier::Standard, 300_000));
    assert!(
        price
            .variants
            .iter()
            .all(|variant| variant.tier != Tier::Priority || variant.above_input_tokens == 0)
    );
    assert_eq!(price.prices(Tier::Priority, 300_000).input, priority.input.max(long.input));
    assert_eq!(price.prices(Tier::Priority, 300_000).output, priority.output.max(long.output));
}

#[test]
fn what_has_no_price_is_not_free() {
    let tokens = Tokens { input: 1, ..Tokens::default() };
    assert_eq!(price("whisper-1").rate(&tokens, Tier::Standard), None);
    assert_eq!(price("whisper-1").rate(&Tokens::default(), Tier::Standard), None);
    assert!(price("whisper-1").unit("input_per_second").is_some());
    let output = Tokens { image_output: 1, ..Tokens::default() };
    assert_eq!(price("gpt-image-1").rate(&output, Tier::Standard), Some(Nanos(40_000)));
}

#[test]
fn a_class_without_its_own_price_costs_its_base_class() {
    let tokens = Tokens { cached_input: 1000, audio_input: 1000, reasoning: 1000, ..Tokens::default() };
    assert_eq!(price("gpt-4").rate(&tokens, Tier::Standard), Some(Nanos(120_000_000)));
}
