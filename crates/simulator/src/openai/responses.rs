//! `/v1/responses`.

use serde::Serialize;
use serde_json::{Value, json};

use super::prompt::Prompt;
use super::shelf::{Shelf, Stored};
use super::{chat, limit, models, responses_stream, tools};
use crate::answer::{Answer, Refusal};
use crate::behaviour::Behaviour;
use crate::billing::Tokens;
use crate::question::Question;
use crate::{identity, words};

/// A response as OpenAI writes it, with what the request left open filled in.
#[derive(Clone, Serialize)]
pub(super) struct Response {
    pub(super) id: String,
    object: &'static str,
    created_at: u64,
    pub(super) status: &'static str,
    background: bool,
    completed_at: Option<u64>,
    error: Option<()>,
    incomplete_details: Option<Value>,
    instructions: Value,
    max_output_tokens: Value,
    max_tool_calls: Option<u64>,
    model: String,
    pub(super) output: Vec<Value>,
    parallel_tool_calls: Value,
    previous_response_id: Value,
    prompt_cache_key: Value,
    reasoning: Value,
    safety_identifier: Value,
    service_tier: &'static str,
    store: bool,
    temperature: Value,
    text: Value,
    tool_choice: Value,
    tools: Value,
    top_logprobs: Value,
    top_p: Value,
    truncation: Value,
    usage: Option<Value>,
    user: Value,
    metadata: Value,
}

impl Response {
    /// The same response before anything is said.
    pub(super) fn begun(&self) -> Self {
        let begun = self.clone();
        Self {
            status: "in_progress",
            completed_at: None,
            output: Vec::new(),
            usage: None,
            incomplete_details: None,
            ..begun
        }
    }
}

pub(super) fn create(shelf: &Shelf, question: &Question, behaviour: &Behaviour) -> Result<Answer, Refusal> {
    let document = question.document()?;
    let model = question.required("model")?;
    models::known(model)?;
    let input =
        document.get("input").filter(|input| !input.is_null()).ok_or_else(|| Refusal::missing("input"))?;
    let (response, bill) = response(document, model, input, behaviour)?;
    if response.store {
        let stored = Stored { response: json!(response), input: input.clone() };
        shelf.responses.put(&response.id, stored);
    }
    if document.get("stream") == Some(&Value::Bool(true)) {
        return Ok(responses_stream::events(&response, behaviour).billed(bill));
    }
    Ok(Answer::json(&response).billed(bill))
}

pub(super) fn retrieve(shelf: &Shelf, id: &str) -> Result<Answer, Refusal> {
    let stored = shelf.responses.get(id).ok_or_else(|| unknown(id))?;
    Ok(Answer::json(&stored.response))
}

pub(super) fn delete(shelf: &Shelf, id: &str) -> Result<Answer, Refusal> {
    shelf.responses.take(id).ok_or_else(|| unknown(id))?;
    Ok(Answer::json(&json!({"id": id, "object": "response", "deleted": true})))
}

pub(super) fn input_items(shelf: &Shelf, id: &str) -> Result<Answer, Refusal> {
    let stored = shelf.responses.get(id).ok_or_else(|| unknown(id))?;
    let item = |content: Value| json!({"id": identity::fresh_hex("msg_", 48), "type": "message", "status": "completed", "role": "user", "content": content});
    let items = match stored.input {
        Value::String(text) => vec![item(json!([{"type": "input_text", "text": text}]))],
        Value::Array(items) => items,
        other => vec![item(other)],
    };
    Ok(Answer::json(&json!({"object": "list", "data": items, "has_more": false})))
}

fn unknown(id: &str) -> Refusal {
    let mut refusal = Refusal::unknown("response", id);
    refusal.error.message = format!("Response with id '{id}' not found.");
    refusal
}

fn response(
    document: &Value,
    model: &str,
    input: &Value,
    behaviour: &Behaviour,
) -> Result<(Response, Tokens), Refusal> {
    let instructions = document.get("instructions").and_then(Value::as_str);
    let prompt = Prompt::of(input, instructions, document.get("tools"));
    let given = |member: &str, otherwise: Value| {
        document.get(member).filter(|value| !value.is_null()).cloned().unwrap_or(otherwise)
    };
    let limit = limit::of_response(document, model)?;
    let thoughts = chat::thoughts(behaviour, model, document.pointer("/reasoning/effort"), limit);
    let left_to_say = limit.map(|limit| limit - thoughts);
    let (mut output, spoken, is_cut) = output(document, &prompt, behaviour, left_to_say);
    let bill = behaviour.tokens(Tokens {
        input: prompt.tokens,
        cached: prompt.cached,
        output: spoken + thoughts,
        reasoning: thoughts,
        ..Tokens::default()
    });
    if models::reasons(model) {
        output.insert(0, reasoning(document));
    }
    let now = identity::now();
    let response = Response {
        id: identity::fresh_hex("resp_", 48),
        object: "response",
        created_at: now,
        status: if is_cut { "incomplete" } else { "completed" },
        background: false,
        completed_at: (!is_cut).then_some(now),
        error: None,
        incomplete_details: is_cut.then(|| json!({"reason": "max_output_tokens"})),
        instructions: given("instructions", Value::Null),
        max_output_tokens: given("max_output_tokens", Value::Null),
        max_tool_calls: None,
        model: models::served(model).to_owned(),
        output,
        parallel_tool_calls: given("parallel_tool_calls", json!(true)),
        previous_response_id: given("previous_response_id", Value::Null),
        prompt_cache_key: given("prompt_cache_key", Value::Null),
        reasoning: given("reasoning", json!({"effort": null, "summary": null})),
        safety_identifier: given("safety_identifier", Value::Null),
        service_tier: "default",
        store: document.get("store") != Some(&Value::Bool(false)),
        temperature: given("temperature", json!(1.0)),
        text: given("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
        tool_choice: given("tool_choice", json!("auto")),
        tools: given("tools", json!([])),
        top_logprobs: given("top_logprobs", json!(0)),
        top_p: given("top_p", json!(1.0)),
        truncation: given("truncation", json!("disabled")),
        usage: (!behaviour.no_usage).then(|| {
            json!({
                "input_tokens": bill.input,
                "input_tokens_details": {"cached_tokens": bill.cached},
                "output_tokens": bill.output,
                "output_tokens_details": {"reasoning_tokens": bill.reasoning},
                "total_tokens": bill.input + bill.output,
            })
        }),
        user: given("user", Value::Null),
        metadata: given("metadata", json!({})),
    };
    Ok((response, bill))
}

/// The items that are said, their tokens, and whether the limit cut them off.
fn output(
    document: &Value,
    prompt: &Prompt,
    behaviour: &Behaviour,
    limit: Option<u64>,
) -> (Vec<Value>, u64, bool) {
    let calls = tools::calls(document, prompt);
    if !calls.is_empty() {
        let tokens = calls.iter().map(|call| words::count(&call.name) + words::count(&call.arguments)).sum();
        let item = |call: &tools::Call| {
            json!({
                "id": identity::fresh_hex("fc_", 48),
                "type": "function_call",
                "status": "completed",
                "arguments": call.arguments,
                "call_id": identity::fresh("call_", 24),
                "name": call.name,
            })
        };
        return (calls.iter().map(item).collect(), tokens, false);
    }
    let format = document.pointer("/text/format").unwrap_or(&Value::Null);
    let text = chat::text(format, format.get("schema"), behaviour, prompt, 0);
    let (text, is_cut) = words::limited(text, limit);
    let message = json!({
        "id": identity::fresh_hex("msg_", 48),
        "type": "message",
        "status": if is_cut { "incomplete" } else { "completed" },
        "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}],
        "role": "assistant",
    });
    (vec![message], words::count(&text), is_cut)
}

fn reasoning(document: &Value) -> Value {
    let wants_summary = document.pointer("/reasoning/summary").is_some_and(Value::is_string);
    let summary = if wants_summary {
        json!([{"type": "summary_text", "text": "Thinking about an answer."}])
    } else {
        json!([])
    };
    json!({"id": identity::fresh_hex("rs_", 48), "type": "reasoning", "summary": summary})
}
