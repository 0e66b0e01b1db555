use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn tokens(usage: &Value) -> Option<Tokens> {
    Usage::read(usage.to_string().as_bytes()).tokens(false)
}

#[test]
fn every_class_is_counted_once() {
    let usage = json!({
        "promptTokenCount": 1_000, "cachedContentTokenCount": 400, "toolUsePromptTokenCount": 50,
        "candidatesTokenCount": 90, "thoughtsTokenCount": 60, "totalTokenCount": 1_200,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 500}, {"modality": "AUDIO", "tokenCount": 300},
            {"modality": "IMAGE", "tokenCount": 150}, {"modality": "DOCUMENT", "tokenCount": 50},
        ],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 300}, {"modality": "AUDIO", "tokenCount": 100}],
        "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 50}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 40}],
    });
    let expected = Tokens {
        input: 300,
        cached_input: 300,
        audio_input: 200,
        cached_audio_input: 100,
        image_input: 150,
        output: 50,
        image_output: 40,
        reasoning: 60,
        ..Tokens::default()
    };
    assert_eq!(tokens(&usage), Some(expected));
}

#[test]
fn what_is_left_out_of_what_was_produced_is_what_the_sum_leaves() {
    let produced = |usage: Value| tokens(&usage).map(|tokens| (tokens.output, tokens.reasoning));
    let summed = json!({"promptTokenCount": 10, "thoughtsTokenCount": 5, "totalTokenCount": 40});
    assert_eq!(produced(summed), Some((25, 5)));
    assert_eq!(produced(json!({"promptTokenCount": 10, "totalTokenCount": 10})), None);
    assert_eq!(produced(json!({"promptTokenCount": 10, "candidatesTokenCount": 0})), Some((0, 0)));
}

#[test]
fn what_cannot_be_counted_is_not_said() {
    for usage in [
        json!({}),
        json!({"candidatesTokenCount": 7}),
        json!({"promptTokenCount": -1, "candidatesTokenCount": 7}),
        json!({"promptTokenCount": "9", "candidatesTokenCount": 7}),
        json!({"promptTokenCount": 1_000_000_001, "candidatesTokenCount": 7}),
        json!({"promptTokenCount": 1, "candidatesTokenCount": u64::MAX}),
        json!({"promptTokenCount": 1, "candidatesTokenCount": 1, "toolUsePromptTokenCount": u64::MAX}),
    ] {
        assert_eq!(tokens(&usage), None, "{usage}");
    }
    let whole = |body: &[u8]| answer(Endpoint::GenerateContent, body);
    assert_eq!(whole(b"<html>"), Answer::default());
    assert_eq!(
        whole(br#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}"#),
        Answer::default()
    );
}

#[test]
fn an_answer_says_more_than_tokens() {
    let body = br#"{
        "candidates": [
            {"content": {"parts": [{"text": "Hi"}]}, "groundingMetadata": {"webSearchQueries": ["a", "b"]}},
            {"groundingMetadata": {"webSearchQueries": ["c"]}}
        ],
        "usageMetadata": {
            "promptTokenCount": 4, "candidatesTokenCount": 1, "serviceTier": "SERVICE_TIER_PRIORITY",
            "promptTokensDetails": [{"modality": "VIDEO", "tokenCount": 3}]
        },
        "modelVersion": "models/gemini-2.5-flash"
    }"#;
    let said = answer(Endpoint::GenerateContent, body);
    assert_eq!((said.searches, said.model.as_deref()), (3, Some("gemini-2.5-flash")));
    assert_eq!((said.service_tier.as_deref(), said.premium), (Some("priority"), Some(Premium::Video)));
    let read = said.tokens.unwrap();
    assert_eq!((read.input, read.image_input, read.output), (1, 3, 1));
    let pictures = answer(Endpoint::Predict, br#"{"predictions":[{"mimeType":"image/png"},{}]}"#);
    assert_eq!(pictures.images, Some(2));
    let refused = answer(
        Endpoint::GenerateContent,
        br#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":8,"totalTokenCount":8}}"#,
    );
    assert_eq!(refused.tokens.map(|tokens| (tokens.input, tokens.total_output())), Some((8, 0)));
}

fn details() -> impl Strategy<Value = Value> {
    let modality = prop::sample::select(vec!["TEXT", "AUDIO", "IMAGE", "VIDEO", "DOCUMENT", "SMELL"]);
    let count = (modality, any::<u32>())
        .prop_map(|(modality, count)| json!({"modality": modality, "tokenCount": count}));
    prop::collection::vec(count, 0..5).prop_map(Value::from)
}

proptest! {
    #[test]
    fn no_token_is_lost_or_counted_twice(counts: [u32; 5], details in [(); 4].map(|()| details())) {
        let [prompt, cached, tools, produced, thoughts] =
            counts.map(|count| u64::from(count) % (MOST_TOKENS + 1));
        let [of_prompt, of_cached, of_tools, of_produced] = details;
        let usage = json!({
            "promptTokenCount": prompt, "cachedContentTokenCount": cached, "toolUsePromptTokenCount": tools,
            "candidatesTokenCount": produced, "thoughtsTokenCount": thoughts,
            "promptTokensDetails": of_prompt, "cacheTokensDetails": of_cached,
            "toolUsePromptTokensDetails": of_tools, "candidatesTokensDetails": of_produced,
        });
        let tokens = tokens(&usage).unwrap();
        let from_cache = tokens.cached_input + tokens.cached_audio_input + tokens.cached_image_input;
        prop_assert_eq!(from_cache, cached.min(prompt));
        prop_assert_eq!((tokens.total_input(), tokens.total_output()), (prompt + tools, produced + thoughts));
    }
}
