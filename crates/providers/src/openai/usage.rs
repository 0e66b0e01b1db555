//! How OpenAI's answers say what was used. Only the members that matter are looked for, because
//! answers can be large: embeddings are megabytes of numbers.

use model::usage::Tokens;
use serde::Deserialize;

use crate::answer::{Answer, MOST_TOKENS, object, text};
use crate::endpoint::Endpoint;
use crate::scan::{self, Cursor, Member};

/// Reads an answer in one piece. What is no JSON object says nothing.
pub(crate) fn answer(endpoint: Endpoint, body: &[u8]) -> Answer {
    let found = scan::members_of_text(body, &["model", "usage", "service_tier", "duration", "data"]);
    let Ok([model, usage, service_tier, duration, data]) = found else { return Answer::default() };
    let mut answer = of(endpoint, body, &[model, usage, service_tier]);
    match endpoint {
        // Answers with time stamps say how long the sound was, and not all of them what is billed.
        Endpoint::Transcriptions | Endpoint::Translations if answer.tokens.is_none() => {
            let duration = duration.and_then(|duration| seconds(&body[duration.span]));
            answer.seconds = answer.seconds.or(duration);
        }
        Endpoint::ImageGenerations | Endpoint::ImageEdits | Endpoint::ImageVariations => {
            answer.images = data.and_then(|data| elements(&body[data.span]));
        }
        _ => {}
    }
    answer
}

/// How many elements a list has.
fn elements(list: &[u8]) -> Option<u64> {
    let mut count = 0;
    let count_one = |cursor: &mut Cursor<'_>, _| {
        count += 1;
        cursor.pass().map(drop)
    };
    Cursor::new(list).and_then(|mut cursor| cursor.list(count_one)).ok().map(|()| count)
}

/// A number of seconds, of which one that has begun is whole.
fn seconds(number: &[u8]) -> Option<u64> {
    let seconds: f64 = str::from_utf8(number).ok()?.parse().ok()?;
    // A day and a half of sound is more than any provider takes.
    (0.0..1e6).contains(&seconds).then(|| seconds.ceil() as u64)
}

/// Takes what the members `model`, `usage` and `service_tier` of an object say.
pub(super) fn of(endpoint: Endpoint, body: &[u8], members: &[Option<Member>; 3]) -> Answer {
    let [model, usage, service_tier] = members;
    let usage = object(body, usage);
    let tokens = usage.and_then(|usage| tokens(endpoint, usage));
    let duration = usage.filter(|_| tokens.is_none()).and_then(|usage| {
        let [seconds] = scan::members_of_text(usage, &["seconds"]).ok()?;
        Some(&usage[seconds?.span])
    });
    Answer {
        model: text(body, model),
        tokens,
        service_tier: text(body, service_tier),
        seconds: duration.and_then(seconds),
        ..Answer::default()
    }
}

/// Reads a `usage` object, in the names of chat completions, responses, embeddings, images and
/// audio. Every token is counted in one class: OpenAI's totals include the details.
///
/// Others differ. xAI and Google leave what was thought out of a chat's completion and have it in the
/// total (xAI, "Consumption and rate limits": "counted separately from completion_tokens, but … in the
/// total_tokens"), so what such a total has beyond its parts was produced. Perplexity has it beside all of
/// them, with the sources that were read. DeepSeek, Together and Moonshot tell of the cache in members of
/// their own.
pub(crate) fn tokens(endpoint: Endpoint, usage: &[u8]) -> Option<Tokens> {
    let usage: Reported = serde_json::from_slice(usage).ok()?;
    let input_total = usage.prompt_tokens.or(usage.input_tokens);
    let output_total = usage.completion_tokens.or(usage.output_tokens);
    let most = input_total.max(output_total).max(usage.total_tokens);
    let most = most.max(usage.reasoning_tokens).max(usage.citation_tokens);
    if input_total.is_none() && output_total.is_none() || most > Some(MOST_TOKENS) {
        return None;
    }
    let read = usage.prompt_tokens_details.or(usage.input_tokens_details).or(usage.input_token_details);
    let read = read.unwrap_or_default();
    let produced =
        usage.completion_tokens_details.or(usage.output_tokens_details).or(usage.output_token_details);
    let said = produced.is_some();
    let produced = produced.unwrap_or_default();

    let sources = usage.citation_tokens.unwrap_or_default();
    let mut input = Whole(input_total.unwrap_or_default());
    let cached = read.cached_tokens.or(usage.prompt_cache_hit_tokens).or(usage.cached_tokens);
    let mut cached = Whole(input.take(cached));
    let of_cached = read.cached_tokens_details.unwrap_or_default();
    let cached_audio_input = cached.take(of_cached.audio_tokens);
    let cached_image_input = cached.take(of_cached.image_tokens);
    let mut written = Whole(input.take(read.cache_write_tokens.or(read.cache_creation_tokens)));
    let of_written = read.cache_write_tokens_details.unwrap_or_default();
    let cache_write_long = written.take(of_written.ttl_12h_tokens);
    // The totals of sound and pictures have the cached ones in them. Where nobody says what the cached
    // tokens were, they are text, and the totals are what was not cached.
    let audio_input = input.take(read.audio_tokens.map(|all| all.saturating_sub(cached_audio_input)));
    let image_input = input.take(read.image_tokens.map(|all| all.saturating_sub(cached_image_input)));

    let told = input_total.zip(output_total).map(|(read, produced)| read + produced);
    let total = usage.total_tokens.filter(|_| endpoint == Endpoint::ChatCompletions);
    let beyond = total.zip(told).map_or(0, |(total, told)| total.saturating_sub(told));
    // Only who counts sources counts thoughts that are in no total.
    let beside = usage.reasoning_tokens.filter(|_| usage.citation_tokens.is_some()).unwrap_or_default();
    let mut output = Whole(output_total.unwrap_or_default());
    let within = output.take(produced.reasoning_tokens.map(|all| all.saturating_sub(beyond)));
    let reasoning = within + beyond.max(beside);
    let audio_output = output.take(match endpoint {
        Endpoint::Speech if !said => Some(output.0),
        _ => produced.audio_tokens,
    });
    let image_output = output.take(match endpoint {
        Endpoint::ImageGenerations | Endpoint::ImageEdits if !said => Some(output.0),
        _ => produced.image_tokens,
    });
    Some(Tokens {
        input: input.0 + sources,
        cached_input: cached.0,
        cache_write: written.0,
        cache_write_long,
        output: output.0,
        reasoning,
        audio_input,
        cached_audio_input,
        audio_output,
        image_input,
        cached_image_input,
        image_output,
    })
}

/// A total that classes are taken out of; never more than there is, whatever the details claim.
struct Whole(u64);

impl Whole {
    fn take(&mut self, part: Option<u64>) -> u64 {
        let part = part.unwrap_or_default().min(self.0);
        self.0 -= part;
        part
    }
}

#[derive(Deserialize)]
struct Reported {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    /// DeepSeek's word for what was cached.
    prompt_cache_hit_tokens: Option<u64>,
    /// Together's and Moonshot's.
    cached_tokens: Option<u64>,
    /// Perplexity's word for the sources that were read.
    citation_tokens: Option<u64>,
    /// Perplexity's for what was thought about them.
    reasoning_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    input_tokens_details: Option<InputDetails>,
    input_token_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    output_tokens_details: Option<OutputDetails>,
    output_token_details: Option<OutputDetails>,
}

#[derive(Deserialize, Default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cached_tokens_details: Option<CachedDetails>,
    cache_write_tokens: Option<u64>,
    cache_write_tokens_details: Option<WrittenDetails>,
    cache_creation_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct CachedDetails {
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct WrittenDetails {
    ttl_12h_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn details_are_parts_of_their_totals() {
        let usage = json!({
            "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 5, "accepted_prediction_tokens": 9},
        });
        let tokens = tokens(Endpoint::ChatCompletions, usage.to_string().as_bytes()).unwrap();
        let expected = Tokens {
            input: 30,
            cached_input: 60,
            audio_input: 10,
            output: 15,
            reasoning: 30,
            audio_output: 5,
            ..Tokens::default()
        };
        assert_eq!(tokens, expected);
    }

    fn of(usage: serde_json::Value) -> Option<Tokens> {
        tokens(Endpoint::ChatCompletions, usage.to_string().as_bytes())
    }

    #[test]
    fn what_was_thought_is_counted_wherever_it_is_told() {
        let expected = Tokens { input: 32, output: 9, reasoning: 94, ..Tokens::default() };
        // As xAI's reference shows it: 32 + 9 + 94.
        let told = json!({
            "prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        });
        assert_eq!(of(told), Some(expected));
        // As Google's OpenAI-compatible surface does: in nothing but the total.
        assert_eq!(
            of(json!({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135})),
            Some(expected)
        );
        // As OpenAI and everybody else.
        let told = json!({
            "prompt_tokens": 32, "completion_tokens": 103, "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        });
        assert_eq!(of(told), Some(expected));
        // A total that is less than its parts says nothing.
        let told = json!({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 9});
        assert_eq!(of(told), Some(Tokens { reasoning: 0, ..expected }));
    }

    #[test]
    fn sources_are_read_and_thoughts_about_them_are_produced() {
        // As Perplexity's reference shows it for deep research.
        let told = json!({
            "prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196,
            "citation_tokens": 20016, "num_search_queries": 28, "reasoning_tokens": 95305,
            "cost": {"total_cost": 1.0},
        });
        let expected = Tokens { input: 20049, output: 7163, reasoning: 95305, ..Tokens::default() };
        assert_eq!(of(told), Some(expected));
    }

    #[test]
    fn the_cache_is_found_under_its_other_names() {
        let told = [
            json!({"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}),
            json!({"cached_tokens": 64}),
            json!({"prompt_tokens_details": {"cached_tokens": 64}, "prompt_cache_hit_tokens": 64}),
        ];
        for mut told in told {
            told["prompt_tokens"] = json!(100);
            told["completion_tokens"] = json!(5);
            told["total_tokens"] = json!(105);
            let expected = Tokens { input: 36, cached_input: 64, output: 5, ..Tokens::default() };
            assert_eq!(of(told), Some(expected));
        }
    }

    #[test]
    fn what_a_provider_says_counts_even_if_it_is_nothing() {
        assert_eq!(
            of(json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})),
            Some(Tokens::default())
        );
        assert_eq!(
            of(json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 2_000_000_000})),
            None
        );
    }

    #[test]
    fn what_was_cached_is_told_apart_by_what_it_is() {
        let usage = json!({
            "input_tokens": 1000, "output_tokens": 0,
            "input_token_details": {
                "text_tokens": 500, "audio_tokens": 300, "image_tokens": 200, "cached_tokens": 400,
                "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 250, "image_tokens": 50},
            },
        });
        let tokens = tokens(Endpoint::Responses, usage.to_string().as_bytes()).unwrap();
        let expected = Tokens {
            input: 400,
            cached_input: 100,
            audio_input: 50,
            cached_audio_input: 250,
            image_input: 150,
            cached_image_input: 50,
            ..Tokens::default()
        };
        assert_eq!(tokens, expected);
    }

    #[test]
    fn cache_writes_are_told_apart_by_their_lifetime() {
        let usage = json!({
            "input_tokens": 1000, "output_tokens": 0,
            "input_tokens_details": {
                "cached_tokens": 0, "cache_write_tokens": 900,
                "cache_write_tokens_details": {"ttl_30m_tokens": 600, "ttl_12h_tokens": 300},
            },
        });
        let tokens = tokens(Endpoint::Responses, usage.to_string().as_bytes()).unwrap();
        assert_eq!((tokens.input, tokens.cache_write, tokens.cache_write_long), (100, 600, 300));
    }

    #[test]
    fn seconds_and_pictures_are_counted() {
        let heard = |body: &str| answer(Endpoint::Transcriptions, body.as_bytes()).seconds;
        assert_eq!(heard(r#"{"text":"","usage":{"type":"duration","seconds":27.0}}"#), Some(27));
        assert_eq!(heard(r#"{"text":"","duration":8.47}"#), Some(9));
        assert_eq!(heard(r#"{"text":"","duration":8.4,"usage":{"input_tokens":1,"output_tokens":1}}"#), None);
        assert_eq!((heard(r#"{"duration":-1}"#), heard(r#"{"duration":"9"}"#)), (None, None));
        let pictures = answer(Endpoint::ImageGenerations, br#"{"data":[{"b64_json":"a]"},{"url":"x"}]}"#);
        assert_eq!(pictures.images, Some(2));
        assert_eq!(answer(Endpoint::Embeddings, br#"{"data":[1,2]}"#).images, None);
    }

    #[test]
    fn what_images_and_speech_produce_is_no_text() {
        let usage = br#"{"input_tokens":50,"input_tokens_details":{"image_tokens":40,"text_tokens":10},"output_tokens":9}"#;
        let image = tokens(Endpoint::ImageGenerations, usage).unwrap();
        assert_eq!((image.input, image.image_input, image.output, image.image_output), (10, 40, 0, 9));
        assert_eq!(tokens(Endpoint::Speech, usage).unwrap().audio_output, 9);
    }

    #[test]
    fn usage_that_is_not_in_tokens_says_nothing() {
        for usage in [
            r#"{"type":"duration","seconds":27}"#,
            r#"{"prompt_tokens":-1}"#,
            r#"{"prompt_tokens":"9"}"#,
            r#"{"prompt_tokens":1000000001,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"completion_tokens":18446744073709551615}"#,
            "{}",
        ] {
            assert_eq!(tokens(Endpoint::Transcriptions, usage.as_bytes()), None, "{usage}");
        }
        assert_eq!(answer(Endpoint::ChatCompletions, b"<html>"), Answer::default());
    }

    proptest! {
        #[test]
        fn every_token_is_counted_once(
            prompt in 1..=MOST_TOKENS / 3,
            completion in 0..=MOST_TOKENS / 3,
            beside in 0..=MOST_TOKENS / 3,
            parts: [u64; 9],
        ) {
            let usage = json!({
                "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion + beside,
                "prompt_tokens_details": {
                    "cached_tokens": parts[0], "audio_tokens": parts[1], "image_tokens": parts[2],
                    "cached_tokens_details": {"audio_tokens": parts[5], "image_tokens": parts[6]},
                    "cache_write_tokens": parts[7], "cache_write_tokens_details": {"ttl_12h_tokens": parts[8]},
                },
                "completion_tokens_details": {"reasoning_tokens": parts[3], "audio_tokens": parts[4]},
            });
            let tokens = tokens(Endpoint::ChatCompletions, usage.to_string().as_bytes()).unwrap();
            prop_assert_eq!((tokens.total_input(), tokens.total_output()), (prompt, completion + beside));
        }
    }
}
