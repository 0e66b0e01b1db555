//! What was asked, as far as the answer and its price depend on it.

use serde_json::{Map, Value, json};

use crate::openai::prompt::Prompt;
use crate::words;

/// A picture, whatever its size.
const PER_PICTURE: u64 = 258;
/// Shorter prompts are not found in the cache.
const LEAST_CACHED: u64 = 1_024;

/// What was asked.
pub(super) struct Asked {
    pub(super) prompt: Prompt,
    /// How many of the tokens are of pictures.
    pub(super) pictures: u64,
}

impl Asked {
    /// Reads a request.
    pub(super) fn of(document: &Value) -> Self {
        let (mut tokens, mut pictures, mut text) = (1, 0, String::new());
        if let Some(tools) = document.get("tools").filter(|tools| !tools.is_null()) {
            tokens += words::count(&tools.to_string()) / 2;
        }
        let mut has_tool_answer = false;
        let system = ["systemInstruction", "system_instruction"].iter().find_map(|name| document.get(name));
        let contents = list(document, "contents");
        for (content, is_told) in
            system.map(|told| (told, true)).into_iter().chain(contents.map(|said| (said, false)))
        {
            let mut spoken = String::new();
            has_tool_answer = false;
            for part in list(content, "parts") {
                spoken.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default());
                let is_picture = part.get("inlineData").is_some() || part.get("inline_data").is_some();
                pictures += if is_picture { PER_PICTURE } else { 0 };
                has_tool_answer |= part.get("functionResponse").is_some();
            }
            tokens += words::count(&spoken);
            if !is_told && content.get("role").is_none_or(|role| role != "model") {
                text = spoken;
            }
        }
        tokens += pictures;
        // That half of a long prompt is found in the cache makes the answer a function of the request.
        let is_kept = document.get("cachedContent").is_some();
        let cached = if is_kept || tokens >= LEAST_CACHED { (tokens - pictures) / 2 } else { 0 };
        Self { prompt: Prompt { text, tokens, cached, has_tool_answer }, pictures }
    }
}

/// The tools, and which of them may be called, in the words of chat completions.
pub(super) fn as_openai(document: &Value) -> Value {
    let declared = list(document, "tools").flat_map(|tool| list(tool, "functionDeclarations"));
    let translated = |function: &Value| {
        // The official client writes some names in one way and some in the other.
        let names = ["parametersJsonSchema", "parameters_json_schema", "parameters"];
        let parameters = names.iter().find_map(|name| function.get(name)).map(as_schema);
        json!({"type": "function", "function": {"name": function.get("name"), "parameters": parameters}})
    };
    let mut members = Map::new();
    members.insert("tools".to_owned(), declared.map(translated).collect());
    let choice = match document.pointer("/toolConfig/functionCallingConfig/mode").and_then(Value::as_str) {
        Some("ANY") => "required",
        Some("NONE") => "none",
        _ => "auto",
    };
    members.insert("tool_choice".to_owned(), json!(choice));
    Value::Object(members)
}

/// A schema in the words of JSON Schema, which writes types in lower case.
fn as_schema(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| match value {
                Value::String(kind) if name == "type" => (name.clone(), json!(kind.to_lowercase())),
                value => (name.clone(), as_schema(value)),
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(parts) => parts.iter().map(as_schema).collect(),
        other => other.clone(),
    }
}

/// The elements of a list that is a member.
pub(super) fn list<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    document.get(name).and_then(Value::as_array).into_iter().flatten()
}
