//! What may be done on credits, as recorded stories and as a property.
//!
//! A folder per provider and endpoint: `refused.jsonl` has bodies that are refused, each with the member that is at
//! fault and the message. A folder below it is a body that is allowed: `request.json` is what the caller
//! sent, `prepared.json` what goes to the provider, and `bound.json` what is held for it.

#![expect(clippy::unwrap_used, reason = "a story that cannot be read is a failed test")]

mod compatible;
mod messages;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderMap, Method};
use model::prices::Tier;
use model::usage::{Tokens, Unit};
use model::{AccountId, Nanos};
use proptest::prelude::*;
use providers::catalog::{self, Provider};
use providers::credits::{self, Bound, Facts, Forbidden, Permit, Request, Steps, Unbounded, bound};
use providers::prices::{Catalogue, Found};
use providers::splice::Splices;
use providers::{Endpoint, scan};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-12-01 00:00 UTC);
const RICH: Nanos = Nanos(i64::MAX);

fn openai() -> &'static Provider {
    catalog::find("openai").unwrap()
}

fn found(model: &str) -> Option<Found<'_>> {
    Catalogue::current().price(AccountId::INSTALLATION, "openai", model, NOW)
}

fn allowed(endpoint: Endpoint, body: &[u8]) -> Result<Facts, Forbidden> {
    allowed_at(openai(), endpoint, body)
}

fn allowed_at(provider: &Provider, endpoint: Endpoint, body: &[u8]) -> Result<Facts, Forbidden> {
    let headers = HeaderMap::new();
    let request = Request {
        endpoint,
        method: &Method::POST,
        operation: endpoint.as_str(),
        query: None,
        headers: &headers,
        body: Some(body),
        model: None,
    };
    credits::allowed(provider, &request).map(|permit| match permit {
        Permit::Call(facts) => *facts,
        permit => panic!("{permit:?}"),
    })
}

fn bounded(facts: &Facts, affordable: Nanos) -> Result<Bound, Unbounded> {
    bounded_at(openai(), facts, affordable)
}

fn bounded_at(provider: &'static Provider, facts: &Facts, affordable: Nanos) -> Result<Bound, Unbounded> {
    let found = Catalogue::current().price(AccountId::INSTALLATION, provider.slug, facts.model(), NOW);
    bound::bound(provider, facts, &found.unwrap(), bound::DEFAULT_OUTPUT, affordable)
}

fn folders() -> Vec<(&'static Provider, Endpoint, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_credits");
    let below = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|folder| folder.unwrap().path()).collect()
    };
    let name = |folder: &Path| folder.file_name().unwrap().to_str().unwrap().to_owned();
    let mut folders = Vec::new();
    for provider in below(&root) {
        for folder in below(&provider) {
            let endpoint = Endpoint::from_word(&name(&folder)).unwrap();
            folders.push((catalog::find(&name(&provider)).unwrap(), endpoint, folder));
        }
    }
    assert_eq!(folders.len(), 33);
    folders
}

#[derive(Deserialize)]
struct Refused {
    body: String,
    param: Option<String>,
    message: String,
}

#[test]
fn what_is_forbidden_is_refused_by_its_name() {
    let mut count = 0;
    for (provider, endpoint, folder) in folders() {
        for line in fs::read_to_string(folder.join("refused.jsonl")).unwrap().lines() {
            let refused: Refused = serde_json::from_str(line).unwrap();
            let forbidden = allowed_at(provider, endpoint, refused.body.as_bytes()).expect_err(&refused.body);
            assert_eq!(forbidden.to_string(), refused.message, "{}", refused.body);
            assert_eq!(forbidden.param(), refused.param.as_deref(), "{}", refused.body);
            count += 1;
        }
    }
    assert!(count > 300);
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    input_tokens: u64,
    output_tokens: u64,
    output_limit: Option<u64>,
    step: Option<u64>,
    hold_nanos: i64,
    whole_nanos: i64,
    floor_nanos: i64,
}

#[test]
fn what_is_allowed_is_held_and_keeps_every_other_byte() {
    let mut count = 0;
    for (provider, endpoint, folder) in folders() {
        for story in
            fs::read_dir(folder).unwrap().map(|story| story.unwrap().path()).filter(|path| path.is_dir())
        {
            let read = |name: &str| Bytes::from(fs::read(story.join(name)).unwrap());
            let body = read("request.json");
            let facts = allowed_at(provider, endpoint, &body).unwrap();
            let bound = bounded_at(provider, &facts, RICH).unwrap();
            let mut splices = Splices::default();
            bound.splice(&facts, &body, &mut splices);
            assert_eq!(splices.apply(&body), read("prepared.json"), "{}", story.display());
            let held = Held {
                input_tokens: bound.input_tokens,
                output_tokens: bound.output_tokens,
                output_limit: bound.output_limit,
                step: bound.step,
                hold_nanos: bound.hold.0,
                whole_nanos: bound.whole.0,
                floor_nanos: bound.floor.0,
            };
            assert_eq!(held, serde_json::from_slice(&read("bound.json")).unwrap(), "{}", story.display());
            count += 1;
        }
    }
    assert!(count > 40);
}

/// Bodies of the endpoints that run a model, with all that the bound depends on.
#[test]
fn what_pictures_and_speech_cost_is_known_from_the_question() {
    let cost = |endpoint, body: &str, model| {
        credits::known_cost(openai(), endpoint, body.as_bytes(), &found(model)?)
    };
    let picture = r#"{"model":"gpt-image-1","prompt":"A cat","n":2,"size":"1024x1024","quality":"low"}"#;
    let held = cost(Endpoint::ImageGenerations, picture, "gpt-image-1").unwrap();
    assert!(held > Nanos(544 * 40_000), "{held}");
    let speech = r#"{"model":"tts-1","input":"Hello","voice":"alloy"}"#;
    assert_eq!(cost(Endpoint::Speech, speech, "tts-1"), Some(Nanos(75_000)));
    let sizes = picture.replace("1024x1024", "9x9");
    assert_eq!(cost(Endpoint::ImageGenerations, &sizes, "gpt-image-1"), None);
    assert_eq!(cost(Endpoint::Embeddings, picture, "gpt-image-1"), None);
}

#[test]
fn what_a_response_said_can_be_said_again() {
    // As the SDK sends what it was answered.
    let body = r#"{"model":"gpt-5","input":[
        {"role":"user","content":"What is the time?"},
        {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA","status":null},
        {"type":"function_call","id":"fc_1","call_id":"call_1","name":"clock","arguments":"{}","async":false,"status":"completed"},
        {"type":"function_call_output","call_id":"call_1","output":"noon"},
        {"type":"custom_tool_call","id":"ct_1","call_id":"call_2","name":"bell","input":"ring","async":false},
        {"type":"message","id":"msg_1","role":"assistant","status":"completed","phase":"final_answer",
         "content":[{"type":"output_text","text":"Noon.","annotations":[],"logprobs":[]}]}
    ],"include":["reasoning.encrypted_content"],"store":false}"#;
    assert!(allowed(Endpoint::Responses, body.as_bytes()).is_ok());
    let body = r#"{"model":"gpt-4o","messages":[
        {"role":"assistant","content":"Noon.","refusal":null,"annotations":[],"audio":null,"function_call":null,"tool_calls":null}
    ],"n":null,"stop":null,"stream":null,"user":null,"max_tokens":null,"metadata":null,"store":null}"#;
    assert!(allowed(Endpoint::ChatCompletions, body.as_bytes()).is_ok());
}

fn bodies() -> impl Strategy<Value = (Endpoint, Value)> {
    let models = |mode: &'static str| {
        let priced = Catalogue::current().models("openai");
        let fits =
            priced.filter(|(name, price)| price.mode == mode && price.is_priced() && !name.contains('/'));
        fits.map(|(name, _)| name).collect::<Vec<_>>()
    };
    let (chat, pictures, speech) = (models("chat"), models("image_generation"), models("audio_speech"));
    let (completions, embeddings) = (models("completion"), models("embedding"));
    let endpoint = prop::sample::select(vec![
        Endpoint::ChatCompletions,
        Endpoint::Completions,
        Endpoint::Responses,
        Endpoint::Embeddings,
        Endpoint::ImageGenerations,
        Endpoint::Speech,
    ]);
    let parts = prop::collection::vec((0..5_u8, "[a-zé你 ]{0,60}", any::<bool>()), 0..4);
    let numbers = (prop::option::of(1..40_000_u64), 1..5_u64, 1..5_u64);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), 0..3_usize);
    (endpoint, any::<prop::sample::Index>(), parts, numbers, flags).prop_map(
        move |(endpoint, model, parts, (limit, n, best_of), (stream, standard, speaks, picture))| {
            let model = model.get(match endpoint {
                Endpoint::ImageGenerations => &pictures,
                Endpoint::Speech => &speech,
                Endpoint::Completions => &completions,
                Endpoint::Embeddings => &embeddings,
                _ => &chat,
            });
            let part = |(kind, text, low): &(u8, String, bool)| {
                let detail = if *low { "low" } else { "auto" };
                match (kind, endpoint) {
                    (0, Endpoint::ChatCompletions) => {
                        json!({"type": "image_url", "image_url": {"url": text, "detail": detail}})
                    }
                    (1, Endpoint::ChatCompletions) => {
                        json!({"type": "input_audio", "input_audio": {"data": text, "format": "wav"}})
                    }
                    (2, Endpoint::ChatCompletions) => json!({"type": "file", "file": {"file_data": text}}),
                    (_, Endpoint::ChatCompletions) => json!({"type": "text", "text": text}),
                    (0, _) => json!({"type": "input_image", "image_url": text, "detail": detail}),
                    (2, _) => json!({"type": "input_file", "file_data": text}),
                    _ => json!({"type": "input_text", "text": text}),
                }
            };
            let content: Vec<Value> = parts.iter().map(part).collect();
            let texts: Vec<&str> = parts.iter().map(|(_, text, _)| text.as_str()).collect();
            let mut body = match endpoint {
                Endpoint::ChatCompletions => json!({"messages": [{"role": "user", "content": content}], "n": n}),
                Endpoint::Responses => json!({"input": [{"role": "user", "content": content}]}),
                Endpoint::Completions => json!({"prompt": texts, "n": n, "best_of": best_of}),
                Endpoint::Embeddings => json!({"input": texts}),
                Endpoint::ImageGenerations => {
                    let (size, quality) = [("1024x1024", "low"), ("auto", "auto"), ("1536x1024", "high")][picture];
                    json!({"prompt": "x", "n": n, "size": size, "quality": quality, "partial_images": picture})
                }
                _ => json!({"input": texts.concat(), "voice": "alloy"}),
            };
            body["model"] = json!(model);
            if let Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Responses = endpoint {
                body["stream"] = json!(stream);
                if let Some(limit) = limit {
                    let name = if endpoint == Endpoint::Responses { "max_output_tokens" } else { "max_tokens" };
                    body[name] = json!(limit);
                }
            }
            if let Endpoint::ChatCompletions | Endpoint::Responses = endpoint {
                body["service_tier"] = json!(if standard { "default" } else { "auto" });
            }
            if endpoint == Endpoint::ChatCompletions && speaks {
                body["modalities"] = json!(["text", "audio"]);
            }
            (endpoint, body)
        },
    )
}

/// A usage that a provider which keeps to the bound may report: each class its share of the whole.
fn worst(bound: &Bound, endpoint: Endpoint, shares: [u64; 8], body: &Value) -> Tokens {
    let part = |whole: u64, index: usize, of: std::ops::Range<usize>| {
        let all: u128 = shares[of].iter().map(|share| u128::from(*share)).sum::<u128>().max(1);
        u64::try_from(u128::from(whole) * u128::from(shares[index]) / all).unwrap()
    };
    let read = |index| part(bound.input_tokens, index, 0..5);
    let mut tokens = Tokens {
        input: read(0),
        cached_input: read(1),
        cache_write: read(2),
        cache_write_long: read(3),
        ..Tokens::default()
    };
    if body.to_string().contains("input_audio") {
        tokens.audio_input = read(4);
    }
    match endpoint {
        Endpoint::ImageGenerations => {
            let price = found(body["model"].as_str().unwrap()).unwrap().price;
            let pictures = body["n"].as_u64().unwrap();
            tokens.output = if price.tokens.output.is_some() { 2048 * pictures } else { 0 };
            tokens.image_output = bound.output_tokens - tokens.output;
        }
        _ => {
            let speaks = body.get("modalities").is_some();
            let produced = |index| part(bound.output_tokens, index, 5..if speaks { 8 } else { 7 });
            tokens.output = produced(5);
            tokens.reasoning = produced(6);
            tokens.audio_output = if speaks { produced(7) } else { 0 };
        }
    }
    tokens
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_usage_within_a_bound_costs_more_than_was_held(
        (endpoint, body) in bodies(), shares: [u32; 8], share in 0..=100_u8,
    ) {
        let text = body.to_string();
        let facts = allowed(endpoint, text.as_bytes()).map_err(|forbidden| forbidden.to_string());
        // What has no bound is refused, and nothing is lost.
        let Ok(facts) = facts else { return Ok(()) };
        let Ok(whole) = bounded(&facts, RICH) else { return Ok(()) };
        let affordable = Nanos((i128::from(whole.whole.0) * i128::from(share) / 100) as i64);
        let bound = match bounded(&facts, affordable) {
            Ok(bound) => bound,
            Err(Unbounded::TooLittle { needed, available }) => {
                prop_assert!(needed > available && available == affordable);
                whole.clone()
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        prop_assert!(bound.hold <= bound.whole && bound.whole <= whole.whole);
        prop_assert!(bound == whole || bound.whole <= affordable);
        let price = found(facts.model()).unwrap().price;
        let used = worst(&bound, endpoint, shares.map(u64::from), &body);
        let standard = [Tier::Standard];
        let either = [Tier::Standard, Tier::Priority];
        let tiers = if body["service_tier"] == "auto" { &either[..] } else { &standard[..] };
        let units = match endpoint {
            Endpoint::Speech => {
                let quantity = body["input"].as_str().unwrap().chars().count() as u64;
                vec![Unit { name: "input_per_character".to_owned(), quantity }]
            }
            _ => Vec::new(),
        };
        for tier in tiers {
            let cost = price.cost(&used, &units, *tier);
            prop_assert!(cost.is_some_and(|cost| cost <= bound.whole), "{cost:?} of {} for {text}", bound.whole);
        }
    }

    #[test]
    fn a_stream_never_costs_more_than_what_is_held_for_its_steps(
        (endpoint, body) in bodies(), pieces in prop::collection::vec(1..700_u64, 1..200), refused_at in 0..12_usize,
    ) {
        let facts = allowed(endpoint, body.to_string().as_bytes());
        let Some(bound) = facts.ok().and_then(|facts| bounded(&facts, RICH).ok()) else { return Ok(()) };
        let Some(mut steps) = Steps::new(bound.clone()) else {
            prop_assert_eq!(bound.hold, bound.whole);
            return Ok(());
        };
        let (mut held, mut produced, mut asked) = (bound.hold, 0, 0);
        for piece in pieces {
            let before = produced;
            produced = (produced + piece).min(bound.output_tokens);
            while let Some(extension) = steps.due(produced) {
                if asked == refused_at {
                    steps.refused();
                } else {
                    steps.granted(&extension);
                    held += extension.more;
                }
                asked += 1;
            }
            if steps.must_end(produced) {
                // What came since it was last looked at is all that is not held.
                prop_assert!(bound.up_to(before) <= held);
                break;
            }
            prop_assert!(bound.up_to(produced) <= held);
        }
        prop_assert!(held <= bound.whole);
    }

    #[test]
    fn a_prepared_body_says_what_was_held(
        (endpoint, body) in bodies(), share in 0..=100_u8,
    ) {
        let text = Bytes::from(body.to_string());
        let Ok(facts) = allowed(endpoint, &text) else { return Ok(()) };
        let Ok(whole) = bounded(&facts, RICH) else { return Ok(()) };
        let affordable = Nanos((i128::from(whole.whole.0) * i128::from(share) / 100) as i64);
        let Ok(bound) = bounded(&facts, affordable) else { return Ok(()) };
        let mut splices = Splices::default();
        bound.splice(&facts, &text, &mut splices);
        let prepared = splices.apply(&text);
        let names = ["max_tokens", "max_completion_tokens", "max_output_tokens", "store"];
        let members = scan::members(&prepared, &names).unwrap();
        let value = |index: usize| members[index].clone().map(|member| prepared[member.span].to_vec());
        if let Endpoint::ChatCompletions | Endpoint::Responses = endpoint {
            prop_assert_eq!(value(3), Some(b"false".to_vec()));
            let limits: Vec<u64> = (0..3).filter_map(value).map(|digits| {
                str::from_utf8(&digits).unwrap().parse().unwrap()
            }).collect();
            let copies = body["n"].as_u64().unwrap_or(1);
            prop_assert_eq!(limits, vec![bound.output_tokens / copies]);
        }
        // It may be sent as it is: nothing in it is forbidden.
        prop_assert!(allowed(endpoint, &prepared).is_ok());
    }
}
