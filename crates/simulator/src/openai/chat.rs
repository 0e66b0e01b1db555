//! `POST /v1/chat/completions`.

use serde::Serialize;
use serde_json::{Value, json};

use super::prompt::Prompt;
use super::tools::{self, Call};
use super::{chat_stream, limit, models};
use crate::answer::{Answer, Refusal};
use crate::behaviour::Behaviour;
use crate::billing::Tokens;
use crate::question::Question;
use crate::{identity, schema, words};

#[derive(Serialize)]
pub(super) struct Completion<'a> {
    pub(super) id: String,
    pub(super) object: &'static str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    choices: Vec<ChoiceObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    service_tier: &'static str,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct ChoiceObject<'a> {
    index: usize,
    message: Message<'a>,
    logprobs: Option<Value>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    refusal: Option<()>,
    annotations: [(); 0],
}

/// What a completion used.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Clone, Copy, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

/// Everything that is said in one answer, streamed or not.
pub(super) struct Speech<'a> {
    pub(super) model: &'a str,
    pub(super) choices: Vec<Choice>,
    pub(super) bill: Tokens,
    pub(super) with_logprobs: bool,
}

/// One of the `n` answers.
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    pub(super) finish_reason: &'static str,
}

/// Answers a request for a chat completion.
pub(super) fn answer(question: &Question, behaviour: &Behaviour) -> Result<Answer, Refusal> {
    let document = question.document()?;
    let speech = speech(question, document, behaviour)?;
    if document.get("stream") == Some(&Value::Bool(true)) {
        return Ok(chat_stream::events(document, behaviour, &speech).billed(speech.bill));
    }
    let choices = speech.choices.iter().enumerate().map(|(index, choice)| object(index, choice, &speech));
    let completion = Completion {
        id: identity::fresh("chatcmpl-", 29),
        object: "chat.completion",
        created: identity::now(),
        model: models::served(speech.model),
        choices: choices.collect(),
        usage: (!behaviour.no_usage).then(|| Usage::of(speech.bill)),
        service_tier: "default",
        system_fingerprint: "fp_51db84afab",
    };
    Ok(Answer::json(&completion).billed(speech.bill))
}

fn speech<'a>(
    question: &'a Question,
    document: &'a Value,
    behaviour: &Behaviour,
) -> Result<Speech<'a>, Refusal> {
    let model = question.required("model")?;
    models::known(model)?;
    let messages = document.get("messages").filter(|messages| !messages.is_null());
    let messages = messages.ok_or_else(|| Refusal::missing("messages"))?;
    match messages.as_array() {
        None => {
            let message =
                "Invalid type for 'messages': expected an array of objects, but got something else instead.";
            return Err(Refusal::invalid("messages", message));
        }
        Some(list) if list.is_empty() => {
            let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty \
                           array instead.";
            return Err(Refusal::invalid("messages", message));
        }
        Some(_) => {}
    }
    let prompt = Prompt::of(messages, None, document.get("tools"));
    let limit = limit::of_chat(document, model)?;
    let thoughts = thoughts(behaviour, model, document.get("reasoning_effort"), limit);
    let left_to_say = limit.map(|limit| limit - thoughts);
    let count = document.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, 128);

    let choices: Vec<Choice> =
        (0..count).map(|index| choice(document, behaviour, &prompt, index, left_to_say)).collect();
    let spoken: u64 = choices.iter().map(Choice::tokens).sum();
    let reasoning = thoughts * count;
    let bill = behaviour.tokens(Tokens {
        input: prompt.tokens,
        cached: prompt.cached,
        output: spoken + reasoning,
        reasoning,
        ..Tokens::default()
    });
    let with_logprobs = document.get("logprobs") == Some(&Value::Bool(true));
    Ok(Speech { model, choices, bill, with_logprobs })
}

fn choice(
    document: &Value,
    behaviour: &Behaviour,
    prompt: &Prompt,
    index: u64,
    limit: Option<u64>,
) -> Choice {
    let calls = tools::calls(document, prompt);
    if !calls.is_empty() {
        return Choice { text: String::new(), calls, finish_reason: "tool_calls" };
    }
    let format = document.get("response_format").unwrap_or(&Value::Null);
    let text = text(format, format.pointer("/json_schema/schema"), behaviour, prompt, index);
    let (text, is_cut) = words::limited(text, limit);
    Choice { text, calls, finish_reason: if is_cut { "length" } else { "stop" } }
}

/// The text of an answer: an instance of the schema, if there is one, else words.
pub(super) fn text(
    format: &Value,
    schema: Option<&Value>,
    behaviour: &Behaviour,
    prompt: &Prompt,
    index: u64,
) -> String {
    match (schema, format.get("type").and_then(Value::as_str)) {
        (Some(schema), Some("json_schema")) => schema::instance(schema, prompt.word()).to_string(),
        (_, Some("json_object")) => json!({ "answer": words::answer(&prompt.text, index) }).to_string(),
        _ => {
            let text = match (behaviour.words, behaviour.size) {
                (Some(count), _) => words::coins(count),
                (None, Some(bytes)) => words::filler(bytes),
                (None, None) => words::answer(&prompt.text, index),
            };
            words::for_pieces(text, behaviour.chunks.unwrap_or_default())
        }
    }
}

/// How many tokens are thought before anything is said: as many as were wished for, else by the model and the effort
/// asked for; never more than the limit.
pub(super) fn thoughts(
    behaviour: &Behaviour,
    model: &str,
    effort: Option<&Value>,
    limit: Option<u64>,
) -> u64 {
    let usual = match effort.and_then(Value::as_str) {
        _ if !models::reasons(model) => 0,
        Some("none" | "minimal") => 0,
        Some("low") => 64,
        Some("high") => 448,
        _ => 192,
    };
    behaviour.reasoning_tokens.unwrap_or(usual).min(limit.unwrap_or(u64::MAX))
}

fn object<'a>(index: usize, choice: &'a Choice, speech: &Speech<'_>) -> ChoiceObject<'a> {
    ChoiceObject {
        index,
        message: Message {
            role: "assistant",
            content: choice.calls.is_empty().then_some(choice.text.as_str()),
            tool_calls: choice.calls.iter().map(|call| call_object(call, None)).collect(),
            refusal: None,
            annotations: [],
        },
        logprobs: speech.with_logprobs.then(|| logprobs(&tokens(&choice.text))),
        finish_reason: choice.finish_reason,
    }
}

/// A call as chat completions write it; in a stream it has an index and its arguments follow.
pub(super) fn call_object(call: &Call, index: Option<usize>) -> Value {
    let id = identity::fresh("call_", 24);
    match index {
        Some(index) => json!({
            "index": index, "id": id, "type": "function", "function": {"name": call.name, "arguments": ""},
        }),
        None => {
            json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
        }
    }
}

fn tokens(text: &str) -> Vec<String> {
    words::pieces(text, None).into_iter().map(|piece| piece.text).collect()
}

/// The log probabilities of some tokens, all equally likely.
pub(super) fn logprobs(tokens: &[String]) -> Value {
    let content: Vec<Value> = tokens
        .iter()
        .map(
            |token| json!({"token": token, "logprob": -0.125, "bytes": token.as_bytes(), "top_logprobs": []}),
        )
        .collect();
    json!({"content": content, "refusal": null})
}

impl Choice {
    fn tokens(&self) -> u64 {
        let calls: u64 =
            self.calls.iter().map(|call| words::count(&call.name) + words::count(&call.arguments)).sum();
        words::count(&self.text) + calls
    }
}

impl Usage {
    /// The same as OpenAI reports it.
    pub(super) fn of(tokens: Tokens) -> Self {
        Self {
            prompt_tokens: tokens.input,
            completion_tokens: tokens.output,
            total_tokens: tokens.input + tokens.output,
            prompt_tokens_details: PromptDetails { cached_tokens: tokens.cached, audio_tokens: 0 },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: tokens.reasoning,
                audio_tokens: 0,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}
