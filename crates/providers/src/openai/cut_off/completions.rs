//! The end of a stream of chunks.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::usage::Tokens;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What chunks have in common, and which answers are over.
#[derive(Debug)]
pub(in crate::openai) struct Completions {
    object: &'static str,
    head: Option<Head>,
    over: BTreeSet<u64>,
}

/// The members that stand in every chunk, as the first one has them.
#[derive(Debug, Deserialize, Serialize)]
struct Head {
    id: Box<RawValue>,
    created: Box<RawValue>,
    model: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Chunk {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    index: u64,
    finish_reason: Option<String>,
}

impl Completions {
    pub(super) fn new(object: &'static str) -> Self {
        Self { object, head: None, over: BTreeSet::new() }
    }

    pub(super) fn hear(&mut self, data: &[u8], finished: bool) {
        if self.head.is_none() {
            self.head = serde_json::from_slice(data).ok();
        }
        if finished && let Ok(chunk) = serde_json::from_slice::<Chunk>(data) {
            let over = chunk.choices.into_iter().filter(|choice| choice.finish_reason.is_some());
            self.over.extend(over.map(|choice| choice.index));
        }
    }

    pub(super) fn end(&self, answers: u64, usage: &Tokens, include_usage: bool) -> Option<Bytes> {
        let head = self.head.as_ref()?;
        let mut frames = Vec::new();
        let no_usage = include_usage.then_some(Value::Null);
        for index in (0..answers).filter(|index| !self.over.contains(index)) {
            let choice = match self.object {
                "text_completion" => {
                    json!({"index": index, "text": "", "logprobs": null, "finish_reason": "length"})
                }
                _ => json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": "length"}),
            };
            self.push(&mut frames, head, &[choice], no_usage.as_ref());
        }
        if include_usage {
            self.push(&mut frames, head, &[], Some(&told(usage)));
        }
        frames.extend_from_slice(b"data: [DONE]\n\n");
        Some(frames.into())
    }

    fn push(&self, frames: &mut Vec<u8>, head: &Head, choices: &[Value], usage: Option<&Value>) {
        #[derive(Serialize)]
        struct Last<'a> {
            #[serde(flatten)]
            head: &'a Head,
            object: &'static str,
            choices: &'a [Value],
            #[serde(skip_serializing_if = "Option::is_none")]
            usage: Option<&'a Value>,
        }
        let last = Last { head, object: self.object, choices, usage };
        frames.extend_from_slice(b"data: ");
        // Texts that were read as JSON and integers have no way to fail.
        frames.extend_from_slice(&serde_json::to_vec(&last).unwrap_or_default());
        frames.extend_from_slice(b"\n\n");
    }
}

/// Usage in the words of chat completions.
fn told(usage: &Tokens) -> Value {
    let (read, produced) = (usage.total_input(), usage.total_output());
    json!({
        "prompt_tokens": read,
        "completion_tokens": produced,
        "total_tokens": read + produced,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input + usage.cached_audio_input + usage.cached_image_input,
            "audio_tokens": usage.audio_input + usage.cached_audio_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
