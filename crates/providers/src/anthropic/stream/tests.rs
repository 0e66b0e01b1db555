use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::endpoint::Endpoint;
use crate::stream::{Heard, SseTap};

const START: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",",
    "\"model\":\"claude-sonnet-4-5-20250929\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":12,",
    "\"cache_creation_input_tokens\":5,\"cache_read_input_tokens\":30,\"cache_creation\":{\"ephemeral_5m_input_tokens\":2,",
    "\"ephemeral_1h_input_tokens\":3},\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
);
const THINKING: &str = concat!(
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Hm\\u2026\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQB\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
);
const TEXT: &str = concat!(
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\\\"lo\"}}\n\n",
);
const END: &str = concat!(
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},",
    "\"usage\":{\"input_tokens\":0,\"output_tokens\":9,\"output_tokens_details\":{\"thinking_tokens\":4},\"server_tool_use\":{\"web_search_requests\":2,\"web_fetch_requests\":0}}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

fn heard(stream: &str) -> Heard {
    tapped(stream).finish()
}

fn tapped(stream: &str) -> SseTap {
    let mut tap = SseTap::for_steps(Endpoint::Messages);
    tap.push(stream.as_bytes());
    tap
}

fn whole() -> String {
    [START, THINKING, TEXT, END].concat()
}

const READ: Tokens = Tokens {
    input: 12,
    cached_input: 30,
    cache_write: 2,
    cache_write_long: 3,
    output: 0,
    reasoning: 0,
    audio_input: 0,
    cached_audio_input: 0,
    audio_output: 0,
    image_input: 0,
    cached_image_input: 0,
    image_output: 0,
};

#[test]
fn a_stream_says_what_was_read_first_and_what_was_produced_last() {
    let heard = heard(&whole());
    assert_eq!(heard.answer.model.as_deref(), Some("claude-sonnet-4-5-20250929"));
    assert_eq!(heard.answer.service_tier.as_deref(), Some("standard"));
    assert_eq!(heard.answer.tokens, Some(Tokens { output: 5, reasoning: 4, ..READ }));
    assert_eq!(heard.answer.searches, 2);
    assert_eq!((heard.text.as_str(), heard.finish_reason.as_deref()), ("Hm…Hel\"lo", Some("end_turn")));
    assert_eq!(heard.ending, Ending::Complete);
}

#[test]
fn a_stream_that_breaks_off_keeps_what_was_read_and_its_text() {
    let heard = heard(&[START, THINKING, TEXT].concat());
    assert_eq!((heard.answer.tokens, heard.answer.read), (None, Some(READ)));
    assert_eq!((heard.text.as_str(), heard.ending), ("Hm…Hel\"lo", Ending::Open));
}

#[test]
fn an_error_ends_a_stream() {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    assert_eq!(heard(&[START, TEXT, error].concat()).ending, Ending::Failed("overloaded_error".to_owned()));
    assert_eq!(heard("data: {\"type\":\"error\"}\n\n").ending, Ending::Failed(String::new()));
}

#[test]
fn tools_are_called_with_text() {
    let stream = concat!(
        "data: {\"index\":0,\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"clock\",\"input\":{}}}\n\n",
        "data: {\"index\":0,\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"zone\\\"\"}}\n\n",
    );
    assert_eq!(heard(stream).text, "clock{\"zone\"");
}

#[test]
fn a_stream_that_is_cut_off_ends_as_at_its_limit() {
    let tap = tapped(&[START, THINKING, TEXT].concat());
    assert!(tap.is_between_events());
    let frames = tap.cut_off(1, &Tokens { output: 7, reasoning: 1, ..READ }, false).unwrap();
    let frames = str::from_utf8(&frames).unwrap();
    let kinds: Vec<_> = frames.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(kinds, ["content_block_stop", "message_delta", "message_stop"]);
    let events: Vec<Value> = frames
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!((&events[0]["index"], &events[1]["delta"]["stop_reason"]), (&json!(1), &json!("max_tokens")));
    assert_eq!(events[1]["usage"]["output_tokens"], 8);
    // Whoever listens on hears one message that is whole.
    let heard = heard(&[START, THINKING, TEXT, frames].concat());
    assert_eq!((heard.ending, heard.answer.tokens.unwrap().total_output()), (Ending::Complete, 8));
    assert_eq!(tapped("").cut_off(1, &READ, false), None);
}

#[test]
fn every_byte_bounds_a_token_of_a_model_whose_tokenizer_is_not_known() {
    let mut tap = tapped(&[START, THINKING, TEXT].concat());
    let bound = tap.produced_at_most();
    tap.count(crate::tokens::Encoding::O200k);
    assert_eq!(tap.produced_at_most(), bound);
    assert!(bound >= "Hm…Hel\"lo".len() as u64);
}

proptest! {
    #[test]
    fn how_a_stream_is_cut_does_not_matter(sizes in prop::collection::vec(1..120_usize, 1..40), crlf: bool) {
        let stream = if crlf { whole().replace('\n', "\r\n") } else { whole() };
        let mut tap = SseTap::new(Endpoint::Messages);
        let (mut rest, mut sizes) = (stream.as_bytes(), sizes.iter().cycle());
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            tap.push(chunk);
            rest = after;
        }
        prop_assert_eq!(tap.finish(), heard(&stream));
    }

    #[test]
    fn any_bytes_are_survived(chunks: Vec<Vec<u8>>, text in "data: \\{\"type\":\"(message_start|message_delta|content_block_start|content_block_delta|error)\"[\\[\\]{}\":,a0\\\\\n]{0,40}\n\n") {
        let mut tap = SseTap::for_steps(Endpoint::Messages);
        for chunk in &chunks {
            tap.push(chunk);
            tap.push(text.as_bytes());
        }
        tap.cut_off(1, &READ, true);
        tap.finish();
    }
}
