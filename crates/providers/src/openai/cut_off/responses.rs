//! The end of a stream of a response's events.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::usage::Tokens;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The response as far as it was told. Deltas are added up, everything else is kept as it came.
#[derive(Debug, Default)]
pub(in crate::openai) struct Responses {
    response: Option<Map<String, Value>>,
    /// By their place in the output.
    items: BTreeMap<u64, Item>,
    sequence: u64,
}

#[derive(Debug)]
struct Item {
    item: Map<String, Value>,
    is_done: bool,
    /// By their place in the item.
    parts: BTreeMap<u64, Part>,
    /// What a call is made with.
    arguments: String,
}

#[derive(Debug)]
struct Part {
    part: Map<String, Value>,
    text: String,
    is_done: bool,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: Option<u64>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    response: Option<Map<String, Value>>,
    item: Option<Map<String, Value>>,
    part: Option<Map<String, Value>>,
    delta: Option<Value>,
}

impl Responses {
    pub(super) fn hear(&mut self, data: &[u8], kind: Option<&[u8]>) {
        // The last event ends the stream by itself; it is as long as all others together.
        if matches!(kind, Some(b"response.completed" | b"response.incomplete" | b"response.failed")) {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { return };
        self.sequence = event.sequence_number.map_or(self.sequence + 1, |number| number + 1);
        let Event { kind, output_index, content_index, response, item, part, delta, .. } = event;
        if let Some(response) = response {
            self.response = Some(response);
        }
        let Some(place) = output_index else { return };
        if let Some(item) = item {
            let known = self.items.entry(place).or_insert_with(|| Item::new(item.clone()));
            known.is_done = kind == "response.output_item.done";
            known.item = item;
            return;
        }
        let Some(item) = self.items.get_mut(&place) else { return };
        let text = delta.as_ref().and_then(Value::as_str).unwrap_or_default();
        match (kind, content_index.unwrap_or_default()) {
            ("response.content_part.added", index) => {
                let part = part.unwrap_or_default();
                item.parts.insert(index, Part { part, text: String::new(), is_done: false });
            }
            ("response.content_part.done", index) => {
                if let (Some(known), Some(part)) = (item.parts.get_mut(&index), part) {
                    known.part = part;
                    known.is_done = true;
                }
            }
            ("response.output_text.delta" | "response.refusal.delta", index) => {
                if let Some(part) = item.parts.get_mut(&index) {
                    part.text.push_str(text);
                }
            }
            ("response.function_call_arguments.delta" | "response.custom_tool_call_input.delta", _) => {
                item.arguments.push_str(text);
            }
            _ => {}
        }
    }

    pub(super) fn end(&self, usage: &Tokens) -> Option<Bytes> {
        let mut response = self.response.clone()?;
        let mut frames = Frames { sequence: self.sequence, written: Vec::new() };
        let output: Vec<Value> =
            self.items.iter().map(|(place, item)| item.end(*place, &mut frames)).collect();
        response.insert("status".to_owned(), json!("incomplete"));
        response.insert("incomplete_details".to_owned(), json!({"reason": "max_output_tokens"}));
        response.insert("output".to_owned(), Value::Array(output));
        response.insert("usage".to_owned(), told(usage));
        frames.push("response.incomplete", json!({"response": response}));
        Some(frames.written.into())
    }
}

impl Item {
    fn new(item: Map<String, Value>) -> Self {
        Self { item, is_done: false, parts: BTreeMap::new(), arguments: String::new() }
    }

    /// The item as it is in the end. One that is not over is ended, from the inside out.
    fn end(&self, place: u64, frames: &mut Frames) -> Value {
        let mut item = self.item.clone();
        if self.is_done {
            return Value::Object(item);
        }
        let id = item.get("id").cloned().unwrap_or_default();
        if !self.parts.is_empty() {
            let ended = |(index, part): (&u64, &Part)| {
                part.end(&json!({"item_id": id, "output_index": place, "content_index": index}), frames)
            };
            let parts = self.parts.iter().map(ended).collect();
            item.insert("content".to_owned(), Value::Array(parts));
        }
        for name in ["arguments", "input"] {
            if let Some(said) = item.get_mut(name) {
                *said = json!(self.arguments);
            }
        }
        item.insert("status".to_owned(), json!("incomplete"));
        let item = Value::Object(item);
        frames.push("response.output_item.done", json!({"output_index": place, "item": item}));
        item
    }
}

impl Part {
    fn end(&self, at: &Value, frames: &mut Frames) -> Value {
        let mut part = self.part.clone();
        if self.is_done {
            return Value::Object(part);
        }
        let is_refusal = part.get("type").is_some_and(|kind| kind == "refusal");
        let (name, event) = match is_refusal {
            true => ("refusal", "response.refusal.done"),
            false => ("text", "response.output_text.done"),
        };
        part.insert(name.to_owned(), json!(self.text));
        let mut done = at.clone();
        done[name] = json!(self.text);
        if !is_refusal {
            done["logprobs"] = json!([]);
        }
        frames.push(event, done);
        let part = Value::Object(part);
        let mut done = at.clone();
        done["part"] = part.clone();
        frames.push("response.content_part.done", done);
        part
    }
}

struct Frames {
    sequence: u64,
    written: Vec<u8>,
}

impl Frames {
    fn push(&mut self, kind: &str, mut event: Value) {
        event["type"] = json!(kind);
        event["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        self.written.extend_from_slice(format!("event: {kind}\ndata: {event}\n\n").as_bytes());
    }
}

/// Usage in the words of responses.
fn told(usage: &Tokens) -> Value {
    let (read, produced) = (usage.total_input(), usage.total_output());
    json!({
        "input_tokens": read,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input + usage.cached_audio_input + usage.cached_image_input,
            "cache_write_tokens": usage.cache_write + usage.cache_write_long,
        },
        "output_tokens": produced,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": read + produced,
    })
}
