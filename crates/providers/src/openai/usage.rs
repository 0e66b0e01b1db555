//! How OpenAI's answers say what was used. Only the members that matter are looked for, because
//! answers can be large: embeddings are megabytes of numbers.

use model::usage::Tokens;
use serde::Deserialize;

use crate::endpoint::Endpoint;
use crate::scan::{self, Kind, Member};

/// What an answer says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The model that served.
    pub model: Option<String>,
    /// What was used; `None` if the answer does not say, or not in tokens.
    pub tokens: Option<Tokens>,
    /// Which price applies, such as `flex`.
    pub service_tier: Option<String>,
}

/// Reads an answer in one piece. What is no JSON object says nothing.
pub fn answer(endpoint: Endpoint, body: &[u8]) -> Answer {
    let found = scan::members_of_text(body, &["model", "usage", "service_tier"]);
    found.map(|found| Answer::of(endpoint, body, &found)).unwrap_or_default()
}

impl Answer {
    /// Takes what the members `model`, `usage` and `service_tier` of an object say.
    pub(super) fn of(endpoint: Endpoint, object: &[u8], members: &[Option<Member>; 3]) -> Self {
        let [model, usage, service_tier] = members;
        let usage = usage.as_ref().filter(|usage| usage.kind == Kind::Object);
        Self {
            model: text(object, model),
            tokens: usage.and_then(|usage| tokens(endpoint, &object[usage.span.clone()])),
            service_tier: text(object, service_tier),
        }
    }

    /// Takes over what a later word says.
    pub(super) fn hear(&mut self, later: Self) {
        let Self { model, tokens, service_tier } = later;
        self.model = model.or(self.model.take());
        self.tokens = tokens.or(self.tokens);
        self.service_tier = service_tier.or(self.service_tier.take());
    }
}

/// The text of a member, if it is a string of a sensible length.
pub(super) fn text(object: &[u8], member: &Option<Member>) -> Option<String> {
    let member = member.as_ref().filter(|member| member.kind == Kind::String && member.span.len() <= 512)?;
    scan::unescaped(&object[member.span.clone()]).map(String::from)
}

/// Reads a `usage` object, in the names of chat completions, responses, embeddings, images and
/// audio. Every token is counted in one class: OpenAI's totals include the details.
pub fn tokens(endpoint: Endpoint, usage: &[u8]) -> Option<Tokens> {
    let usage: Reported = serde_json::from_slice(usage).ok()?;
    let input_total = usage.prompt_tokens.or(usage.input_tokens);
    let output_total = usage.completion_tokens.or(usage.output_tokens);
    if input_total.is_none() && output_total.is_none() {
        return None;
    }
    let read = usage.prompt_tokens_details.or(usage.input_tokens_details).or(usage.input_token_details);
    let read = read.unwrap_or_default();
    let produced =
        usage.completion_tokens_details.or(usage.output_tokens_details).or(usage.output_token_details);
    let said = produced.is_some();
    let produced = produced.unwrap_or_default();

    let mut input = Whole(input_total.unwrap_or_default());
    let cached_input = input.take(read.cached_tokens);
    let cache_write = input.take(read.cache_write_tokens.or(read.cache_creation_tokens));
    // Cached audio is told in both classes; it was taken as cached text, which is what is billed less.
    let audio_input = input.take(read.audio_tokens);
    let image_input = input.take(read.image_tokens);

    let mut output = Whole(output_total.unwrap_or_default());
    let reasoning = output.take(produced.reasoning_tokens);
    let audio_output = output.take(match endpoint {
        Endpoint::Speech if !said => Some(output.0),
        _ => produced.audio_tokens,
    });
    let image_output = output.take(match endpoint {
        Endpoint::ImageGenerations | Endpoint::ImageEdits if !said => Some(output.0),
        _ => produced.image_tokens,
    });
    Some(Tokens {
        input: input.0,
        cached_input,
        cache_write,
        output: output.0,
        reasoning,
        audio_input,
        audio_output,
        image_input,
        image_output,
        ..Tokens::default()
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
    cache_write_tokens: Option<u64>,
    cache_creation_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
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
            "{}",
        ] {
            assert_eq!(tokens(Endpoint::Transcriptions, usage.as_bytes()), None, "{usage}");
        }
        assert_eq!(answer(Endpoint::ChatCompletions, b"<html>"), Answer::default());
    }

    proptest! {
        #[test]
        fn every_token_is_counted_once(prompt: u64, completion: u64, parts: [u64; 5]) {
            let usage = json!({
                "prompt_tokens": prompt, "completion_tokens": completion,
                "prompt_tokens_details": {"cached_tokens": parts[0], "audio_tokens": parts[1], "image_tokens": parts[2]},
                "completion_tokens_details": {"reasoning_tokens": parts[3], "audio_tokens": parts[4]},
            });
            let tokens = tokens(Endpoint::ChatCompletions, usage.to_string().as_bytes()).unwrap();
            prop_assert_eq!((tokens.total_input(), tokens.total_output()), (prompt, completion));
        }
    }
}
