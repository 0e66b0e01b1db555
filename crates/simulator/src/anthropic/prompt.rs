//! What was asked, as far as the answer and its price depend on it.

use serde_json::Value;

use crate::openai::prompt::Prompt;
use crate::words;

/// What Anthropic adds to every message, and to the whole.
const PER_MESSAGE: u64 = 4;
/// What it tells the model beside the tools that there are.
const FOR_TOOLS: u64 = 346;
/// A picture, whatever its size.
const PER_IMAGE: u64 = 1_500;
/// A page of a document, of which each has one.
const PER_DOCUMENT: u64 = 2_000;
/// Shorter prompts are not kept in the cache.
const LEAST_CACHED: u64 = 1_024;

/// What was asked, and what of it the cache was used for.
pub(super) struct Asked {
    pub(super) prompt: Prompt,
    /// Tokens written into the cache, to be kept for five minutes.
    pub(super) cache_write: u64,
    /// The same, to be kept for an hour.
    pub(super) cache_write_long: u64,
}

impl Asked {
    /// Reads a request.
    pub(super) fn of(document: &Value) -> Self {
        let mut seen = Seen::default();
        let mut tokens = PER_MESSAGE;
        if let Some(tools) = document.get("tools").filter(|tools| !tools.is_null()) {
            tokens += FOR_TOOLS + words::count(&tools.to_string()) / 2;
            seen.note_cache(tools);
        }
        if let Some(system) = document.get("system") {
            tokens += seen.content(system, &mut String::new()) + PER_MESSAGE;
        }
        let (mut text, mut has_tool_answer) = (String::new(), false);
        for message in document.get("messages").and_then(Value::as_array).into_iter().flatten() {
            let content = message.get("content").unwrap_or(&Value::Null);
            let mut spoken = String::new();
            tokens += seen.content(content, &mut spoken) + PER_MESSAGE;
            has_tool_answer = parts(content).any(|part| kind(part) == Some("tool_result"));
            if message.get("role").is_some_and(|role| role == "user") {
                text = spoken;
            }
        }
        if document.get("cache_control").is_some_and(Value::is_object) {
            seen.cache(&document["cache_control"]);
        }
        // That half of it is read from the cache and a quarter written there makes the answer a function of the
        // request.
        let is_cached = seen.is_cached && tokens >= LEAST_CACHED;
        let written = if is_cached { tokens / 4 } else { 0 };
        Self {
            prompt: Prompt { text, tokens, cached: if is_cached { tokens / 2 } else { 0 }, has_tool_answer },
            cache_write: if seen.is_kept_long { 0 } else { written },
            cache_write_long: if seen.is_kept_long { written } else { 0 },
        }
    }
}

/// What was noticed on the way.
#[derive(Default)]
struct Seen {
    is_cached: bool,
    is_kept_long: bool,
}

impl Seen {
    /// Adds a content's texts to `text` and returns its tokens.
    fn content(&mut self, content: &Value, text: &mut String) -> u64 {
        if let Value::String(part) = content {
            text.push_str(part);
            return words::count(part);
        }
        parts(content).map(|part| self.part(part, text)).sum()
    }

    fn part(&mut self, part: &Value, text: &mut String) -> u64 {
        if let Some(control) = part.get("cache_control").filter(|control| control.is_object()) {
            self.cache(control);
        }
        match kind(part) {
            Some("image") => PER_IMAGE,
            Some("document") => PER_DOCUMENT,
            Some("tool_use") => words::count(&part["input"].to_string()),
            Some("tool_result") => self.content(&part["content"], text),
            _ => {
                let said = ["text", "thinking"].iter().find_map(|name| part.get(name)?.as_str());
                text.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default());
                said.map_or(0, words::count)
            }
        }
    }

    fn note_cache(&mut self, list: &Value) {
        for control in parts(list).filter_map(|part| part.get("cache_control")) {
            self.cache(control);
        }
    }

    fn cache(&mut self, control: &Value) {
        self.is_cached |= control.is_object();
        self.is_kept_long |= control.get("ttl").is_some_and(|ttl| ttl == "1h");
    }
}

fn parts(content: &Value) -> impl Iterator<Item = &Value> {
    content.as_array().into_iter().flatten()
}

fn kind(part: &Value) -> Option<&str> {
    part.get("type")?.as_str()
}
