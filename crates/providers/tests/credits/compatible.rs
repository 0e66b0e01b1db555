//! Providers that are asked in OpenAI's words, on credits, as a property.

use bytes::Bytes;
use model::prices::{Price, Tier};
use model::usage::Tokens;
use model::{AccountId, Nanos};
use proptest::prelude::*;
use providers::answer::Answer;
use providers::catalog::{self, Provider};
use providers::credits::{self, Unbounded};
use providers::prices::Catalogue;
use providers::splice::Splices;
use providers::{Endpoint, scan};
use serde_json::{Value, json};

use super::{NOW, RICH, allowed_at, bounded_at};

/// Those whose models the price list has.
const PRICED: &[&str] = &[
    "cerebras",
    "deepseek",
    "fireworks",
    "google-ai-studio",
    "grok",
    "groq",
    "hyperbolic",
    "mistral",
    "moonshotai",
    "perplexity-ai",
    "together",
    "z-ai",
];

/// Those that need prices of the operator's.
const UNPRICED: &[&str] = &["inceptionlabs", "inference-net", "openrouter"];

/// The models that the list on credits shows.
fn shown(provider: &'static Provider) -> Vec<(&'static str, &'static Price)> {
    let list = credits::list_of_models(provider, Catalogue::current(), AccountId::INSTALLATION, NOW);
    let list: Value = serde_json::from_slice(&list).unwrap();
    let list = list.get("data").or(list.get("models")).unwrap().as_array().unwrap();
    let names: Vec<String> = list
        .iter()
        .map(|model| model.get("id").or(model.get("baseModelId")).unwrap().as_str().unwrap().to_owned())
        .collect();
    let models = Catalogue::current().models(provider.slug);
    models.filter(|(name, _)| names.iter().any(|shown| shown == name)).collect()
}

fn plain(model: &str, price: &Price) -> (Endpoint, Value) {
    match price.mode.as_str() {
        "embedding" => (Endpoint::Embeddings, json!({"model": model, "input": ["Hi", "there"]})),
        "completion" => (Endpoint::Completions, json!({"model": model, "prompt": "Hi"})),
        _ => {
            let messages = [json!({"role": "user", "content": "Hi"})];
            (Endpoint::ChatCompletions, json!({"model": model, "messages": messages}))
        }
    }
}

#[test]
fn every_provider_of_the_catalogue_is_sold_or_says_why_not() {
    let sold: Vec<&str> = PRICED.iter().chain(UNPRICED).copied().chain(["openai", "anthropic"]).collect();
    assert!(catalog::all().iter().all(|provider| sold.contains(&provider.slug)));
    for slug in PRICED {
        assert!(!shown(catalog::find(slug).unwrap()).is_empty(), "{slug}");
    }
    for slug in UNPRICED {
        assert!(shown(catalog::find(slug).unwrap()).is_empty(), "{slug}");
    }
}

#[test]
fn every_model_that_is_shown_can_be_asked_and_is_held() {
    let mut count = 0;
    for slug in PRICED {
        let provider = catalog::find(slug).unwrap();
        for (model, price) in shown(provider) {
            let (endpoint, body) = plain(model, price);
            let facts = allowed_at(provider, endpoint, body.to_string().as_bytes()).unwrap();
            let bound = bounded_at(provider, &facts, RICH).unwrap();
            assert!(bound.hold > Nanos::ZERO && bound.hold == bound.whole, "{slug} {model}");
            count += 1;
        }
    }
    assert!(count > 500, "{count}");
}

#[test]
fn what_has_no_price_that_is_believed_is_neither_shown_nor_sold() {
    let refusal = |slug: &str, endpoint, body: Value| {
        let provider = catalog::find(slug).unwrap();
        let model = body["model"].as_str().unwrap();
        assert!(shown(provider).iter().all(|(name, _)| *name != model), "{model}");
        let facts = allowed_at(provider, endpoint, body.to_string().as_bytes()).unwrap();
        bounded_at(provider, &facts, RICH).unwrap_err().to_string()
    };
    let chat = |slug, model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
        refusal(slug, Endpoint::ChatCompletions, body)
    };
    // The list has them for nothing.
    for (slug, model) in
        [("mistral", "codestral-latest"), ("z-ai", "glm-4.5-flash"), ("google-ai-studio", "gemma-4-31b-it")]
    {
        assert!(chat(slug, model).contains("for nothing"), "{model}");
    }
    // They bill by the song, by the film and by the picture.
    for model in ["lyria-3.5", "gemini-omni-1.1-flash"] {
        assert!(chat("google-ai-studio", model).contains("other units"), "{model}");
    }
    for (slug, model) in [
        ("google-ai-studio", "gemini-2.5-flash-image"),
        ("google-ai-studio", "gemini-embedding-001"),
        ("grok", "grok-imagine-image"),
        ("groq", "whisper-large-v3"),
        ("together", "BAAI/bge-base-en-v1.5"),
    ] {
        assert!(chat(slug, model).contains("made for this operation"), "{model}");
    }
    let body = json!({"model": "accounts/fireworks/models/qwen3-embedding-4b", "input": "Hi"});
    assert!(refusal("fireworks", Endpoint::Embeddings, body).contains("for nothing"));
}

#[test]
fn what_is_kept_at_the_provider_or_speaks_otherwise_is_not_sold() {
    let refused = |slug: &str, endpoint, hint: &str| {
        let body = br#"{"model":"m","messages":[],"input":"Hi","max_tokens":5}"#;
        let refusal = allowed_at(catalog::find(slug).unwrap(), endpoint, body).unwrap_err().to_string();
        assert!(refusal.contains("is not available") && refusal.contains(hint), "{slug}: {refusal}");
    };
    for slug in PRICED.iter().chain(UNPRICED) {
        refused(slug, Endpoint::Responses, "kept at the provider");
        refused(slug, Endpoint::Messages, "chat/completions");
        for endpoint in
            [Endpoint::Files, Endpoint::Batches, Endpoint::ImageGenerations, Endpoint::Transcriptions]
        {
            refused(slug, endpoint, "a key of your own");
        }
    }
    refused("perplexity-ai", Endpoint::ChatCompletions, "no price");
    refused("google-ai-studio", Endpoint::Embeddings, "no price");
    refused("together", Endpoint::Embeddings, "no price");
}

#[test]
fn a_limit_that_does_not_hold_for_thoughts_is_not_relied_on() {
    let held = |slug: &str, model: &str, more: Value| {
        let provider = catalog::find(slug).unwrap();
        let mut body = json!({"model": model, "messages": [], "max_tokens": 100});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let facts = allowed_at(provider, Endpoint::ChatCompletions, body.to_string().as_bytes()).unwrap();
        bounded_at(provider, &facts, RICH).unwrap().output_tokens
    };
    assert_eq!(held("grok", "grok-4.7", json!({})), 500_000);
    assert_eq!(held("grok", "grok-4.20-non-reasoning", json!({"n": 2})), 200);
    assert_eq!(held("google-ai-studio", "gemini-2.5-pro", json!({"n": 2})), 2 * 65_536);
    assert_eq!(held("deepseek", "deepseek-v4-pro", json!({})), 393_216);
    let disabled = json!({"thinking": {"type": "disabled"}});
    assert_eq!(held("deepseek", "deepseek-v4-pro", disabled), 100);
    assert_eq!(held("deepseek", "deepseek-flash", json!({"thinking": {"type": "enabled"}})), 393_216);
    let both = json!({"thinking": {"type": "disabled"}, "reasoning_effort": "high"});
    assert_eq!(held("deepseek", "deepseek-v4-pro", both), 393_216);
    // Open models think in the text that the limit holds for.
    assert_eq!(held("groq", "openai/gpt-oss-120b", json!({})), 100);
    assert_eq!(held("moonshotai", "kimi-k2.6", json!({})), 100);
}

#[test]
fn what_templates_write_anew_is_held_several_times_over() {
    let provider = catalog::find("fireworks").unwrap();
    let input = |body: Value| {
        let body = body.to_string();
        let facts = allowed_at(provider, Endpoint::ChatCompletions, body.as_bytes()).unwrap();
        bounded_at(provider, &facts, RICH).unwrap().input_tokens - body.len() as u64
    };
    let model = "accounts/fireworks/models/glm-4p6";
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"a": {}, "b": {}}}}]);
    let bytes = tools.to_string().len() as u64;
    assert_eq!(input(json!({"model": model, "messages": []})), 512);
    assert_eq!(input(json!({"model": model, "messages": [], "tools": tools})), 512 + 2_048 + 3 * bytes);
    let calls = json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]);
    let bytes = calls.to_string().len() as u64;
    let message = json!({"role": "assistant", "tool_calls": calls});
    assert_eq!(input(json!({"model": model, "messages": [message]})), 512 + 3 * bytes);
}

/// Bodies with all that the bound depends on, of a model that is shown.
fn bodies() -> impl Strategy<Value = (&'static Provider, Endpoint, Value)> {
    let providers: Vec<_> = PRICED.iter().map(|slug| catalog::find(slug).unwrap()).collect();
    let shown: Vec<_> = providers.iter().map(|provider| shown(provider)).collect();
    let of = 0..providers.len();
    let parts = prop::collection::vec((0..4_u8, "[a-zé你 ]{0,60}"), 0..4);
    let numbers = (prop::option::of((1..600_000_u64, 0..2_usize)), prop::option::of(1..4_u64));
    let flags = (any::<bool>(), any::<bool>(), 0..4_u8);
    (of, any::<prop::sample::Index>(), parts, numbers, flags).prop_map(
        move |(of, model, parts, (limit, n), (stream, has_tools, thinking))| {
            let (model, price) = *model.get(&shown[of]);
            let (endpoint, mut body) = plain(model, price);
            let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
            match endpoint {
                Endpoint::Embeddings => body["input"] = json!(texts),
                Endpoint::Completions => body["prompt"] = json!(texts),
                _ => {
                    let part = |(kind, text): &(u8, String)| match kind {
                        0 => json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{text}")}}),
                        _ => json!({"type": "text", "text": text}),
                    };
                    let content: Vec<Value> = parts.iter().map(part).collect();
                    body["messages"] = json!([{"role": "user", "content": content}]);
                    if has_tools {
                        body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
                    }
                    match thinking {
                        0 => body["thinking"] = json!({"type": "disabled"}),
                        1 => body["reasoning_effort"] = json!("high"),
                        _ => {}
                    }
                }
            }
            if endpoint != Endpoint::Embeddings {
                body["stream"] = json!(stream);
                if let Some((limit, name)) = limit {
                    body[["max_tokens", "max_completion_tokens"][name]] = json!(limit);
                }
                if let Some(n) = n {
                    body["n"] = json!(n);
                }
            }
            (providers[of], endpoint, body)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_answer_within_a_bound_costs_more_than_was_held(
        (provider, endpoint, body) in bodies(),
        shares: [u32; 3],
        (length, thought, tells_total) in (0..=100_u8, 0..=100_u8, any::<bool>()),
        share in 0..=100_u8,
    ) {
        let text = Bytes::from(body.to_string());
        // What a provider does not know is refused.
        let Ok(facts) = allowed_at(provider, endpoint, &text) else { return Ok(()) };
        let Ok(whole) = bounded_at(provider, &facts, RICH) else { return Ok(()) };
        let affordable = Nanos((i128::from(whole.whole.0) * i128::from(share) / 100) as i64);
        let bound = match bounded_at(provider, &facts, affordable) {
            Ok(bound) => bound,
            Err(Unbounded::TooLittle { needed, available }) => {
                prop_assert!(needed > available && available == affordable);
                whole.clone()
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        prop_assert!(bound.hold == bound.whole && bound.whole <= whole.whole);
        prop_assert!(bound == whole || bound.whole <= affordable);

        // As the provider would tell it: what was thought within the completion, or beside it.
        let part = |whole: u64, percent: u8| (u128::from(whole) * u128::from(percent) / 100) as u64;
        let read = part(bound.input_tokens, (shares[0] % 101) as u8);
        let cached = part(read, (shares[1] % 101) as u8);
        let produced = part(bound.output_tokens, length);
        let thoughts = part(produced, thought);
        let is_beside = tells_total && endpoint == Endpoint::ChatCompletions;
        let completion = if is_beside { produced - thoughts } else { produced };
        let usage = json!({
            "prompt_tokens": read.max(1), "completion_tokens": completion, "total_tokens": read.max(1) + produced,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": thoughts},
        });
        let answer = Answer::whole(endpoint, json!({"usage": usage}).to_string().as_bytes());
        let used: Tokens = answer.tokens.unwrap();
        prop_assert_eq!((used.total_output(), used.reasoning), (produced, thoughts));
        let found = Catalogue::current().price(AccountId::INSTALLATION, provider.slug, facts.model(), NOW).unwrap();
        let cost = found.price.rate(&used, Tier::Standard).unwrap();
        prop_assert!(cost <= bound.whole, "{cost} of {} for {text:?}", bound.whole);

        // It may be sent as it is prepared, and says what was held.
        let mut splices = Splices::default();
        bound.splice(&facts, &text, &mut splices);
        let prepared = splices.apply(&text);
        prop_assert!(allowed_at(provider, endpoint, &prepared).is_ok());
        if endpoint.writes_text() {
            let members = scan::members(&prepared, &["max_tokens", "max_completion_tokens"]).unwrap();
            let named: Vec<u64> = members.into_iter().flatten()
                .map(|member| str::from_utf8(&prepared[member.span]).unwrap().parse().unwrap())
                .collect();
            let answers = facts.answers().max(1);
            prop_assert!(named.len() == 1 && named[0].saturating_mul(answers) <= bound.output_tokens);
        }
    }
}
