//! Real models of many providers, rated by hand. A token at a dollar a million costs 1,000 nano-dollars;
//! the comments have micro-dollars, each class as tokens × dollars a million.

#![expect(clippy::unwrap_used, reason = "a model that is not listed is a failed test")]

use model::Nanos;
use model::prices::Price;
use model::prices::Tier::{self, Batch, Flex, Priority, Standard, Ultrafast};
use model::usage::{Tokens, Unit};
use proptest::prelude::*;
use providers::prices::Catalogue;

const NONE: Tokens = Tokens {
    input: 0,
    cached_input: 0,
    cache_write: 0,
    output: 0,
    reasoning: 0,
    audio_input: 0,
    audio_output: 0,
    image_input: 0,
    image_output: 0,
    cache_write_long: 0,
    cached_audio_input: 0,
    cached_image_input: 0,
};

fn rated(provider: &str, model: &str, tier: Tier, tokens: Tokens, units: &[(&str, u64)]) -> Option<Nanos> {
    let unit = |(name, quantity): &(&str, u64)| Unit { name: (*name).to_owned(), quantity: *quantity };
    let units: Vec<_> = units.iter().map(unit).collect();
    Catalogue::current().find(provider, model).unwrap().cost(&tokens, &units, tier)
}

fn costs(provider: &str, model: &str, tier: Tier, tokens: Tokens, nanos: i64) {
    assert_eq!(rated(provider, model, tier, tokens, &[]), Some(Nanos(nanos)), "{provider}/{model}");
}

#[test]
fn openais_text_models() {
    // 1,000 × 2.50 + 500 × 1.25 + 100 × 10 = 2,500 + 625 + 1,000 = 4,125
    let used = Tokens { input: 1000, cached_input: 500, output: 100, ..NONE };
    costs("openai", "gpt-4o", Standard, used, 4_125_000);
    // Batches have no price for cached tokens, so the regular one holds:
    // 10,000 × 1 + 4,000 × 0.50 + 2,000 × 4 = 10,000 + 2,000 + 8,000 = 20,000
    let used = Tokens { input: 10_000, cached_input: 4_000, output: 2_000, ..NONE };
    costs("openai", "gpt-4.1", Batch, used, 20_000_000);
    // 8,000 × 0.625 + 2,000 × 0.0625 + (1,000 + 3,000) × 5 = 5,000 + 125 + 20,000 = 25,125
    let used = Tokens { input: 8_000, cached_input: 2_000, output: 1_000, reasoning: 3_000, ..NONE };
    costs("openai", "gpt-5", Flex, used, 25_125_000);
    // 1,001 × 0.45 + 7 × 0.045 + 333 × 3.60 = 450.45 + 0.315 + 1,198.8 = 1,649.565
    let used = Tokens { input: 1_001, cached_input: 7, output: 333, ..NONE };
    costs("openai", "gpt-5-mini", Priority, used, 1_649_565);
    // 10,000 × 10 + 20,000 × 1 + 5,000 × 12.50 + (1,000 + 4,000) × 50
    // = 100,000 + 20,000 + 62,500 + 250,000 = 432,500
    let used = Tokens {
        input: 10_000,
        cached_input: 20_000,
        cache_write: 5_000,
        output: 1_000,
        reasoning: 4_000,
        ..NONE
    };
    costs("openai", "gpt-6-astra", Standard, used, 432_500_000);
    // Cached tokens have no price of their own in this tier: (1,000 + 1,000) × 60 + 100 × 300 = 150,000
    let used = Tokens { input: 1_000, cached_input: 1_000, output: 100, ..NONE };
    costs("openai", "gpt-6-astra", Ultrafast, used, 150_000_000);
    // 8,191 × 0.02 = 163.82
    costs("openai", "text-embedding-3-small", Standard, Tokens { input: 8_191, ..NONE }, 163_820);
}

#[test]
fn long_inputs() {
    // Not longer than 272,000: 272,000 × 2.50 + 10 × 15 = 680,000 + 150 = 680,150
    costs("openai", "gpt-5.4", Standard, Tokens { input: 272_000, output: 10, ..NONE }, 680_150_000);
    // Longer, cached ones included: 200,000 × 5 + 100,000 × 0.50 + 1,000 × 22.50
    // = 1,000,000 + 50,000 + 22,500 = 1,072,500
    let used = Tokens { input: 200_000, cached_input: 100_000, output: 1_000, ..NONE };
    costs("openai", "gpt-5.4", Standard, used, 1_072_500_000);
    // Fast, of which nothing is said for long inputs, so the dearer of both holds:
    // 272,001 × 5 + 100 × 30 = 1,360,005 + 3,000 = 1,363,005
    costs("openai", "gpt-5.4", Priority, Tokens { input: 272_001, output: 100, ..NONE }, 1_363_005_000);
    // Longer than 100,000, with both lifetimes of the cache:
    // 20,000 × 0.50 + 60,000 × 0.05 + 30,000 × 0.625 + 10,000 × 1 + 2,000 × 2.50
    // = 10,000 + 3,000 + 18,750 + 10,000 + 5,000 = 46,750
    let used = Tokens {
        input: 20_000,
        cached_input: 60_000,
        cache_write: 30_000,
        cache_write_long: 10_000,
        output: 2_000,
        ..NONE
    };
    costs("anthropic", "claude-haiku-5-5", Standard, used, 46_750_000);
    // Longer than 200,000: 150,000 × 2.50 + 100,000 × 0.25 + (500 + 1,500) × 15
    // = 375,000 + 25,000 + 30,000 = 430,000
    let used = Tokens { input: 150_000, cached_input: 100_000, output: 500, reasoning: 1_500, ..NONE };
    costs("google-ai-studio", "gemini-2.5-pro", Standard, used, 430_000_000);
    // Longer than 200,000. Pictures cost what text costs, so they do here:
    // (190,000 + 20,000) × 2.50 + 1,000 × 5 = 525,000 + 5,000 = 530,000
    let used = Tokens { input: 190_000, image_input: 20_000, output: 1_000, ..NONE };
    costs("grok", "grok-4.20", Standard, used, 530_000_000);
}

#[test]
fn sound_and_pictures() {
    // Text 1,000 × 4 + 500 × 0.40, sound 2,000 × 32 + 3,000 × 0.40, pictures 400 × 5 + 600 × 0.50, and out
    // 200 × 16 + 1,500 × 64 = 4,000 + 200 + 64,000 + 1,200 + 2,000 + 300 + 3,200 + 96,000 = 170,900
    let used = Tokens {
        input: 1_000,
        cached_input: 500,
        audio_input: 2_000,
        cached_audio_input: 3_000,
        image_input: 400,
        cached_image_input: 600,
        output: 200,
        audio_output: 1_500,
        ..NONE
    };
    costs("openai", "gpt-realtime", Standard, used, 170_900_000);
    // 50 × 5 + 10 × 1.25 + 323 × 10 + 100 × 2.50 + 4,160 × 40
    // = 250 + 12.5 + 3,230 + 250 + 166,400 = 170,142.5
    let used = Tokens {
        input: 50,
        cached_input: 10,
        image_input: 323,
        cached_image_input: 100,
        image_output: 4_160,
        ..NONE
    };
    costs("openai", "gpt-image-1", Standard, used, 170_142_500);
    // 1,000 × 0.30 + 2,000 × 0.03 + 5,000 × 1 + 1,000 × 0.10 + 300 × 2.50 + 700 × 2.50
    // = 300 + 60 + 5,000 + 100 + 750 + 1,750 = 7,960
    let used = Tokens {
        input: 1_000,
        cached_input: 2_000,
        audio_input: 5_000,
        cached_audio_input: 1_000,
        output: 300,
        reasoning: 700,
        ..NONE
    };
    costs("google-ai-studio", "gemini-2.5-flash", Standard, used, 7_960_000);
    // Thinking costs what output costs, in this tier too:
    // 1,000 × 0.54 + 1,000 × 1.80 + (300 + 700) × 4.50 = 540 + 1,800 + 4,500 = 6,840
    let used = Tokens { input: 1_000, audio_input: 1_000, output: 300, reasoning: 700, ..NONE };
    costs("google-ai-studio", "gemini-2.5-flash", Priority, used, 6_840_000);
    // 100 × 2 + 50 × 12 + 1,120 × 120 = 200 + 600 + 134,400 = 135,200
    let used = Tokens { input: 100, output: 50, image_output: 1_120, ..NONE };
    costs("google-ai-studio", "gemini-3-pro-image-preview", Standard, used, 135_200_000);
}

#[test]
fn other_providers_text_models() {
    // 100 × 1 + 2,000 × 0.10 + 3,000 × 1.25 + 4,000 × 2 + 500 × 5
    // = 100 + 200 + 3,750 + 8,000 + 2,500 = 14,550
    let used = Tokens {
        input: 100,
        cached_input: 2_000,
        cache_write: 3_000,
        cache_write_long: 4_000,
        output: 500,
        ..NONE
    };
    costs("anthropic", "claude-haiku-4-5", Standard, used, 14_550_000);
    // The same through Bedrock, whose list has no price for the longer lifetime: it costs the shorter one's.
    // 100 × 0.80 + 2,000 × 0.08 + (3,000 + 4,000) × 1 + 500 × 4 = 80 + 160 + 7,000 + 2,000 = 9,240
    costs("aws-bedrock", "anthropic.claude-3-5-haiku-20241022-v1:0", Standard, used, 9_240_000);
    // 1,000 × 0.28 + 9,000 × 0.028 + 500 × 0.42 = 280 + 252 + 210 = 742
    let used = Tokens { input: 1_000, cached_input: 9_000, output: 500, ..NONE };
    costs("deepseek", "deepseek-chat", Standard, used, 742_000);
    // 333 × 0.50 + 1 × 0.05 + 2 × 1.50 = 166.5 + 0.05 + 3 = 169.55
    let used = Tokens { input: 333, cached_input: 1, output: 2, ..NONE };
    costs("mistral", "mistral-large-2512", Standard, used, 169_550);
    // A tier that a provider does not have costs the regular price.
    costs("mistral", "mistral-large-2512", Priority, used, 169_550);
}

#[test]
fn other_units() {
    let unit = |provider, model, unit, quantity| rated(provider, model, Standard, NONE, &[(unit, quantity)]);
    // 27 seconds at 0.0001 dollars
    assert_eq!(unit("openai", "whisper-1", "input_per_second", 27), Some(Nanos(2_700_000)));
    // 4,096 characters at 15 dollars a million
    assert_eq!(unit("openai", "tts-1", "input_per_character", 4_096), Some(Nanos(61_440_000)));
    // 3 searches at 0.2 cents
    assert_eq!(unit("aws-bedrock", "cohere.rerank-v3-5:0", "input_per_query", 3), Some(Nanos(6_000_000)));
    // 2 large pictures at 30 cents
    let large = unit("fal", "fal-ai/nano-banana-pro", "output_per_image_4K", 2);
    assert_eq!(large, Some(Nanos(600_000_000)));
    // 8 seconds of film at 30.34 cents
    let film = unit("fal", "bytedance/seedance-2.0/image-to-video", "output_per_second_720p", 8);
    assert_eq!(film, Some(Nanos(2_427_200_000)));
    // A request at half a cent, and 100 × 2.80: 5,000 + 280 = 5,280
    let used = Tokens { input: 1_000, output: 100, ..NONE };
    let online = rated("perplexity-ai", "pplx-70b-online", Standard, used, &[("input_per_request", 1)]);
    assert_eq!(online, Some(Nanos(5_280_000)));
    // 1,000 × 0.135, 2 pictures at 60, 10 seconds of film at 700 and 5 of sound at 140:
    // 135 + 120 + 7,000 + 700 = 7,955
    let units =
        [("input_per_image", 2), ("input_per_video_per_second", 10), ("input_per_audio_per_second", 5)];
    let used = Tokens { input: 1_000, ..NONE };
    let embedded = rated("aws-bedrock", "amazon.nova-2-multimodal-embeddings-v1:0", Standard, used, &units);
    assert_eq!(embedded, Some(Nanos(7_955_000)));
}

#[test]
fn less_than_a_nano_dollar_is_rounded_once() {
    // 0.0125 dollars a million: 12.5 nano-dollars each. One is rounded up, two are not rounded at all.
    costs("openai", "gpt-5-mini", Flex, Tokens { cached_input: 1, ..NONE }, 13);
    costs("openai", "gpt-5-mini", Flex, Tokens { cached_input: 2, ..NONE }, 25);
    // 0.13 nano-dollars each, read or produced. Three are 0.39, four are 0.52, of whatever class: if each
    // class were rounded by itself, two of each would cost nothing.
    let model = "accounts/fireworks/models/SSD-1B";
    costs("fireworks", model, Standard, Tokens { input: 3, ..NONE }, 0);
    costs("fireworks", model, Standard, Tokens { input: 4, ..NONE }, 1);
    costs("fireworks", model, Standard, Tokens { input: 2, output: 2, ..NONE }, 1);
}

/// Whether a longer input has some class at a lower price.
fn falls(price: &Price, tier: Tier, shorter: u64, longer: u64) -> bool {
    let (shorter, longer) = (price.prices(tier, shorter).resolved(), price.prices(tier, longer).resolved());
    shorter.by_class().zip(longer.by_class()).any(|((_, shorter), (_, longer))| longer < shorter)
}

#[test]
fn only_known_prices_fall_with_the_length_of_the_input() {
    let mut falling = Vec::new();
    for (provider, model) in Catalogue::current().lists().last().unwrap().all() {
        let price = Catalogue::current().find(provider, model).unwrap();
        let steps = price.variants.iter().map(|variant| variant.above_input_tokens);
        let any = steps
            .filter(|above| *above > 0)
            .any(|above| Tier::ALL.into_iter().any(|tier| falls(price, tier, 0, above + 1)));
        if any {
            falling.push(format!("{provider}/{model}"));
        }
    }
    // The list has a price of cache writes for long inputs alone, and a tier for long inputs alone.
    let known = [
        "azure-openai/gpt-6-astra",
        "azure-openai/gpt-6-astra-2026-09-03",
        "google-vertex-ai/gemini-2.5-pro",
        "google-vertex-ai/gemini-3-pro-preview",
        "google-vertex-ai/gemini-3.1-pro-preview",
        "google-vertex-ai/gemini-3.1-pro-preview-customtools",
    ];
    assert_eq!(falling, known);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_model_costs_less_for_more_tokens(counts: [u16; 12], class in 0..12_usize, more in 1..400_000_u64) {
        let tokens = |counts: [u64; 12]| Tokens {
            input: counts[0],
            cached_input: counts[1],
            cache_write: counts[2],
            cache_write_long: counts[3],
            output: counts[4],
            reasoning: counts[5],
            audio_input: counts[6],
            cached_audio_input: counts[7],
            audio_output: counts[8],
            image_input: counts[9],
            cached_image_input: counts[10],
            image_output: counts[11],
        };
        let counts = counts.map(u64::from);
        let mut grown = counts;
        grown[class] += more;
        for list in Catalogue::current().lists() {
            for (provider, model) in list.all() {
                let price = list.get(provider, model).unwrap();
                for tier in Tier::ALL {
                    let (less, more) = (tokens(counts), tokens(grown));
                    if falls(price, tier, less.total_input(), more.total_input()) {
                        continue;
                    }
                    let (less, more) = (price.rate(&less, tier), price.rate(&more, tier));
                    prop_assert!(more >= less || more.is_none(), "{provider}/{model} {tier:?}");
                }
            }
        }
    }
}
