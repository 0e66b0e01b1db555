//! The two fixed answers, with their heads.

use serde_json::{Value, json};

use crate::answer::encoded;
use crate::words;

/// The chunks of a stream.
const CHUNKS: usize = 100;
/// The bytes of a completion.
const COMPLETION: usize = 1024;

/// What is sent, made once.
pub(super) struct Answers {
    pub(super) completion: Vec<u8>,
    /// The first has the head before it, the last the end after it.
    pub(super) chunks: Vec<Vec<u8>>,
}

impl Answers {
    pub(super) fn new() -> Self {
        let body = completion();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_0\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut chunks: Vec<Vec<u8>> = events().iter().map(|event| chunked(event)).collect();
        let stream_head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_0\r\n\
                           transfer-encoding: chunked\r\n\r\n";
        chunks[0].splice(0..0, stream_head.bytes());
        chunks[CHUNKS - 1].extend(b"0\r\n\r\n");
        Self { completion: [head.into_bytes(), body].concat(), chunks }
    }
}

fn chunked(event: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", event.len()).as_bytes(), event, b"\r\n"].concat()
}

fn completion() -> Vec<u8> {
    let document = |text: &str| {
        encoded(&json!({
            "id": "chatcmpl-C0ffeeC0ffeeC0ffeeC0ffeeC0ffe",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": usage(),
            "service_tier": "default",
            "system_fingerprint": "fp_51db84afab",
        }))
    };
    let envelope = document("").len();
    document(&words::filler(COMPLETION - envelope))
}

/// A stream's events; the last has the usage and `[DONE]`.
fn events() -> Vec<Vec<u8>> {
    let event = |choices: Value, usage: Value| {
        let chunk = encoded(&json!({
            "id": "chatcmpl-C0ffeeC0ffeeC0ffeeC0ffeeC0ffe",
            "object": "chat.completion.chunk",
            "created": 1_760_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "service_tier": "default",
            "system_fingerprint": "fp_51db84afab",
            "choices": choices,
            "usage": usage,
        }));
        [b"data: ", chunk.as_slice(), b"\n\n"].concat()
    };
    let delta = json!([{"index": 0, "delta": {"content": " coin"}, "logprobs": null, "finish_reason": null}]);
    let last = json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop"}]);
    let mut events = vec![event(delta, Value::Null); CHUNKS - 2];
    events.push(event(last, Value::Null));
    events.push([event(json!([]), usage()), b"data: [DONE]\n\n".to_vec()].concat());
    events
}

fn usage() -> Value {
    json!({
        "prompt_tokens": 19,
        "completion_tokens": 100,
        "total_tokens": 119,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_have_their_sizes() {
        assert_eq!(completion().len(), COMPLETION);
        assert_eq!(Answers::new().chunks.len(), CHUNKS);
    }
}
