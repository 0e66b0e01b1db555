//! A response as the events that build it up.

use serde_json::{Value, json};

use super::responses::Response;
use crate::answer::{Answer, Event};
use crate::behaviour::Behaviour;
use crate::words;

/// How many characters of a call's arguments come in one event.
const ARGUMENTS_AT_ONCE: usize = 8;

#[derive(Default)]
struct Writer {
    events: Vec<Event>,
}

/// The events of a streamed response.
pub(super) fn events(response: &Response, behaviour: &Behaviour) -> Answer {
    let mut writer = Writer::default();
    let begun = response.begun();
    writer.push("response.created", json!({"response": begun}));
    writer.push("response.in_progress", json!({"response": begun}));
    for (index, item) in response.output.iter().enumerate() {
        match item["type"].as_str() {
            Some("message") => writer.message(index, item, behaviour),
            Some("function_call") => writer.call(index, item),
            _ => writer.reasoning(index, item),
        }
    }
    let end = if response.status == "completed" { "response.completed" } else { "response.incomplete" };
    writer.push(end, json!({"response": response}));
    Answer::events(writer.events)
}

impl Writer {
    fn message(&mut self, index: usize, item: &Value, behaviour: &Behaviour) {
        let id = &item["id"];
        let part = &item["content"][0];
        let text = part["text"].as_str().unwrap_or_default();
        let empty = json!({"type": "output_text", "annotations": [], "logprobs": [], "text": ""});
        let at = json!({"item_id": id, "output_index": index, "content_index": 0});
        self.added(index, item, &[("status", json!("in_progress")), ("content", json!([]))]);
        self.push("response.content_part.added", with(&at, &[("part", empty)]));
        for piece in words::pieces(text, behaviour.chunks) {
            self.push(
                "response.output_text.delta",
                with(&at, &[("delta", json!(piece.text)), ("logprobs", json!([]))]),
            );
            self.mark_content(piece.tokens);
        }
        self.push("response.output_text.done", with(&at, &[("text", json!(text)), ("logprobs", json!([]))]));
        self.push("response.content_part.done", with(&at, &[("part", part.clone())]));
        self.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }

    fn call(&mut self, index: usize, item: &Value) {
        let at = json!({"item_id": item["id"], "output_index": index});
        self.added(index, item, &[("status", json!("in_progress")), ("arguments", json!(""))]);
        let said = |member: &str| item[member].as_str().unwrap_or_default();
        let characters: Vec<char> = said("arguments").chars().collect();
        let mut tokens = words::count(said("name")) + words::count(said("arguments"));
        for part in characters.chunks(ARGUMENTS_AT_ONCE) {
            let part: String = part.iter().collect();
            self.push("response.function_call_arguments.delta", with(&at, &[("delta", json!(part))]));
            // A call is thought up whole before its first part is sent.
            self.mark_content(std::mem::take(&mut tokens));
        }
        let done = with(&at, &[("name", item["name"].clone()), ("arguments", item["arguments"].clone())]);
        self.push("response.function_call_arguments.done", done);
        self.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }

    fn reasoning(&mut self, index: usize, item: &Value) {
        self.added(index, item, &[("summary", json!([]))]);
        for (position, part) in item["summary"].as_array().into_iter().flatten().enumerate() {
            let at = json!({"item_id": item["id"], "output_index": index, "summary_index": position});
            let empty = json!({"type": "summary_text", "text": ""});
            self.push("response.reasoning_summary_part.added", with(&at, &[("part", empty)]));
            self.push("response.reasoning_summary_text.delta", with(&at, &[("delta", part["text"].clone())]));
            self.push("response.reasoning_summary_text.done", with(&at, &[("text", part["text"].clone())]));
            self.push("response.reasoning_summary_part.done", with(&at, &[("part", part.clone())]));
        }
        self.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }

    /// Announces an item as it is before anything is said.
    fn added(&mut self, index: usize, item: &Value, blanks: &[(&str, Value)]) {
        self.push("response.output_item.added", json!({"output_index": index, "item": with(item, blanks)}));
    }

    fn push(&mut self, name: &str, payload: Value) {
        let sequence = self.events.len();
        let payload = with(&payload, &[("type", json!(name)), ("sequence_number", json!(sequence))]);
        self.events.push(Event::named(name, &payload));
    }

    fn mark_content(&mut self, tokens: u64) {
        if let Some(event) = self.events.last_mut() {
            event.content = Some(tokens);
        }
    }
}

/// A copy of an object with some members set.
fn with(object: &Value, members: &[(&str, Value)]) -> Value {
    let mut copy = object.clone();
    for (name, value) in members {
        copy[*name] = value.clone();
    }
    copy
}
