//! `generateContent`, `streamGenerateContent` and `countTokens`.

use serde_json::{Value, json};

use super::asked::{Asked, as_openai, list};
use super::invalid;
use crate::answer::{Answer, Event, Refusal};
use crate::behaviour::Behaviour;
use crate::billing::Tokens;
use crate::openai::tools::{self, Call};
use crate::question::Question;
use crate::{identity, words};

/// Everything that is said in one answer, streamed or not.
struct Speech<'a> {
    model: &'a str,
    parts: Vec<Part>,
    finish_reason: &'static str,
    bill: Tokens,
    pictures: u64,
    service_tier: Option<&'a Value>,
    has_usage: bool,
    response_id: String,
}

/// A part of what is said.
enum Part {
    /// What was thought, if it is to be shown.
    Thought(String),
    Text(String),
    Call(Call),
}

/// Answers in one piece.
pub(super) fn whole(question: &Question, model: &str, behaviour: &Behaviour) -> Result<Answer, Refusal> {
    let speech = speech(&question.json, model, behaviour)?;
    let parts = speech.parts.iter().map(Part::said).collect();
    Ok(Answer::json(&speech.event(parts, true)).billed(speech.bill))
}

/// Answers with events, or with a list of the same.
pub(super) fn stream(question: &Question, model: &str, behaviour: &Behaviour) -> Result<Answer, Refusal> {
    let speech = speech(&question.json, model, behaviour)?;
    let mut pieces: Vec<(Value, u64)> = Vec::new();
    for part in &speech.parts {
        match part {
            // What is thought is owed from the first event on, so its pieces carry nothing.
            Part::Thought(_) => pieces.push((part.said(), 0)),
            Part::Text(text) => {
                let said = words::pieces(text, behaviour.chunks);
                pieces.extend(said.into_iter().map(|piece| (json!({"text": piece.text}), piece.tokens)));
            }
            Part::Call(call) => pieces.push((part.said(), tokens_of(call))),
        }
    }
    let last = pieces.len().saturating_sub(1);
    let events = pieces
        .into_iter()
        .enumerate()
        .map(|(index, (part, tokens))| (speech.event(vec![part], index == last).to_string(), tokens, index));
    let answer = match question.head.uri.query().unwrap_or_default().split('&').any(|pair| pair == "alt=sse")
    {
        true => Answer::events(
            events
                .map(|(event, tokens, _)| Event::verbatim(format!("data: {event}\r\n\r\n")).carrying(tokens))
                .collect(),
        ),
        false => Answer::list(
            events
                .map(|(event, tokens, index)| {
                    let before = if index == 0 { "[" } else { ",\r\n" };
                    let after = if index == last { "\n]\n" } else { "\n" };
                    Event::verbatim(format!("{before}{event}{after}")).carrying(tokens)
                })
                .collect(),
        ),
    };
    Ok(answer.billed(speech.bill))
}

/// Counts what would be read, which is not billed.
pub(super) fn count(question: &Question, behaviour: &Behaviour) -> Answer {
    let request = question.json.get("generateContentRequest").unwrap_or(&question.json);
    let tokens = behaviour.input_tokens.unwrap_or_else(|| Asked::of(request).prompt.tokens);
    let details = json!([{"modality": "TEXT", "tokenCount": tokens}]);
    Answer::json(&json!({"totalTokens": tokens, "promptTokensDetails": details}))
}

fn speech<'a>(document: &'a Value, model: &'a str, behaviour: &Behaviour) -> Result<Speech<'a>, Refusal> {
    if list(document, "contents").next().is_none() {
        return Err(invalid("* GenerateContentRequest.contents: contents is not specified\n"));
    }
    let configuration = document.get("generationConfig").unwrap_or(&Value::Null);
    let limit = configuration.get("maxOutputTokens").and_then(Value::as_u64).unwrap_or(65_536);
    let Asked { prompt, pictures } = Asked::of(document);
    let thinking = configuration.get("thinkingConfig").unwrap_or(&Value::Null);
    let told = |names: [&str; 2]| names.iter().find_map(|name| thinking.get(name));
    let budget = told(["thinkingBudget", "thinking_budget"]).and_then(Value::as_u64);
    let usual = if budget == Some(0) || thinking.is_null() { 0 } else { 64 };
    let thoughts = behaviour.reasoning_tokens.unwrap_or(usual).min(limit);

    let mut parts = Vec::new();
    if thoughts > 0 && told(["includeThoughts", "include_thoughts"]) == Some(&Value::Bool(true)) {
        parts.push(Part::Thought(words::coins(usize::try_from(thoughts).unwrap_or(0))));
    }
    let calls = tools::calls(&as_openai(document), &prompt);
    let mut finish_reason = "STOP";
    if calls.is_empty() {
        let text = match (behaviour.words, behaviour.size) {
            (Some(count), _) => words::coins(count),
            (None, Some(bytes)) => words::filler(bytes),
            (None, None) => words::answer(&prompt.text, 0),
        };
        let text = words::for_pieces(text, behaviour.chunks.unwrap_or_default());
        let (text, is_cut) = words::limited(text, Some(limit - thoughts));
        if is_cut {
            finish_reason = "MAX_TOKENS";
        }
        parts.push(Part::Text(text));
    }
    parts.extend(calls.into_iter().map(Part::Call));
    let said: u64 = parts.iter().map(Part::tokens).sum();
    let bill = behaviour.tokens(Tokens {
        input: prompt.tokens,
        cached: prompt.cached,
        output: said + thoughts,
        reasoning: thoughts,
        ..Tokens::default()
    });
    Ok(Speech {
        model,
        parts,
        finish_reason,
        bill,
        pictures: pictures.min(bill.input),
        service_tier: document.get("serviceTier"),
        has_usage: !behaviour.no_usage,
        response_id: identity::fresh("", 22),
    })
}

fn tokens_of(call: &Call) -> u64 {
    words::count(&call.name) + words::count(&call.arguments)
}

impl Part {
    fn said(&self) -> Value {
        match self {
            Self::Thought(text) => json!({"text": text, "thought": true}),
            Self::Text(text) => json!({"text": text}),
            Self::Call(call) => {
                let args = serde_json::from_str::<Value>(&call.arguments).unwrap_or_default();
                json!({"functionCall": {"name": call.name, "args": args}})
            }
        }
    }

    /// How many tokens it takes beside those that were thought.
    fn tokens(&self) -> u64 {
        match self {
            Self::Thought(_) => 0,
            Self::Text(text) => words::count(text),
            Self::Call(call) => tokens_of(call),
        }
    }
}

impl Speech<'_> {
    /// An answer with these parts, the last one or not.
    fn event(&self, parts: Vec<Value>, is_last: bool) -> Value {
        let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
        if is_last {
            candidate["finishReason"] = json!(self.finish_reason);
        }
        let mut event =
            json!({"candidates": [candidate], "modelVersion": self.model, "responseId": self.response_id});
        if self.has_usage {
            event["usageMetadata"] = self.usage(is_last);
        }
        event
    }

    /// What it used. Before the end nothing is told of what was said.
    fn usage(&self, is_last: bool) -> Value {
        let Tokens { input, cached, output, reasoning, .. } = self.bill;
        let mut details = vec![json!({"modality": "TEXT", "tokenCount": input - self.pictures})];
        if self.pictures > 0 {
            details.push(json!({"modality": "IMAGE", "tokenCount": self.pictures}));
        }
        let mut usage = json!({
            "promptTokenCount": input,
            "promptTokensDetails": details,
            "totalTokenCount": if is_last { input + output } else { input + reasoning },
        });
        if is_last {
            usage["candidatesTokenCount"] = json!(output - reasoning);
        }
        if reasoning > 0 {
            usage["thoughtsTokenCount"] = json!(reasoning);
        }
        if cached > 0 {
            usage["cachedContentTokenCount"] = json!(cached);
            usage["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": cached}]);
        }
        if let Some(tier) = self.service_tier {
            usage["serviceTier"] = tier.clone();
        }
        usage
    }
}
