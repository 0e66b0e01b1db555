//! The words in messages and answers, whichever shape they have.

use serde_json::Value;

/// Gives each text that a message has a model read.
pub(super) fn asked(message: &Value, text: &mut impl FnMut(&str)) {
    collect(
        message,
        &["content", "text", "name", "tool_calls", "function", "arguments", "output", "refusal"],
        text,
    );
}

/// Gives each text that a model produced, in the order of an answer.
pub(super) fn produced(answer: &Value, text: &mut impl FnMut(&str)) {
    const NAMES: [&str; 12] = [
        "message",
        "content",
        "text",
        "tool_calls",
        "function",
        "custom",
        "name",
        "arguments",
        "input",
        "refusal",
        "summary",
        "reasoning_content",
    ];
    collect(answer, &NAMES, text);
}

/// Gives the texts below the members that are named, in the order of the names.
fn collect(value: &Value, names: &[&str], text: &mut impl FnMut(&str)) {
    match value {
        Value::String(found) => text(found),
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, names, text)),
        Value::Object(object) => {
            names.iter().filter_map(|name| object.get(*name)).for_each(|member| collect(member, names, text));
        }
        _ => {}
    }
}
