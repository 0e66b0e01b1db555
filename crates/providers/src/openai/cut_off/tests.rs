use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::openai::usage;
use crate::stream::{Ending, SseTap};
use crate::tokens::Encoding;
use model::usage::Tokens;

const USED: Tokens = Tokens {
    input: 9,
    cached_input: 0,
    cache_write: 0,
    output: 2,
    reasoning: 0,
    audio_input: 0,
    audio_output: 0,
    image_input: 0,
    image_output: 0,
    cache_write_long: 0,
    cached_audio_input: 0,
    cached_image_input: 0,
};

fn chunk(index: u64, delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"gpt-4o\",\"service_tier\":\"default\",\
         \"system_fingerprint\":\"fp\",\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{delta}\"}},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn tapped(endpoint: Endpoint, stream: &str) -> SseTap {
    let mut tap = SseTap::for_steps(endpoint);
    tap.push(stream.as_bytes());
    assert!(tap.is_between_events());
    tap
}

fn data(frames: &[u8]) -> Vec<Value> {
    let frames = str::from_utf8(frames).unwrap();
    let lines =
        frames.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    lines.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn a_chat_stream_ends_with_length_and_its_usage() {
    let stream = [chunk(0, "Hel", "null"), chunk(1, "Hi", "null"), chunk(1, "", "\"stop\"")].concat();
    let tap = tapped(Endpoint::ChatCompletions, &stream);
    let frames = tap.cut_off(2, &USED, true).unwrap();
    assert!(frames.ends_with(b"data: [DONE]\n\n"));
    let events = data(&frames);
    assert_eq!(events.len(), 2);
    let choice = json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": "length"});
    assert_eq!((&events[0]["choices"], &events[0]["usage"]), (&json!([choice]), &Value::Null));
    assert_eq!((&events[0]["id"], &events[0]["created"]), (&json!("c"), &json!(7)));
    assert_eq!(
        (&events[0]["object"], &events[0]["system_fingerprint"]),
        (&json!("chat.completion.chunk"), &json!("fp"))
    );
    assert_eq!(events[1]["choices"], json!([]));
    let told = usage::tokens(Endpoint::ChatCompletions, events[1]["usage"].to_string().as_bytes());
    assert_eq!(told, Some(USED));
    // Whoever reads on beside the stream hears a complete one.
    let mut tap = tap;
    tap.push(&frames);
    let heard = tap.finish();
    assert_eq!((heard.ending, heard.finish_reason.as_deref()), (Ending::Complete, Some("length")));
}

#[test]
fn usage_that_nobody_asked_for_is_not_told() {
    let tap = tapped(Endpoint::ChatCompletions, &chunk(0, "Hel", "null"));
    let events = data(&tap.cut_off(1, &USED, false).unwrap());
    assert_eq!(events.len(), 1);
    assert!(events[0].get("usage").is_none());
}

#[test]
fn a_completion_ends_in_its_own_words() {
    let stream = "data: {\"id\":\"c\",\"object\":\"text_completion\",\"created\":7,\"choices\":[{\"text\":\"Hi\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}],\"model\":\"davinci-002\"}\n\n";
    let tap = tapped(Endpoint::Completions, stream);
    let events = data(&tap.cut_off(1, &USED, false).unwrap());
    let choice = json!({"index": 0, "text": "", "logprobs": null, "finish_reason": "length"});
    assert_eq!((&events[0]["choices"][0], &events[0]["object"]), (&choice, &json!("text_completion")));
}

fn event(sequence: u64, kind: &str, mut members: Value) -> String {
    members["sequence_number"] = json!(sequence);
    // The kind stands first, as OpenAI writes it.
    let members = members.to_string();
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{}\n\n", &members[1..])
}

fn response_stream() -> String {
    let response = json!({"id": "resp_1", "object": "response", "status": "in_progress", "model": "gpt-4o", "output": [], "usage": null, "metadata": {}});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []});
    let call = json!({"id": "fc_1", "type": "function_call", "name": "f", "call_id": "x", "arguments": "", "status": "in_progress"});
    let at = |more: Value| {
        let mut at = json!({"item_id": "msg_1", "output_index": 1, "content_index": 0});
        at.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        at
    };
    [
        event(0, "response.created", json!({"response": response})),
        event(1, "response.in_progress", json!({"response": response})),
        event(2, "response.output_item.added", json!({"output_index": 0, "item": call})),
        event(
            3,
            "response.function_call_arguments.delta",
            json!({"item_id": "fc_1", "output_index": 0, "delta": "{\"a\":"}),
        ),
        event(4, "response.output_item.added", json!({"output_index": 1, "item": message})),
        event(
            5,
            "response.content_part.added",
            at(json!({"part": {"type": "output_text", "text": "", "annotations": []}})),
        ),
        event(6, "response.output_text.delta", at(json!({"delta": "Hel", "logprobs": []}))),
        event(7, "response.output_text.delta", at(json!({"delta": "lo", "logprobs": []}))),
    ]
    .concat()
}

#[test]
fn a_response_ends_incomplete_with_all_that_was_said() {
    let tap = tapped(Endpoint::Responses, &response_stream());
    let frames = tap.cut_off(1, &USED, false).unwrap();
    let events = data(&frames);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "response.output_item.done",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ];
    assert_eq!(kinds, expected);
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [8, 9, 10, 11, 12]);
    let response = &events[4]["response"];
    assert_eq!((&response["id"], &response["status"]), (&json!("resp_1"), &json!("incomplete")));
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(response["output"][0]["arguments"], "{\"a\":");
    assert_eq!(response["output"][1]["content"][0]["text"], "Hello");
    assert_eq!(response["output"][1]["status"], "incomplete");
    assert_eq!(usage::tokens(Endpoint::Responses, response["usage"].to_string().as_bytes()), Some(USED));
    let mut tap = tap;
    tap.push(&frames);
    let heard = tap.finish();
    assert_eq!((heard.ending, heard.answer.tokens), (Ending::Complete, Some(USED)));
}

#[test]
fn a_stream_that_has_not_begun_cannot_be_ended() {
    let tap = SseTap::for_steps(Endpoint::ChatCompletions);
    assert_eq!(tap.cut_off(1, &USED, true), None);
    assert_eq!(tapped(Endpoint::Responses, ": hi\n\n").cut_off(1, &USED, true), None);
    let mut tap = SseTap::new(Endpoint::ChatCompletions);
    tap.push(chunk(0, "Hi", "null").as_bytes());
    assert_eq!(tap.cut_off(1, &USED, true), None);
}

#[test]
fn what_was_produced_is_never_counted_too_low() {
    let mut tap = SseTap::for_steps(Endpoint::ChatCompletions);
    let mut said = String::new();
    for round in 0..50 {
        let words = format!(" word{round}, naïve 你好!");
        said.push_str(&words);
        tap.push(chunk(0, &words, "null").as_bytes());
        if round % 7 == 0 {
            tap.count(Encoding::O200k);
        }
        assert!(tap.produced_at_most() >= Encoding::O200k.count(&said));
    }
    tap.count(Encoding::O200k);
    // A few seams, and no more.
    assert!(tap.produced_at_most() < Encoding::O200k.count(&said) + 20);
}

#[test]
fn the_names_of_calls_are_counted_too() {
    let mut tap = SseTap::for_steps(Endpoint::Responses);
    tap.push(response_stream().as_bytes());
    tap.count(Encoding::O200k);
    assert!(tap.produced_at_most() >= 2 * 32);
}
