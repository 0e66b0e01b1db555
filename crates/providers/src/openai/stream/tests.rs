use model::usage::Tokens;
use proptest::prelude::*;

use super::*;
use crate::stream::{Heard, SseTap};

const CHAT: &str = concat!(
    "data: {\"id\":\"c\",\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,",
    "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"Hel\\\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    ": keep-alive\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"lo\\u00e9\"}}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\r\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt-5\",\"usage\":null,\"error\":null}}\r\n\r\n",
    "event: response.output_text.delta\r\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\",\"logprobs\":[]}\r\n\r\n",
    "event: response.output_text.done\r\ndata: {\"type\":\"response.output_text.done\",\"text\":\"Hi\"}\r\n\r\n",
    "event: response.completed\r\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-5-2025-08-07\",",
    "\"output\":[{\"text\":\"\\\"usage\\\":{}\"}],\"usage\":{\"input_tokens\":5,\"output_tokens\":3}}}\r\n\r\n",
);

fn heard(endpoint: Endpoint, stream: &str) -> Heard {
    let mut tap = SseTap::new(endpoint);
    tap.push(stream.as_bytes());
    tap.finish()
}

#[test]
fn a_chat_stream_says_all_there_is() {
    let heard = heard(Endpoint::ChatCompletions, CHAT);
    assert_eq!(heard.answer.model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(heard.answer.service_tier.as_deref(), Some("default"));
    assert_eq!(heard.answer.tokens, Some(Tokens { input: 9, output: 2, ..Tokens::default() }));
    assert_eq!((heard.text.as_str(), heard.text_bytes), ("Hel\"loé", 8));
    assert_eq!((heard.finish_reason.as_deref(), heard.ending), (Some("stop"), Ending::Complete));
}

#[test]
fn a_responses_stream_says_its_usage_in_its_last_event() {
    let heard = heard(Endpoint::Responses, RESPONSES);
    assert_eq!(heard.answer.model.as_deref(), Some("gpt-5-2025-08-07"));
    assert_eq!(heard.answer.tokens, Some(Tokens { input: 5, output: 3, ..Tokens::default() }));
    assert_eq!((heard.text.as_str(), heard.ending), ("Hi", Ending::Complete));
}

#[test]
fn errors_inside_a_stream_are_heard() {
    let streams = [
        (
            Endpoint::ChatCompletions,
            "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}}\n\ndata: [DONE]\n\n",
            "server_error",
        ),
        (
            Endpoint::Responses,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}\n\n",
            "rate_limit_exceeded",
        ),
        (
            Endpoint::Responses,
            "data: {\"type\":\"response.failed\",\"response\":{\"model\":\"m\",\"error\":{\"code\":\"server_error\"},\"usage\":null}}\n\n",
            "server_error",
        ),
    ];
    for (endpoint, stream, code) in streams {
        assert_eq!(heard(endpoint, stream).ending, Ending::Failed(code.to_owned()));
    }
}

#[test]
fn a_stream_that_breaks_off_keeps_its_text() {
    let heard = heard(
        Endpoint::ChatCompletions,
        CHAT.split("data: {\"id\":\"c\",\"choices\":[{\"delta\":{}").next().unwrap(),
    );
    assert_eq!((heard.answer.tokens, heard.text.as_str(), heard.ending), (None, "Hel\"loé", Ending::Open));
}

#[test]
fn usage_is_found_where_groq_and_moonshot_tell_it() {
    let usage = r#""usage":{"prompt_tokens":18,"completion_tokens":5,"total_tokens":23}"#;
    let last = [
        format!(
            r#"{{"model":"m","choices":[{{"delta":{{}},"finish_reason":"stop"}}],"x_groq":{{"id":"r",{usage}}}}}"#
        ),
        format!(r#"{{"model":"m","choices":[{{"delta":{{}},"finish_reason":"stop",{usage}}}]}}"#),
        format!(r#"{{"model":"m","choices":[{{"delta":{{}},{usage}}}],"usage":null}}"#),
    ];
    for last in last {
        let stream = format!("data: {{\"model\":\"m\",\"choices\":[]}}\n\ndata: {last}\n\ndata: [DONE]\n\n");
        let tokens = heard(Endpoint::ChatCompletions, &stream).answer.tokens.expect(&last);
        assert_eq!((tokens.input, tokens.output), (18, 5), "{last}");
    }
    // What stands in the usual place goes before it.
    let both =
        format!(r#"data: {{"choices":[{{{usage}}}],"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#);
    assert_eq!(heard(Endpoint::ChatCompletions, &both).answer.tokens.unwrap().input, 1);
    for odd in [
        r#"{"choices":["usage"]}"#,
        r#"{"choices":[{"usage":[]}],"x_groq":"usage"}"#,
        r#"{"choices":[{"usage":{"#,
    ] {
        assert_eq!(heard(Endpoint::ChatCompletions, &format!("data: {odd}\n\n")).answer.tokens, None);
    }
}

#[test]
fn tool_calls_are_text_too() {
    let stream = r#"data: {"model":"m","choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a\""}}]}}]}"#;
    assert_eq!(heard(Endpoint::ChatCompletions, stream).text, "f{\"a\"");
}

proptest! {
    #[test]
    fn how_a_stream_is_cut_does_not_matter(sizes in prop::collection::vec(1..120_usize, 1..40), crlf: bool, responses: bool) {
        let (endpoint, stream) =
            if responses { (Endpoint::Responses, RESPONSES) } else { (Endpoint::ChatCompletions, CHAT) };
        let stream = if crlf { stream.replace("\r\n", "\n").replace('\n', "\r\n") } else { stream.to_owned() };
        let mut tap = SseTap::new(endpoint);
        let (mut rest, mut sizes) = (stream.as_bytes(), sizes.iter().cycle());
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            tap.push(chunk);
            rest = after;
        }
        prop_assert_eq!(tap.finish(), heard(endpoint, &stream));
    }

    #[test]
    fn any_bytes_are_survived(chunks: Vec<Vec<u8>>, text in "(data: )?[\\[\\]{}\":,a\\\\n\r\n]{0,80}") {
        let mut tap = SseTap::new(Endpoint::Responses);
        for chunk in &chunks {
            tap.push(chunk);
            tap.push(text.as_bytes());
        }
        tap.finish();
    }
}
