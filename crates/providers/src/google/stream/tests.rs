use bytes::Bytes;
use model::usage::Tokens;

use crate::endpoint::Endpoint;
use crate::stream::{Ending, Heard, SseTap};

const EVENTS: [&str; 3] = [
    r#"{"candidates":[{"content":{"parts":[{"text":"Good "}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":7,"totalTokenCount":27,"thoughtsTokenCount":20,"promptTokensDetails":[{"modality":"TEXT","tokenCount":7}]},"modelVersion":"gemini-2.5-flash","responseId":"r1"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"morning, "},{"functionCall":{"name":"greet","args":{"who": "Ada"}}}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":3,"totalTokenCount":30,"thoughtsTokenCount":20},"modelVersion":"gemini-2.5-flash"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"\u0041da"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":6,"totalTokenCount":33,"thoughtsTokenCount":20},"modelVersion":"gemini-2.5-flash"}"#,
];

fn sse(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\r\n\r\n")).collect()
}

fn list(events: &[&str]) -> String {
    format!("[{}\n]\n", events.join("\n,\r\n"))
}

fn heard(mut tap: SseTap, stream: &str, size: usize) -> Heard {
    stream.as_bytes().chunks(size).for_each(|chunk| tap.push(chunk));
    tap.finish()
}

fn of_events(stream: &str) -> Heard {
    heard(SseTap::new(Endpoint::StreamGenerateContent), stream, 7)
}

fn of_list(stream: &str, size: usize) -> Heard {
    heard(SseTap::of_list(Endpoint::StreamGenerateContent, false), stream, size)
}

#[test]
fn a_stream_says_the_same_as_events_and_as_a_list() {
    let said = of_events(&sse(&EVENTS));
    assert_eq!(said.text, "Good morning, greet{\"who\":\"Ada\"}Ada");
    assert_eq!((&said.ending, said.finish_reason.as_deref()), (&Ending::Complete, Some("STOP")));
    let tokens = Tokens { input: 7, output: 6, reasoning: 20, ..Tokens::default() };
    assert_eq!((said.answer.tokens, said.answer.model.as_deref()), (Some(tokens), Some("gemini-2.5-flash")));
    let stream = list(&EVENTS);
    for size in [1, 2, 3, 64, stream.len()] {
        assert_eq!(of_list(&stream, size), said);
    }
}

#[test]
fn what_breaks_off_is_known_as_far_as_it_came() {
    let first = of_events(&sse(&EVENTS[..1]));
    assert_eq!((first.ending, first.answer.tokens), (Ending::Open, None));
    assert_eq!(first.answer.read.map(|read| read.input), Some(7));
    let second = of_events(&sse(&EVENTS[..2]));
    assert_eq!(second.answer.tokens.map(|tokens| tokens.total_output()), Some(23));
    let open = of_list(list(&EVENTS[..2]).trim_end().trim_end_matches(']'), 9);
    assert_eq!((open.ending, open.answer), (Ending::Open, second.answer));
}

#[test]
fn errors_and_refusals_end_a_stream() {
    let error = r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#;
    let failed = Ending::Failed("UNAVAILABLE".to_owned());
    assert_eq!(of_events(&sse(&[EVENTS[0], error])).ending, failed);
    assert_eq!(of_list(&list(&[EVENTS[0], error]), 5).ending, failed);
    let refused = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7}}"#;
    let refused = of_events(&sse(&[refused]));
    assert_eq!((refused.ending, refused.finish_reason.as_deref()), (Ending::Complete, Some("SAFETY")));
    assert_eq!(refused.answer.tokens, Some(Tokens { input: 7, ..Tokens::default() }));
}

#[test]
fn a_stream_is_cut_off_as_if_its_limit_were_reached() {
    let usage = Tokens { input: 5, cached_input: 2, output: 4, reasoning: 20, ..Tokens::default() };
    let cut = |mut tap: SseTap, begun: &str| -> Option<Bytes> {
        tap.push(begun.as_bytes());
        assert!(begun.is_empty() || tap.is_between_events());
        tap.cut_off(1, &usage, true)
    };
    let whole = Heard { text: "Good ".to_owned(), text_bytes: 5, ..Heard::default() };
    let expected = |heard: Heard| {
        assert_eq!((&heard.text, heard.text_bytes), (&whole.text, whole.text_bytes));
        assert_eq!((heard.ending, heard.finish_reason.as_deref()), (Ending::Complete, Some("MAX_TOKENS")));
        assert_eq!(heard.answer.tokens, Some(usage));
    };
    let begun = sse(&EVENTS[..1]);
    let last = cut(SseTap::for_steps(Endpoint::StreamGenerateContent), &begun).unwrap();
    expected(of_events(&(begun + str::from_utf8(&last).unwrap())));
    let begun = format!("[{}\n", EVENTS[0]);
    let last = cut(SseTap::of_list(Endpoint::StreamGenerateContent, true), &begun).unwrap();
    let stream = begun + str::from_utf8(&last).unwrap();
    expected(of_list(&stream, 11));
    serde_json::from_str::<Vec<serde_json::Value>>(&stream).unwrap();
    assert_eq!(cut(SseTap::for_steps(Endpoint::StreamGenerateContent), ""), None);
    assert_eq!(cut(SseTap::for_steps(Endpoint::StreamGenerateContent), &sse(&EVENTS)), None);
}
