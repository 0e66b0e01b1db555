//! The words in messages and answers, whichever shape they have.

use serde_json::Value;

/// Gives each text that a message has a model read.
pub(super) fn asked(message: &Value, text: &mut impl FnMut(&str)) {
    const NAMES: [&str; 15] = [
        "content",
        "text",
        "thinking",
        "name",
        "tool_calls",
        "function",
        "arguments",
        "input",
        "output",
        "refusal",
        "parts",
        "functionCall",
        "args",
        "functionResponse",
        "response",
    ];
    collect(message, &NAMES, text);
}

/// Gives each text that a model produced, in the order of an answer.
pub(super) fn produced(answer: &Value, text: &mut impl FnMut(&str)) {
    const NAMES: [&str; 18] = [
        "message",
        "content",
        "text",
        "thinking",
        "tool_calls",
        "function",
        "custom",
        "name",
        "arguments",
        "input",
        "refusal",
        "summary",
        "reasoning_content",
        "parts",
        "functionCall",
        "args",
        "executableCode",
        "code",
    ];
    collect(answer, &NAMES, text);
}

/// Gives the texts below the members that are named, in the order of the names.
fn collect(value: &Value, names: &[&str], text: &mut impl FnMut(&str)) {
    match value {
        Value::String(found) => text(found),
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, names, text)),
        Value::Object(object) => {
            for (name, member) in names.iter().filter_map(|name| Some((*name, object.get(*name)?))) {
                match (name, member) {
                    // What Anthropic's and Google's tools are called with, and what they answer to the latter, is
                    // no text that holds JSON, but JSON itself.
                    ("input" | "args" | "response", Value::Object(_)) => text(&member.to_string()),
                    _ => collect(member, names, text),
                }
            }
        }
        _ => {}
    }
}
