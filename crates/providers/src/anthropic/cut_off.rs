//! Ends a message's stream that cannot be paid further as Anthropic ends one whose limit of output is
//! reached: the block under way stops, and the message says why it did.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::usage::Tokens;
use serde_json::{Value, json};

/// How far a stream has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    has_begun: bool,
    has_stopped: bool,
    /// The blocks that were begun and not ended. There is one at most, if the provider keeps to its word.
    open: BTreeSet<u64>,
}

/// More open blocks than this are not kept: only a provider gone wrong has them.
const MOST_OPEN: usize = 64;

impl Progress {
    pub(super) fn begins(&mut self) {
        self.has_begun = true;
    }

    pub(super) fn stops(&mut self) {
        self.has_stopped = true;
    }

    pub(super) fn block_starts(&mut self, index: u64) {
        if self.open.len() < MOST_OPEN {
            self.open.insert(index);
        }
    }

    pub(super) fn block_stops(&mut self, index: u64) {
        self.open.remove(&index);
    }

    /// The events that end it; `None` if there is no message yet.
    pub(super) fn end(&self, usage: &Tokens) -> Option<Bytes> {
        if !self.has_begun {
            return None;
        }
        let mut frames = String::new();
        let mut push = |kind: &str, mut event: Value| {
            event["type"] = json!(kind);
            frames.push_str(&format!("event: {kind}\ndata: {event}\n\n"));
        };
        for index in &self.open {
            push("content_block_stop", json!({"index": index}));
        }
        if !self.has_stopped {
            let delta = json!({"stop_reason": "max_tokens", "stop_sequence": null});
            push("message_delta", json!({"delta": delta, "usage": told(usage)}));
        }
        push("message_stop", json!({}));
        Some(frames.into())
    }
}

/// Usage in the words of messages.
fn told(usage: &Tokens) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_long,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.total_output(),
    })
}
