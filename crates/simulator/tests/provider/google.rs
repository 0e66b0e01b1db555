//! Google's dialect.

use serde_json::{Value, json};

use super::Simulator;

const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";

fn content(more: &Value) -> Value {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "Say hello to Ada"}]}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn said(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect()
}

#[test]
fn a_streams_events_make_up_the_answer_that_was_not_streamed_as_those_of_a_list_do() {
    let simulator = Simulator::start();
    let asks = content(&json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 64}}}));
    let whole = simulator.json(GENERATE, &asks);
    let events = simulator.events(&format!("{STREAM}?alt=sse"), &asks);
    let list = simulator.json(STREAM, &asks);
    assert_eq!(whole["candidates"][0]["content"]["parts"][0]["text"], said(&events));
    assert_eq!(said(list.as_array().unwrap()), said(&events));
    let last = events.last().unwrap();
    assert_eq!(last["usageMetadata"], whole["usageMetadata"]);
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    let usage = &whole["usageMetadata"];
    assert_eq!(usage["thoughtsTokenCount"], 64);
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(count("totalTokenCount"), count("promptTokenCount") + count("candidatesTokenCount") + 64);
    let billed = &simulator.arrivals()[0]["billed"];
    assert_eq!(billed["output_tokens"], count("candidatesTokenCount") + 64);
    assert_eq!(
        (&billed["reasoning_tokens"], &billed["input_tokens"]),
        (&json!(64), &usage["promptTokenCount"])
    );
}

#[test]
fn limits_are_obeyed_and_tools_called() {
    let simulator = Simulator::start();
    let cut = simulator.json(GENERATE, &content(&json!({"generationConfig": {"maxOutputTokens": 3}})));
    assert_eq!(cut["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert_eq!(cut["usageMetadata"]["candidatesTokenCount"], 3);
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let tools = json!({"tools": [{"functionDeclarations": [{"name": "say_hello", "parameters": schema}]}]});
    let called = simulator.json(GENERATE, &content(&tools));
    let call = &called["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(call, &json!({"name": "say_hello", "args": {"name": "Ada"}}));
}

#[test]
fn texts_are_embedded_and_counted() {
    let simulator = Simulator::start();
    let request = json!({"content": {"parts": [{"text": "harbour"}]}, "outputDimensionality": 8});
    let one = simulator.json("/v1beta/models/gemini-embedding-2:embedContent", &request);
    let several = simulator.json(
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        &json!({"requests": [request, request]}),
    );
    assert_eq!(one["embedding"], several["embeddings"][1]);
    assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 8);
    assert!(one["usageMetadata"]["promptTokenCount"].is_u64() && several.get("usageMetadata").is_none());
    let counted = simulator.json("/v1beta/models/gemini-2.5-flash:countTokens", &content(&json!({})));
    let read = simulator.json(GENERATE, &content(&json!({})));
    assert_eq!(counted["totalTokens"], read["usageMetadata"]["promptTokenCount"]);
    let billed = |index: usize| simulator.arrivals()[index]["billed"]["input_tokens"].as_u64().unwrap();
    assert_eq!((billed(1), billed(2)), (2 * billed(0), 0));
}

#[test]
fn errors_are_told_in_googles_words() {
    let simulator = Simulator::start();
    for (wishes, body, status, word) in [
        ("status=429", content(&json!({})), 429, "RESOURCE_EXHAUSTED"),
        ("status=503", content(&json!({})), 503, "UNAVAILABLE"),
        ("status=500", content(&json!({})), 500, "INTERNAL"),
        ("", json!({}), 400, "INVALID_ARGUMENT"),
    ] {
        let (told, text) = simulator.post(GENERATE, wishes, &body);
        let error = serde_json::from_str::<Value>(&text.unwrap()).unwrap()["error"].clone();
        assert_eq!((told, &error["code"], &error["status"]), (status, &json!(status), &json!(word)));
    }
    let unknown = GENERATE.replace("flash", "nope");
    assert_eq!(simulator.post(&unknown, "", &content(&json!({}))).0, 404);
    let broken = simulator.post(&format!("{STREAM}?alt=sse"), "error_in_stream=1", &content(&json!({})));
    assert!(broken.1.unwrap().trim_end().ends_with(r#""status":"UNAVAILABLE"}}"#));
    let key = |name: &str, value: &str| {
        let url = format!("http://{}/v1beta/models", simulator.address);
        simulator.agent.get(url).header(name, value).call().unwrap().status().as_u16()
    };
    assert_eq!(key("x-goog-api-key", "AIza-1"), 200);
    assert_eq!((key("x-goog-api-key", "tg_gw_1"), key("x-key", "AIza-1")), (400, 403));
}

#[test]
fn openais_words_are_understood_in_their_own_place() {
    let simulator = Simulator::start();
    let asks = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hello"}]});
    let chat = simulator.json("/v1beta/openai/chat/completions", &asks);
    assert!(chat["choices"][0]["message"]["content"].is_string());
}
