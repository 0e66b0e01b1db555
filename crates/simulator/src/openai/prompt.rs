//! What was asked, as far as the answer and its price depend on it.

use serde_json::Value;

use crate::words;

/// What OpenAI adds to every message, and to the whole, beside its role and its author's name.
const PER_MESSAGE: u64 = 3;
const PER_NAME: u64 = 1;
/// An image at low detail.
const PER_IMAGE: u64 = 85;

/// What was asked.
pub(crate) struct Prompt {
    /// The last thing that the user said.
    pub(crate) text: String,
    /// How many tokens everything has that was sent.
    pub(crate) tokens: u64,
    /// How many of these OpenAI would have found in its cache.
    pub(crate) cached: u64,
    /// The last message is a tool's answer, so that the model now speaks.
    pub(crate) has_tool_answer: bool,
}

impl Prompt {
    /// The prompt made of `messages`, whatever their form: a text, or a list of messages or items.
    pub(crate) fn of(messages: &Value, instructions: Option<&str>, tools: Option<&Value>) -> Self {
        let mut tokens = PER_MESSAGE + instructions.map_or(0, |text| words::count(text) + PER_MESSAGE);
        tokens += tools.map_or(0, |tools| words::count(&tools.to_string()) / 2);
        let mut text = String::new();
        let mut has_tool_answer = false;
        match messages {
            Value::String(question) => {
                tokens += words::count(question) + PER_MESSAGE;
                text.clone_from(question);
            }
            Value::Array(messages) => {
                for message in messages {
                    let mut spoken = String::new();
                    let content = message.get("content").or(message.get("output")).unwrap_or(message);
                    tokens += PER_MESSAGE + images_and_text(content, &mut spoken) + words::count(&spoken);
                    let role = message.get("role").and_then(Value::as_str);
                    let name = message.get("name").and_then(Value::as_str);
                    tokens +=
                        role.map_or(0, words::count) + name.map_or(0, |name| PER_NAME + words::count(name));
                    let kind = message.get("type").and_then(Value::as_str);
                    has_tool_answer = role == Some("tool") || kind == Some("function_call_output");
                    if role == Some("user") || message.is_string() {
                        text = spoken;
                    }
                }
            }
            _ => {}
        }
        // OpenAI caches prefixes of 1,024 tokens and more, in steps of 128. That the first such request already
        // hits makes the answer a function of the request.
        let cached = if tokens >= 1024 { tokens / 2 / 128 * 128 } else { 0 };
        Self { text, tokens, cached, has_tool_answer }
    }

    /// The word that fills an answer's blanks: the last one in the prompt that looks like a name.
    pub(crate) fn word(&self) -> &str {
        self.text
            .split(|character: char| !character.is_alphanumeric())
            .rev()
            .find(|word| word.len() > 1 && word.starts_with(char::is_uppercase))
            .unwrap_or("example")
    }
}

/// Adds a content's texts to `text` and returns the tokens of its images.
fn images_and_text(content: &Value, text: &mut String) -> u64 {
    match content {
        Value::String(part) => {
            text.push_str(part);
            0
        }
        Value::Array(parts) => parts
            .iter()
            .map(|part| match part.get("text") {
                Some(Value::String(part)) => {
                    text.push_str(part);
                    0
                }
                _ if part.is_string() => images_and_text(part, text),
                _ if part.get("image_url").is_some() => PER_IMAGE,
                _ => 0,
            })
            .sum(),
        _ => 0,
    }
}
