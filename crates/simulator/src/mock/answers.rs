//! The fixed answers, with their heads.

use serde_json::{Value, json};

use crate::answer::encoded;
use crate::words;

/// The chunks of a stream.
const CHUNKS: usize = 100;
/// The bytes of a completion.
const COMPLETION: usize = 1024;

/// What is sent, made once: what is paid for, and what costs next to nothing.
pub(super) struct Answers {
    completions: [Vec<u8>; 2],
    /// The first has the head before it, the last the end after it.
    chunks: [Vec<Vec<u8>>; 2],
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            completions: [false, true].map(|cheap| {
                let body = completion(cheap);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_0\r\n\
                     content-length: {}\r\n\r\n",
                    body.len()
                );
                [head.into_bytes(), body].concat()
            }),
            chunks: [false, true].map(|cheap| {
                let mut chunks: Vec<Vec<u8>> = events(cheap).iter().map(|event| chunked(event)).collect();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                            x-request-id: req_0\r\ntransfer-encoding: chunked\r\n\r\n";
                chunks[0].splice(0..0, head.bytes());
                chunks[CHUNKS - 1].extend(b"0\r\n\r\n");
                chunks
            }),
        }
    }

    pub(super) fn completion(&self, cheap: bool) -> &[u8] {
        &self.completions[usize::from(cheap)]
    }

    pub(super) fn chunks(&self, cheap: bool) -> &[Vec<u8>] {
        &self.chunks[usize::from(cheap)]
    }
}

fn chunked(event: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", event.len()).as_bytes(), event, b"\r\n"].concat()
}

fn completion(cheap: bool) -> Vec<u8> {
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
            "usage": usage(cheap),
            "service_tier": "default",
            "system_fingerprint": "fp_51db84afab",
        }))
    };
    let envelope = document("").len();
    document(&words::filler(COMPLETION - envelope))
}

/// A stream's events; the last has the usage and `[DONE]`.
fn events(cheap: bool) -> Vec<Vec<u8>> {
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
    events.push([event(json!([]), usage(cheap)), b"data: [DONE]\n\n".to_vec()].concat());
    events
}

fn usage(cheap: bool) -> Value {
    // Nobody believes that nothing was read.
    let (prompt, cached, completion) = if cheap { (1, 1, 0) } else { (19, 0, 100) };
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
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
        for cheap in [false, true] {
            assert_eq!(completion(cheap).len(), COMPLETION);
            assert_eq!(Answers::new().chunks(cheap).len(), CHUNKS);
        }
    }
}
