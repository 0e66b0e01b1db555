use model::id::PriceRuleId;
use model::prices::ModelRule;
use model::usage::Tokens;
use model::{Nanos, Picos};
use time::macros::datetime;
use uuid::Uuid;

use super::*;

const ANYONE: AccountId = AccountId(Uuid::nil());
const NOW: OffsetDateTime = datetime!(2026-12-01 00:00 UTC);

fn price(model: &str) -> &'static Price {
    Catalogue::current().find("openai", model).unwrap()
}

#[test]
fn every_line_of_every_list_can_be_read() {
    let lists = Catalogue::current().lists();
    assert_eq!(lists.len(), LISTS.len());
    for list in lists {
        assert!(list.all().count() > 3000 && !list.version().is_empty());
        assert_eq!(list.read_all().unwrap(), list.all().count());
    }
    assert!(lists.is_sorted_by(|a, b| a.effective_from() < b.effective_from()));
}

#[test]
fn every_file_of_the_folder_is_a_list() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/prices");
    let names =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.collect();
    files.sort();
    let versions = Catalogue::current().lists().iter().map(|list| format!("{}.jsonl", list.version()));
    assert_eq!(files, versions.collect::<Vec<_>>());
}

fn rule(model: &str, input: i64) -> PriceRule {
    let tokens =
        TokenPrices { input: Some(Picos(input)), output: Some(Picos(input)), ..TokenPrices::default() };
    PriceRule {
        id: PriceRuleId(Uuid::from_u128(7)),
        provider: "openai".to_owned(),
        model: model.to_owned(),
        model_rule: ModelRule::Equals,
        account: None,
        effective_from: datetime!(2026-11-01 00:00 UTC),
        enable: true,
        price: Price { tokens, ..Price::default() },
    }
}

#[test]
fn a_rule_sets_the_price_and_the_list_still_knows_the_model() {
    let catalogue = Catalogue::new([rule("o3", 9)]);
    let find = |at| catalogue.price(ANYONE, "openai", "o3", at).unwrap();
    let before = find(datetime!(2026-10-31 00:00 UTC));
    assert_eq!((before.version, before.price), ("2026-10-01", price("o3")));
    let after = find(NOW);
    assert_eq!(after.price.tokens.input, Some(Picos(9)));
    assert_eq!(after.version, "prr_00000000000000000000000000000007");
    assert_eq!((after.max_output_tokens(), after.context_window()), (Some(100_000), Some(200_000)));
    assert!(after.reasons() && after.mode() == "chat");
    let unlisted = Catalogue::new([rule("my-model", 9)]);
    let found = unlisted.price(ANYONE, "openai", "my-model", NOW).unwrap();
    assert_eq!((found.max_output_tokens(), found.reasons(), found.mode()), (None, false, ""));
}

#[test]
fn a_list_holds_from_its_moment_and_the_first_one_before() {
    let catalogue = Catalogue::current();
    assert_eq!(catalogue.at(OffsetDateTime::UNIX_EPOCH).unwrap().version(), catalogue.lists()[0].version());
    assert_eq!(catalogue.at(datetime!(2126-12-01 00:00 UTC)).unwrap().version(), catalogue.version());
}

#[test]
fn a_request_is_rated_by_the_model_that_served_if_it_is_priced() {
    let served = |catalogue: &Catalogue, served: &str, asked: &str| {
        let found = catalogue.served(ANYONE, "openai", served, asked, NOW)?;
        Some(found.price.tokens.input.unwrap().0)
    };
    let plain = Catalogue::current();
    assert_eq!(served(plain, "gpt-4o-2024-05-13", "gpt-4o"), Some(5_000_000));
    assert_eq!(served(plain, "no-such", "gpt-4o"), Some(2_500_000));
    assert_eq!(served(plain, "", "gpt-4o"), Some(2_500_000));
    assert_eq!(served(plain, "no-such", "nor-such"), None);
    // The provider names the dated model behind an alias, and the operator set the alias's price.
    let ruled = Catalogue::new([rule("gpt-4o", 9)]);
    assert_eq!(served(&ruled, "gpt-4o-2024-08-06", "gpt-4o"), Some(9));
    assert_eq!(served(&ruled, "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"), Some(2_500_000));
    assert_eq!(served(&ruled, "gpt-4o-mini-2024-07-18", "gpt-4o"), Some(150_000));
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
