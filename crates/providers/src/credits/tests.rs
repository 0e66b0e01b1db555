use http::HeaderValue;
use model::{AccountId, Nanos};
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::catalog;
use crate::prices::{Catalogue, Found};

const NOW: OffsetDateTime = datetime!(2026-12-01 00:00 UTC);
const RICH: Nanos = Nanos(i64::MAX);

fn provider() -> &'static Provider {
    catalog::find("openai").unwrap()
}

fn found(model: &str) -> Found<'_> {
    Catalogue::current().price(AccountId(Uuid::nil()), "openai", model, NOW).unwrap()
}

fn facts(endpoint: Endpoint, body: &str) -> Result<Facts, Forbidden> {
    let headers = HeaderMap::new();
    let request = Request {
        endpoint,
        method: &Method::POST,
        operation: "x",
        query: None,
        headers: &headers,
        body: Some(body.as_bytes()),
        model: None,
    };
    match allowed(provider(), &request)? {
        Permit::Call(facts) => Ok(*facts),
        permit => panic!("{permit:?}"),
    }
}

fn chat(model: &str, more: &str) -> Facts {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]{more}}}"#);
    facts(Endpoint::ChatCompletions, &body).unwrap()
}

fn bound(facts: &Facts, affordable: Nanos) -> Result<Bound, Unbounded> {
    bound::bound(provider(), facts, &found(&facts.model), bound::DEFAULT_OUTPUT, affordable)
}

#[test]
fn no_table_is_longer_than_the_bits_that_remember_it() {
    let mut lengths = Vec::new();
    let credits = catalog::all().iter().filter_map(|provider| provider.credits);
    for operation in credits.flat_map(|credits| credits.operations) {
        shape::Field::tables(operation.members, &mut lengths);
    }
    assert!(lengths.len() > 40 && lengths.iter().all(|length| *length < 64));
}

#[test]
fn only_what_is_listed_may_be_called() {
    let headers = HeaderMap::new();
    let ask = |method: Method, operation: &str, query: Option<&str>| {
        let endpoint = Endpoint::of(&method, operation);
        let request = Request {
            endpoint,
            method: &method,
            operation,
            query,
            headers: &headers,
            body: Some(b"{}"),
            model: None,
        };
        allowed(provider(), &request)
    };
    let refused = [
        (Method::POST, "files"),
        (Method::GET, "files/file-1/content"),
        (Method::POST, "uploads"),
        (Method::POST, "batches"),
        (Method::POST, "fine_tuning/jobs"),
        (Method::GET, "responses/resp_1"),
        (Method::DELETE, "responses/resp_1"),
        (Method::POST, "responses/resp_1/cancel"),
        (Method::GET, "chat/completions"),
        (Method::POST, "conversations"),
        (Method::POST, "vector_stores"),
        (Method::POST, "assistants"),
        (Method::POST, "threads/runs"),
        (Method::POST, "evals"),
        (Method::POST, "containers"),
        (Method::GET, "organization/costs"),
        (Method::POST, "images/edits"),
        (Method::POST, "audio/transcriptions"),
        (Method::DELETE, "models/ft:gpt-4o:org::x"),
        (Method::POST, "realtime/sessions"),
        (Method::POST, "videos"),
    ];
    for (method, operation) in refused {
        let refusal = ask(method.clone(), operation, None).unwrap_err();
        assert!(matches!(&refusal, Forbidden::Operation { .. }), "{method} {operation}: {refusal:?}");
        assert!(refusal.to_string().contains(operation));
    }
    assert_eq!(ask(Method::GET, "models", None), Ok(Permit::Models));
    assert_eq!(ask(Method::GET, "models/gpt-4o", None), Ok(Permit::Model("gpt-4o".to_owned())));
    assert!(matches!(ask(Method::GET, "models", Some("limit=1")), Err(Forbidden::Query(_))));
}

#[test]
fn the_list_of_models_has_those_that_have_a_price() {
    let list = list_of_models(provider(), Catalogue::current(), AccountId(Uuid::nil()), NOW);
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let names: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(names.contains(&"gpt-4o-mini") && names.contains(&"omni-moderation-latest"));
    assert!(
        !names.iter().any(|name| name.starts_with("ft:") || name.contains('/') || *name == "gpt-live-1x")
    );
    let one = |model| one_model(provider(), Catalogue::current(), AccountId(Uuid::nil()), model, NOW);
    let model: serde_json::Value = serde_json::from_slice(&one("gpt-4o").unwrap()).unwrap();
    assert_eq!((&model["id"], &model["object"]), (&"gpt-4o".into(), &"model".into()));
    assert_eq!(
        [one("ft:gpt-4o:org::x"), one("no-such"), one("low/1024-x-1024/gpt-image-1")],
        [None, None, None]
    );
}

#[test]
fn a_body_that_cannot_be_read_is_refused() {
    let headers = HeaderMap::new();
    let request = Request {
        endpoint: Endpoint::ChatCompletions,
        method: &Method::POST,
        operation: "chat/completions",
        query: None,
        headers: &headers,
        body: None,
        model: None,
    };
    assert_eq!(allowed(provider(), &request), Err(Forbidden::Unreadable));
    for body in
        ["", "[]", "null", "{", "{\"model\":\"a\",}", "{\"model\":\"a\",\"messages\":[]}x", "\u{feff}{}"]
    {
        let refused = facts(Endpoint::ChatCompletions, body);
        assert!(matches!(refused, Err(Forbidden::Malformed(_))), "{body}: {refused:?}");
    }
    let beta = [(http::HeaderName::from_static("openai-beta"), HeaderValue::from_static("x"))];
    let headers: HeaderMap = beta.into_iter().collect();
    let refused = allowed(provider(), &Request { headers: &headers, body: Some(b"{}"), ..request });
    assert_eq!(refused.unwrap_err().param(), Some("openai-beta"));
}

#[test]
fn a_request_that_names_no_limit_is_given_one() {
    let facts = chat("gpt-4o-mini", "");
    let rich = bound(&facts, RICH).unwrap();
    assert_eq!((rich.output_limit, rich.output_tokens, rich.step), (Some(16_384), 16_384, None));
    // 70 bytes and 64 tokens more at 0.25 dollars a million, which is the fast tier's price, and 16,384 at 1.
    assert_eq!((rich.input_tokens, rich.hold), (134, Nanos(134 * 250 + 16_384 * 1000)));
    assert_eq!(rich.whole, rich.hold);
    let regular = bound(&chat("gpt-4o-mini", r#","service_tier":"default""#), RICH).unwrap();
    assert_eq!(regular.hold, Nanos(159 * 150 + 16_384 * 600));
    // Longer than the model's longest.
    let long = bound(&chat("gpt-4o-2024-05-13", r#","max_tokens":99999"#), RICH).unwrap();
    assert_eq!((long.output_limit, long.output_tokens), (Some(4_096), 4_096));
}

#[test]
fn a_limit_of_the_callers_stands_if_it_is_affordable() {
    let facts = chat("gpt-4o-mini", r#","max_tokens":100"#);
    let rich = bound(&facts, RICH).unwrap();
    assert_eq!((rich.output_limit, rich.output_tokens), (None, 100));
    let needed = rich.hold;
    assert_eq!(bound(&facts, needed).unwrap(), rich);
    let available = needed - Nanos(1);
    assert_eq!(bound(&facts, available), Err(Unbounded::TooLittle { needed, available }));
}

#[test]
fn what_is_affordable_shortens_an_answer_down_to_the_shortest_sensible_one() {
    let facts = chat("gpt-4o", "");
    let input = 129;
    let cost = |output: i64| Nanos((input * 4_250_000 + output * 17_000_000) / 1000);
    let least = bound(&facts, cost(256)).unwrap();
    assert_eq!((least.output_limit, least.hold), (Some(256), cost(256)));
    let some = bound(&facts, cost(1000) + Nanos(16_999)).unwrap();
    assert_eq!((some.output_limit, some.hold), (Some(1000), cost(1000)));
    let available = cost(256) - Nanos(1);
    assert_eq!(bound(&facts, available), Err(Unbounded::TooLittle { needed: cost(256), available }));
}

#[test]
fn several_answers_are_held_together() {
    let one = bound(&chat("gpt-4o", r#","max_completion_tokens":1000"#), RICH).unwrap();
    let three = bound(&chat("gpt-4o", r#","max_completion_tokens":1000,"n":3"#), RICH).unwrap();
    assert_eq!((one.output_tokens, three.output_tokens), (1000, 3000));
    assert!(three.hold.0 > 2 * one.hold.0);
    let body = r#"{"model":"davinci-002","prompt":["a","b"],"n":2,"best_of":5}"#;
    let completions = bound(&facts(Endpoint::Completions, body).unwrap(), RICH).unwrap();
    // OpenAI's own limit, of 2 × 5 completions.
    assert_eq!((completions.output_tokens, completions.output_limit), (160, None));
    let tokens = facts(Endpoint::Completions, r#"{"model":"davinci-002","prompt":[1,2,3]}"#).unwrap();
    assert_eq!(bound(&tokens, RICH).unwrap().output_tokens, 16);
}

#[test]
fn only_what_is_seen_as_it_comes_is_held_in_steps() {
    let step = |model, more: &str| bound(&chat(model, more), RICH).unwrap().step;
    assert_eq!(step("gpt-4o", r#","stream":true"#), Some(2048));
    assert_eq!(step("gpt-4o", ""), None);
    assert_eq!(step("gpt-5", r#","stream":true"#), None);
    assert_eq!(step("gpt-4o", r#","stream":true,"max_tokens":2048"#), None);
    let facts = chat("gpt-4o", r#","stream":true"#);
    let provider = Provider { stops_billing_on_cancel: false, ..*provider() };
    let bound = bound::bound(&provider, &facts, &found("gpt-4o"), 16_384, RICH).unwrap();
    assert_eq!(bound.step, None);
}

#[test]
fn a_stream_pays_step_by_step_and_never_twice() {
    let bound = bound(&chat("gpt-4o", r#","stream":true"#), RICH).unwrap();
    assert!(bound.hold < bound.whole);
    let mut steps = Steps::new(bound.clone()).unwrap();
    assert_eq!(steps.due(1535), None);
    let mut held = bound.hold;
    let mut produced = 0;
    while produced < bound.output_tokens {
        produced += 100;
        if let Some(extension) = steps.due(produced) {
            assert!(extension.tokens <= 2048 && extension.reported == bound.up_to(produced));
            held += extension.more;
            steps.granted(&extension);
        }
        assert!(!steps.must_end(produced) && bound.up_to(produced.min(bound.output_tokens)) <= held);
    }
    assert_eq!(held, bound.whole);
    let mut steps = Steps::new(bound).unwrap();
    assert!(steps.due(1536).is_some());
    steps.refused();
    assert_eq!((steps.due(1600), steps.must_end(2047), steps.must_end(2048)), (None, false, true));
}

#[test]
fn the_limit_is_called_what_the_model_calls_it() {
    let name = |model| chat(model, "").limit_member();
    assert_eq!(["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo"].map(name), ["max_tokens"; 3]);
    assert_eq!(["gpt-4o", "gpt-4.1-mini", "o3", "gpt-5.4"].map(name), ["max_completion_tokens"; 4]);
    let response = facts(Endpoint::Responses, r#"{"model":"gpt-5","input":"Hi"}"#).unwrap();
    assert_eq!(response.limit_member(), "max_output_tokens");
}

#[test]
fn pictures_are_bounded_by_the_guide_and_sound_by_the_context() {
    let parts = |model: &str, part: &str| {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":[{part}]}}]}}"#);
        let facts = facts(Endpoint::ChatCompletions, &body).unwrap();
        input::Input::at_most(&facts, &found(&facts.model)).unwrap()
    };
    let data = "A".repeat(100_000);
    let picture = |detail: &str| {
        format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"{detail}}}}}"#)
    };
    let read = parts("gpt-4o", &picture(""));
    assert_eq!(read.pictures, 1445);
    assert!(read.text < 300, "{read:?}");
    assert_eq!(parts("gpt-4o", &picture(r#","detail":"low""#)).pictures, 85);
    assert_eq!(parts("gpt-4o", &format!("{0},{0}", picture(""))).pictures, 2890);
    assert_eq!(parts("gpt-4o-mini", &picture(r#","detail":"low""#)).pictures, 2833);
    // A detail belongs to its own picture, wherever it stands.
    let first = r#"{"type":"image_url","image_url":{"detail":"low","url":"x"}}"#;
    assert_eq!(parts("gpt-4o", &format!("{first},{}", picture(""))).pictures, 85 + 1445);
    let sound = format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}"#);
    let heard = parts("gpt-audio", &sound);
    assert_eq!((heard.sound, heard.text), (128_000, 0));
    let file = format!(r#"{{"type":"file","file":{{"file_data":"data:application/pdf;base64,{data}"}}}}"#);
    assert_eq!(parts("gpt-4o", &file).tokens(), 128_000);
}

#[test]
fn a_picture_in_a_response_is_bounded_too() {
    let input = |items: &str| {
        let facts =
            facts(Endpoint::Responses, &format!(r#"{{"model":"gpt-4.1","input":[{items}]}}"#)).unwrap();
        facts.pictures
    };
    let message = |parts: &str| format!(r#"{{"role":"user","content":[{parts}]}}"#);
    let low = r#"{"type":"input_image","image_url":"x","detail":"low"}"#;
    let other = r#"{"detail":"high","type":"input_image","image_url":"x"}"#;
    let pictures = input(&message(&[low, other, low].join(",")));
    assert_eq!((pictures.low, pictures.other), (2, 1));
}

#[test]
fn counting_bounds_a_text_more_closely() {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(200);
    let body = format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let mut counted = facts(Endpoint::ChatCompletions, &body).unwrap();
    let by_bytes = bound(&counted, RICH).unwrap();
    assert!(counted.count(body.as_bytes()));
    let by_tokens = bound(&counted, RICH).unwrap();
    let prompt = crate::tokens::prompt(Endpoint::ChatCompletions, "gpt-4o", body.as_bytes());
    assert!(by_bytes.input_tokens > 9000 && by_tokens.input_tokens < 2300);
    assert!(by_tokens.input_tokens >= prompt && by_tokens.floor <= by_tokens.hold);
    let mut unknown = facts(Endpoint::ChatCompletions, &body.replace("gpt-4o", "gpt-6-sol")).unwrap();
    assert!(!unknown.count(body.as_bytes()));
}

#[test]
fn data_is_not_counted_as_text() {
    let picture = format!("data:image/png;base64,{}", "QUJD".repeat(5000));
    let body = format!(
        r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{picture}"}}}},{{"type":"text","text":"\u4f60\u597d"}}]}}]}}"#
    );
    let mut facts = facts(Endpoint::ChatCompletions, &body).unwrap();
    assert!(facts.count(body.as_bytes()));
    assert!(facts.counted.unwrap() < 60, "{:?}", facts.counted);
}

#[test]
fn a_long_input_is_held_at_the_price_of_long_inputs() {
    let text = "a ".repeat(150_000);
    let body =
        format!(r#"{{"model":"gpt-5.4","input":"{text}","service_tier":"default","max_output_tokens":16}}"#);
    let held = bound(&facts(Endpoint::Responses, &body).unwrap(), RICH).unwrap();
    let price = found("gpt-5.4").price;
    let long = price.prices(model::prices::Tier::Standard, 300_000);
    assert!(held.input_tokens > 272_000);
    let expected = held.input_tokens as i64 * long.input.unwrap().0 + 16 * long.output.unwrap().0;
    assert_eq!(held.hold, Nanos((expected + 500) / 1000));
}

#[test]
fn an_input_is_never_longer_than_the_context() {
    let text = "a ".repeat(80_000);
    let body = format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    assert_eq!(bound(&facts(Endpoint::ChatCompletions, &body).unwrap(), RICH).unwrap().input_tokens, 128_000);
    // Embeddings take several inputs, each with a context of its own.
    let body = format!(r#"{{"model":"text-embedding-3-small","input":["{text}"]}}"#);
    assert!(bound(&facts(Endpoint::Embeddings, &body).unwrap(), RICH).unwrap().input_tokens > 160_000);
}

#[test]
fn speech_costs_by_the_character_or_is_refused() {
    let speech = |model: &str| {
        facts(
            Endpoint::Speech,
            &format!(r#"{{"model":"{model}","input":"h\u00e9llo \ud83d\ude00","voice":"alloy"}}"#),
        )
        .unwrap()
    };
    // Seven characters, of which one counts twice, at 15 dollars a million.
    assert_eq!(bound(&speech("tts-1"), RICH).unwrap().hold, Nanos(8 * 15_000));
    let refused = bound(&speech("gpt-4o-mini-tts"), RICH).unwrap_err();
    assert!(matches!(refused, Unbounded::Forbidden(Forbidden::Field { field, .. }) if field == "model"));
}

#[test]
fn pictures_that_are_made_are_held_whole() {
    let made = |more: &str| {
        let body = format!(r#"{{"model":"gpt-image-1","prompt":"A cat"{more}}}"#);
        bound(&facts(Endpoint::ImageGenerations, &body).unwrap(), RICH)
    };
    let cat = made(r#","n":2,"size":"1024x1024","quality":"low""#).unwrap();
    assert_eq!((cat.output_tokens, cat.step, cat.output_limit), (544, None, None));
    // 147 tokens of input at 5 and 544 of a picture at 40 dollars a million.
    assert_eq!(cat.hold, Nanos(cat.input_tokens as i64 * 5_000 + 544 * 40_000));
    assert!(made(r#","size":"9999x9999""#).is_err());
}

#[test]
fn a_model_without_the_price_that_is_needed_is_refused() {
    let refused = |facts: &Facts| bound(facts, RICH).unwrap_err().to_string();
    assert!(refused(&chat("whisper-1", "")).contains("`whisper-1`"));
    let speaks = chat("gpt-4o", r#","modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}"#);
    assert!(refused(&speaks).contains("sound that it produces"));
    let speaks = chat("gpt-audio", r#","modalities":["text","audio"],"stream":true"#);
    let held = bound(&speaks, RICH).unwrap();
    assert_eq!(held.step, None);
    // At the price of sound, which is dearer than text.
    assert!(held.hold >= Nanos(16_384 * 64_000));
}

#[test]
fn no_number_is_too_large_to_be_held() {
    let most = Nanos(4_000_000_000_000_000);
    let facts = chat("gpt-5.5-cyber", r#","max_completion_tokens":100000000,"n":128"#);
    let held = bound(&facts, RICH).unwrap();
    assert!(held.whole <= most);
    let body = r#"{"model":"gpt-4o","messages":[],"n":129}"#;
    assert_eq!(super::tests::facts(Endpoint::ChatCompletions, body).unwrap_err().param(), Some("n"));
}

#[test]
fn what_is_free_is_held_for_nothing() {
    let free = facts(Endpoint::Moderations, r#"{"input":["Hi",{"type":"text","text":"Hi"}]}"#).unwrap();
    assert_eq!(free.model(), "omni-moderation-latest");
    assert_eq!(bound(&free, Nanos::ZERO).unwrap().hold, Nanos::ZERO);
    let picture =
        r#"{"input":[{"type":"image_url","image_url":{"url":"https://images.example.com/1.png"}}]}"#;
    let free = facts(Endpoint::Moderations, picture).unwrap();
    assert_eq!(bound(&free, Nanos::ZERO).unwrap().hold, Nanos::ZERO);
}
