//! A message as a stream of events.

use serde_json::{Value, json};

use super::messages::{Block, SIGNATURE, Speech, fresh_call};
use super::models;
use crate::answer::{Answer, Event};
use crate::behaviour::Behaviour;
use crate::{identity, words};

/// How many characters of a call's input come in one event.
const INPUT_AT_ONCE: usize = 8;

/// The events of a streamed message.
pub(super) fn events(behaviour: &Behaviour, speech: &Speech<'_>) -> Answer {
    let mut writer = Writer { events: Vec::new() };
    let mut message = json!({
        "id": identity::fresh("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "model": models::served(speech.model),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    });
    let mut usage = speech.usage();
    let output = std::mem::replace(&mut usage["output_tokens"], json!(1));
    let details = usage.as_object_mut().and_then(|usage| usage.remove("output_tokens_details"));
    if speech.has_usage {
        message["usage"] = usage.clone();
    }
    writer.push("message_start", &json!({"message": message}));
    for (index, block) in speech.blocks.iter().enumerate() {
        writer.block(index, block, behaviour);
    }
    let mut end = json!({"delta": {"stop_reason": speech.stop_reason, "stop_sequence": null}});
    if speech.has_usage {
        end["usage"] = json!({
            "input_tokens": usage["input_tokens"],
            "cache_creation_input_tokens": usage["cache_creation_input_tokens"],
            "cache_read_input_tokens": usage["cache_read_input_tokens"],
            "output_tokens": output,
            "output_tokens_details": details,
        });
    }
    writer.push("message_delta", &end);
    writer.push("message_stop", &json!({}));
    Answer::events(writer.events)
}

struct Writer {
    events: Vec<Event>,
}

impl Writer {
    fn block(&mut self, index: usize, block: &Block, behaviour: &Behaviour) {
        let begun = match block {
            Block::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
            Block::Text(_) => json!({"type": "text", "text": ""}),
            Block::Call(call) => {
                json!({"type": "tool_use", "id": fresh_call(), "name": call.name, "input": {}})
            }
        };
        self.push("content_block_start", &json!({"index": index, "content_block": begun}));
        if index == 0 {
            // Anthropic writes this one event by another hand, with a space in it.
            self.events.push(Event::verbatim("event: ping\ndata: {\"type\": \"ping\"}\n\n"));
        }
        match block {
            // What is thought is owed from the first event on, so its pieces carry nothing.
            Block::Thinking { text, .. } => {
                for piece in words::pieces(text, behaviour.chunks) {
                    self.delta(index, &json!({"type": "thinking_delta", "thinking": piece.text}), 0);
                }
                self.delta(index, &json!({"type": "signature_delta", "signature": SIGNATURE}), 0);
            }
            Block::Text(text) => {
                for piece in words::pieces(text, behaviour.chunks) {
                    self.delta(index, &json!({"type": "text_delta", "text": piece.text}), piece.tokens);
                }
            }
            Block::Call(call) => {
                // A call is thought up whole before its first part is sent.
                let mut tokens = block.tokens();
                let characters: Vec<char> = call.arguments.chars().collect();
                for part in characters.chunks(INPUT_AT_ONCE) {
                    let part: String = part.iter().collect();
                    let delta = json!({"type": "input_json_delta", "partial_json": part});
                    self.delta(index, &delta, std::mem::take(&mut tokens));
                }
            }
        }
        self.push("content_block_stop", &json!({"index": index}));
    }

    fn delta(&mut self, index: usize, delta: &Value, tokens: u64) {
        let event = typed("content_block_delta", &json!({"index": index, "delta": delta}));
        self.events.push(event.carrying(tokens));
    }

    fn push(&mut self, name: &str, payload: &Value) {
        self.events.push(typed(name, payload));
    }
}

/// An event whose payload has its type in front, as Anthropic writes it.
fn typed(name: &str, payload: &Value) -> Event {
    let members = payload.to_string();
    let comma = if members == "{}" { "" } else { "," };
    let members = members.strip_prefix('{').unwrap_or_default();
    Event::verbatim(format!("event: {name}\ndata: {{\"type\":\"{name}\"{comma}{members}\n\n"))
}
