//! When the model calls functions, and with which arguments.

use serde_json::Value;

use super::prompt::Prompt;
use crate::schema;

/// A call that the model wants made.
pub(crate) struct Call {
    pub(crate) name: String,
    /// JSON, as the model writes it.
    pub(crate) arguments: String,
}

/// The functions that the model calls: those that it must, else those that the prompt speaks of.
///
/// Chat completions nest a function's description below `function`, responses do not; both are understood.
pub(crate) fn calls(document: &Value, prompt: &Prompt) -> Vec<Call> {
    let Some(tools) = document.get("tools").and_then(Value::as_array) else { return Vec::new() };
    let functions = || tools.iter().filter(|tool| is_function(tool)).map(described);
    let choice = document.get("tool_choice").unwrap_or(&Value::Null);
    let forced = described(choice).get("name").and_then(Value::as_str);
    let mut chosen: Vec<&Value> = match choice.as_str() {
        Some("none") => Vec::new(),
        _ if forced.is_some() => functions().filter(|function| name(function) == forced).collect(),
        Some("required") => functions().take(1).collect(),
        _ if prompt.has_tool_answer => Vec::new(),
        _ => functions()
            .filter(|function| speaks_of(&prompt.text, name(function).unwrap_or_default()))
            .collect(),
    };
    if document.get("parallel_tool_calls") == Some(&Value::Bool(false)) {
        chosen.truncate(1);
    }
    chosen
        .into_iter()
        .map(|function| {
            let arguments = function.get("parameters").map_or_else(
                || Value::Object(serde_json::Map::new()),
                |parameters| schema::instance(parameters, prompt.word()),
            );
            Call { name: name(function).unwrap_or_default().to_owned(), arguments: arguments.to_string() }
        })
        .collect()
}

fn is_function(tool: &Value) -> bool {
    tool.get("type").is_some_and(|kind| kind == "function")
}

fn described(tool: &Value) -> &Value {
    tool.get("function").unwrap_or(tool)
}

fn name(function: &Value) -> Option<&str> {
    function.get("name")?.as_str()
}

/// A prompt speaks of a function if it has one of the longer words of its name: of `get_weather`, "weather".
fn speaks_of(prompt: &str, name: &str) -> bool {
    let prompt = prompt.to_lowercase();
    let name = name.to_lowercase();
    prompt.contains(&name) || name.split(['_', '-']).any(|word| word.len() > 3 && prompt.contains(word))
}
