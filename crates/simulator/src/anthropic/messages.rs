//! `POST /v1/messages`, and `POST /v1/messages/count_tokens`.

use serde_json::{Map, Value, json};

use super::prompt::Asked;
use super::{events, invalid, models};
use crate::answer::{Answer, Refusal};
use crate::behaviour::Behaviour;
use crate::billing::Tokens;
use crate::openai::tools::{self, Call};
use crate::question::Question;
use crate::{identity, words};

/// Everything that is said in one answer, streamed or not.
pub(super) struct Speech<'a> {
    pub(super) model: &'a str,
    pub(super) blocks: Vec<Block>,
    pub(super) stop_reason: &'static str,
    pub(super) bill: Tokens,
    pub(super) has_usage: bool,
}

/// A part of what is said.
pub(super) enum Block {
    /// What was thought, if it is shown, and how many tokens it took.
    Thinking { text: String, tokens: u64 },
    /// What is said.
    Text(String),
    /// A call that the model wants made.
    Call(Call),
}

/// Answers a request for a message.
pub(super) fn create(question: &Question, behaviour: &Behaviour) -> Result<Answer, Refusal> {
    let document = document(question)?;
    let speech = speech(document, behaviour)?;
    if document.get("stream") == Some(&Value::Bool(true)) {
        return Ok(events::events(behaviour, &speech).billed(speech.bill));
    }
    let content: Vec<Value> = speech.blocks.iter().map(Block::whole).collect();
    let mut message = json!({
        "id": identity::fresh("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "model": models::served(speech.model),
        "content": content,
        "stop_reason": speech.stop_reason,
        "stop_sequence": null,
    });
    if speech.has_usage {
        message["usage"] = speech.usage();
    }
    Ok(Answer::json(&message).billed(speech.bill))
}

/// Counts what a message would read, which is not billed.
pub(super) fn count(question: &Question, behaviour: &Behaviour) -> Result<Answer, Refusal> {
    let document = document(question)?;
    models::known(required_text(document, "model")?)?;
    messages(document)?;
    let tokens = behaviour.input_tokens.unwrap_or_else(|| Asked::of(document).prompt.tokens);
    Ok(Answer::json(&json!({"input_tokens": tokens})))
}

fn document(question: &Question) -> Result<&Value, Refusal> {
    let is_object = question.json.is_object();
    if is_object { Ok(&question.json) } else { Err(invalid("The request body is not valid JSON")) }
}

fn speech<'a>(document: &'a Value, behaviour: &Behaviour) -> Result<Speech<'a>, Refusal> {
    let model = required_text(document, "model")?;
    let limit = limit(document, model)?;
    messages(document)?;
    models::known(model)?;
    let Asked { prompt, cache_write, cache_write_long } = Asked::of(document);
    let thinking = document.get("thinking").unwrap_or(&Value::Null);
    let thoughts = thoughts(thinking, behaviour, limit)?;

    let mut blocks = Vec::new();
    if thoughts > 0 {
        let is_shown = thinking.get("display").is_none_or(|display| display != "omitted");
        let text =
            if is_shown { words::coins(usize::try_from(thoughts).unwrap_or(0)) } else { String::new() };
        blocks.push(Block::Thinking { text, tokens: thoughts });
    }
    let calls = tools::calls(&as_openai(document), &prompt);
    let mut stop_reason = "end_turn";
    if calls.is_empty() {
        let text = match (behaviour.words, behaviour.size) {
            (Some(count), _) => words::coins(count),
            (None, Some(bytes)) => words::filler(bytes),
            (None, None) => words::answer(&prompt.text, 0),
        };
        let text = words::for_pieces(text, behaviour.chunks.unwrap_or_default());
        let (text, is_cut) = words::limited(text, Some(limit - thoughts));
        if is_cut {
            stop_reason = "max_tokens";
        }
        blocks.push(Block::Text(text));
    } else {
        stop_reason = "tool_use";
        blocks.extend(calls.into_iter().map(Block::Call));
    }
    let said: u64 = blocks.iter().map(Block::tokens).sum();
    let bill = behaviour.tokens(Tokens {
        input: prompt.tokens,
        cached: prompt.cached,
        cache_write,
        cache_write_long,
        output: said,
        reasoning: thoughts,
    });
    Ok(Speech { model, blocks, stop_reason, bill, has_usage: !behaviour.no_usage })
}

fn required_text<'a>(document: &'a Value, member: &str) -> Result<&'a str, Refusal> {
    match document.get(member) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        None => Err(invalid(format!("{member}: Field required"))),
        Some(_) => Err(invalid(format!("{member}: Input should be a valid string"))),
    }
}

fn messages(document: &Value) -> Result<(), Refusal> {
    match document.get("messages") {
        None => Err(invalid("messages: Field required")),
        Some(Value::Array(messages)) if messages.is_empty() => {
            Err(invalid("messages: at least one message is required"))
        }
        Some(Value::Array(_)) => Ok(()),
        Some(_) => Err(invalid("messages: Input should be a valid list")),
    }
}

/// How many tokens are thought and said at most.
fn limit(document: &Value, model: &str) -> Result<u64, Refusal> {
    let named = document.get("max_tokens").ok_or_else(|| invalid("max_tokens: Field required"))?;
    let limit = named.as_u64().filter(|limit| *limit > 0);
    let limit = limit.ok_or_else(|| invalid("max_tokens: Input should be greater than or equal to 1"))?;
    let most = models::most_output(model);
    if limit > most {
        return Err(invalid(format!(
            "max_tokens: {limit} > {most}, which is the maximum allowed number of output tokens for {model}"
        )));
    }
    Ok(limit)
}

/// How many tokens are thought before anything is said.
fn thoughts(thinking: &Value, behaviour: &Behaviour, limit: u64) -> Result<u64, Refusal> {
    let usual = match thinking.get("type").and_then(Value::as_str) {
        Some("enabled") => {
            let budget = thinking.get("budget_tokens").and_then(Value::as_u64).unwrap_or_default();
            if budget < 1_024 {
                return Err(invalid(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
                ));
            }
            if budget >= limit {
                return Err(invalid("`max_tokens` must be greater than `thinking.budget_tokens`."));
            }
            64
        }
        Some("adaptive") => 64,
        _ => 0,
    };
    let thoughts = if usual > 0 { behaviour.reasoning_tokens.unwrap_or(usual) } else { 0 };
    Ok(thoughts.min(limit))
}

/// The tools, and which of them may be called, in the words of chat completions.
fn as_openai(document: &Value) -> Value {
    let own = |tool: &&Value| tool.get("type").is_none_or(|kind| kind == "custom" || kind.is_null());
    let translated = |tool: &Value| {
        let function = json!({"name": tool.get("name"), "parameters": tool.get("input_schema")});
        json!({"type": "function", "function": function})
    };
    let tools = document.get("tools").and_then(Value::as_array).into_iter().flatten();
    let mut members = Map::new();
    members.insert("tools".to_owned(), tools.filter(own).map(translated).collect());
    let choice = document.get("tool_choice").unwrap_or(&Value::Null);
    let chosen = match choice.get("type").and_then(Value::as_str) {
        Some("any") => json!("required"),
        Some("none") => json!("none"),
        Some("tool") => json!({"type": "function", "function": {"name": choice.get("name")}}),
        _ => json!("auto"),
    };
    members.insert("tool_choice".to_owned(), chosen);
    let is_one = choice.get("disable_parallel_tool_use") == Some(&Value::Bool(true));
    members.insert("parallel_tool_calls".to_owned(), Value::Bool(!is_one));
    Value::Object(members)
}

impl Block {
    /// As it stands in an answer in one piece.
    fn whole(&self) -> Value {
        match self {
            Self::Thinking { text, .. } => {
                json!({"type": "thinking", "thinking": text, "signature": SIGNATURE})
            }
            Self::Text(text) => json!({"type": "text", "text": text, "citations": null}),
            Self::Call(call) => {
                let input = serde_json::from_str::<Value>(&call.arguments).unwrap_or_default();
                json!({"type": "tool_use", "id": fresh_call(), "name": call.name, "input": input})
            }
        }
    }

    /// How many tokens it takes.
    pub(super) fn tokens(&self) -> u64 {
        match self {
            Self::Thinking { tokens, .. } => *tokens,
            Self::Text(text) => words::count(text),
            Self::Call(call) => words::count(&call.name) + words::count(&call.arguments),
        }
    }
}

/// What proves that Anthropic thought it.
pub(super) const SIGNATURE: &str = "EqQBCkgIChABGAIqQKjSimulatedSignatureOfAThought";

/// A fresh id of a call.
pub(super) fn fresh_call() -> String {
    identity::fresh("toolu_01", 22)
}

impl Speech<'_> {
    /// What it used, as it is told in the end of an answer in one piece, or in the beginning of a stream.
    pub(super) fn usage(&self) -> Value {
        let Tokens { input, cached, cache_write, cache_write_long, output, reasoning } = self.bill;
        json!({
            "input_tokens": input.saturating_sub(cached + cache_write + cache_write_long),
            "cache_creation_input_tokens": cache_write + cache_write_long,
            "cache_read_input_tokens": cached,
            "cache_creation": {
                "ephemeral_5m_input_tokens": cache_write,
                "ephemeral_1h_input_tokens": cache_write_long,
            },
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": reasoning},
            "service_tier": "standard",
        })
    }
}
