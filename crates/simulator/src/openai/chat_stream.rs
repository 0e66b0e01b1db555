//! A chat completion as a stream of chunks.

use serde::Serialize;
use serde_json::{Value, json};

use super::chat::{Choice, Speech, Usage, call_object, logprobs};
use super::models;
use crate::answer::{Answer, Event};
use crate::behaviour::Behaviour;
use crate::{identity, words};

/// How many characters of a call's arguments come in one chunk.
const ARGUMENTS_AT_ONCE: usize = 8;

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: &'static str,
    choices: Vec<Value>,
    /// Missing unless usage was asked for; then null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

struct Writer<'a> {
    id: String,
    created: u64,
    model: &'a str,
    has_usage: bool,
    events: Vec<Event>,
}

/// The events of a streamed completion.
pub(super) fn events(document: &Value, behaviour: &Behaviour, speech: &Speech<'_>) -> Answer {
    let wants_usage = document.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
    let mut writer = Writer {
        id: identity::fresh("chatcmpl-", 29),
        created: identity::now(),
        model: models::served(speech.model),
        has_usage: wants_usage && !behaviour.no_usage,
        events: Vec::new(),
    };
    for (index, choice) in speech.choices.iter().enumerate() {
        if choice.calls.is_empty() {
            writer.text(index, choice, behaviour, speech.with_logprobs);
        } else {
            writer.calls(index, choice);
        }
        let last =
            json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": choice.finish_reason});
        writer.push(vec![last], None);
    }
    if writer.has_usage {
        writer.push(Vec::new(), Some(Usage::of(speech.bill)));
    }
    writer.events.push(Event::done());
    Answer::events(writer.events)
}

impl Writer<'_> {
    fn text(&mut self, index: usize, choice: &Choice, behaviour: &Behaviour, with_logprobs: bool) {
        self.delta(index, json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
        for piece in words::pieces(&choice.text, behaviour.chunks) {
            let probabilities =
                if with_logprobs { logprobs(std::slice::from_ref(&piece.text)) } else { Value::Null };
            self.delta(index, json!({"content": piece.text}), probabilities);
            self.mark_content(piece.tokens);
        }
    }

    fn calls(&mut self, index: usize, choice: &Choice) {
        self.delta(index, json!({"role": "assistant", "content": null}), Value::Null);
        for (position, call) in choice.calls.iter().enumerate() {
            self.delta(index, json!({"tool_calls": [call_object(call, Some(position))]}), Value::Null);
            let mut tokens = words::count(&call.name) + words::count(&call.arguments);
            let characters: Vec<char> = call.arguments.chars().collect();
            for part in characters.chunks(ARGUMENTS_AT_ONCE) {
                let part: String = part.iter().collect();
                let delta = json!({"tool_calls": [{"index": position, "function": {"arguments": part}}]});
                self.delta(index, delta, Value::Null);
                // A call is thought up whole before its first part is sent.
                self.mark_content(std::mem::take(&mut tokens));
            }
        }
    }

    fn delta(&mut self, index: usize, delta: Value, logprobs: Value) {
        let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": null});
        self.push(vec![choice], None);
    }

    fn push(&mut self, choices: Vec<Value>, usage: Option<Usage>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model,
            service_tier: "default",
            system_fingerprint: "fp_51db84afab",
            choices,
            usage: self.has_usage.then_some(usage),
        };
        self.events.push(Event::unnamed(&chunk));
    }

    fn mark_content(&mut self, tokens: u64) {
        if let Some(event) = self.events.last_mut() {
            event.content = Some(tokens);
        }
    }
}
