//! Counting tokens with the model's own tokenizer, for when nobody reports them. The first count
//! loads the tokenizer, and counting is work: call it off the async threads.

mod text;

use bpe_openai::Tokenizer;
use model::usage::Tokens;
use serde_json::Value;

use crate::catalog::{Dialect, Provider};
use crate::credits::Credits;
use crate::endpoint::Endpoint;

/// How a family of models cuts text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// GPT-4o and all that came after it.
    O200k,
    /// GPT-4, GPT-3.5 and the embedding models.
    Cl100k,
}

impl Encoding {
    /// The encoding of a model. Unknown models are taken for newer ones.
    pub fn of(model: &str) -> Self {
        let name = model.strip_prefix("ft:").unwrap_or(model);
        let newer = ["gpt-4o", "gpt-4.1", "gpt-4.5"].iter().any(|family| name.starts_with(family));
        let older = ["gpt-4", "gpt-3.5", "text-embedding-", "davinci-002", "babbage-002"];
        if !newer && older.iter().any(|family| name.starts_with(family)) { Self::Cl100k } else { Self::O200k }
    }

    /// The encoding of a model that is known to have it: its counts bound what the provider counts.
    pub fn known(model: &str) -> Option<Self> {
        const FAMILIES: [&str; 7] = ["gpt-3.5", "gpt-4", "gpt-5", "o1", "o3", "o4", "text-embedding-"];
        FAMILIES.iter().any(|family| model.starts_with(family)).then(|| Self::of(model))
    }

    /// How many tokens a text has.
    pub fn count(self, text: &str) -> u64 {
        self.tokenizer().count(text) as u64
    }

    fn tokenizer(self) -> &'static Tokenizer {
        match self {
            Self::O200k => bpe_openai::o200k_base(),
            Self::Cl100k => bpe_openai::cl100k_base(),
        }
    }
}

/// What a message costs beside its words, and what the beginning of the answer does, as OpenAI's
/// cookbook counts them.
const PER_MESSAGE: u64 = 3;
const PER_NAME: u64 = 1;
const PER_ANSWER: u64 = 3;

/// Counts what a request asks a model to read. Texts are counted exactly; tools by their JSON; images,
/// files and audio not at all, because only the provider sees their size.
pub fn prompt(endpoint: Endpoint, model: &str, body: &[u8]) -> u64 {
    let encoding = Encoding::of(model);
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return 0 };
    let tools = match &body["tools"] {
        Value::Array(tools) if !tools.is_empty() => encoding.count(&body["tools"].to_string()),
        _ => 0,
    };
    tools
        + match endpoint {
            Endpoint::ChatCompletions => messages(encoding, &body["messages"]) + PER_ANSWER,
            Endpoint::Responses => {
                let instructions = match body["instructions"].as_str() {
                    Some(text) => encoding.count(text) + PER_MESSAGE,
                    None => 0,
                };
                instructions + messages(encoding, &body["input"]) + PER_ANSWER
            }
            Endpoint::Messages => {
                let system = match &body["system"] {
                    Value::Null => 0,
                    system => inputs(encoding, system) + PER_MESSAGE,
                };
                system + messages(encoding, &body["messages"]) + PER_ANSWER
            }
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent | Endpoint::CountContentTokens => {
                contents(encoding, &body)
            }
            Endpoint::EmbedContent => parts(encoding, &body["content"]),
            Endpoint::BatchEmbedContents => {
                let requests = body["requests"].as_array().into_iter().flatten();
                requests.map(|request| parts(encoding, &request["content"])).sum()
            }
            Endpoint::Completions => inputs(encoding, &body["prompt"]),
            Endpoint::ImageGenerations => inputs(encoding, &body["prompt"]),
            Endpoint::Embeddings | Endpoint::Moderations | Endpoint::Speech => {
                inputs(encoding, &body["input"])
            }
            _ => 0,
        }
}

/// Whether what is counted is only near to what the provider counts: nobody else knows the tokenizers of
/// the models that are asked there.
pub fn is_estimate(provider: &Provider, endpoint: Endpoint) -> bool {
    let is_known = provider.credits.is_some_and(Credits::knows_tokenizers);
    !is_known || matches!(endpoint.dialect(), Some(Dialect::Anthropic | Dialect::Google))
}

/// A usage counted by us: of the request's body, and of the text that was produced.
pub fn counted(endpoint: Endpoint, model: &str, request: &[u8], produced: &str) -> Tokens {
    let output = Encoding::of(model).count(produced);
    Tokens { input: prompt(endpoint, model, request), output, ..Tokens::default() }
}

/// The text produced in an answer in one piece, for counting.
pub fn answer_text(body: &[u8]) -> String {
    let mut produced = String::new();
    if let Ok(body) = serde_json::from_slice::<Value>(body) {
        for answers in [&body["choices"], &body["output"], &body["content"], &body["candidates"]] {
            text::produced(answers, &mut |text| produced.push_str(text));
        }
    }
    produced
}

fn messages(encoding: Encoding, messages: &Value) -> u64 {
    let Value::Array(messages) = messages else { return PER_MESSAGE + inputs(encoding, messages) };
    let count = |message: &Value| {
        let mut words = 0;
        text::asked(message, &mut |text| words += encoding.count(text));
        let name = if message["name"].is_string() { PER_NAME } else { 0 };
        let role = message["role"].as_str().map_or(0, |role| encoding.count(role));
        PER_MESSAGE + name + role + words
    };
    messages.iter().map(count).sum()
}

/// What is asked in Google's words: the conversation, and what the model is told beforehand.
fn contents(encoding: Encoding, body: &Value) -> u64 {
    let said = ["systemInstruction", "system_instruction"].map(|name| parts(encoding, &body[name]));
    let contents = body["contents"].as_array().into_iter().flatten();
    contents.map(|content| parts(encoding, content)).chain(said).sum()
}

/// The words of one turn in Google's words.
fn parts(encoding: Encoding, content: &Value) -> u64 {
    let mut words = 0;
    text::asked(content, &mut |text| words += encoding.count(text));
    words
}

/// Inputs are a text, a list of texts, a list of tokens or a list of such lists.
fn inputs(encoding: Encoding, input: &Value) -> u64 {
    match input {
        Value::String(text) => encoding.count(text),
        Value::Number(_) => 1,
        Value::Array(parts) => parts.iter().map(|part| inputs(encoding, part)).sum(),
        Value::Object(part) => part.get("text").map_or(0, |text| inputs(encoding, text)),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_cut_as_their_models_cut_them() {
        assert_eq!(Encoding::of("gpt-4o-mini"), Encoding::O200k);
        assert_eq!(Encoding::of("gpt-5.4"), Encoding::O200k);
        assert_eq!(Encoding::of("ft:gpt-4-0613:org"), Encoding::Cl100k);
        assert_eq!(Encoding::of("text-embedding-3-small"), Encoding::Cl100k);
        // Known counts from OpenAI's own tokenizer.
        assert_eq!(Encoding::Cl100k.count("tiktoken is great!"), 6);
        assert_eq!(Encoding::O200k.count("tiktoken is great!"), 6);
        assert_eq!(Encoding::Cl100k.count("antidisestablishmentarianism"), 6);
    }

    #[test]
    fn the_cookbooks_example_is_counted_as_the_cookbook_does() {
        let (system, user) = ("system", "user");
        let example = json!({"messages": [
            {"role": system, "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
            {"role": system, "name": "example_user", "content": "New synergies will help drive top-line growth."},
            {"role": system, "name": "example_assistant", "content": "Things working well together will increase revenue."},
            {"role": system, "name": "example_user", "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
            {"role": system, "name": "example_assistant", "content": "Let's talk later when we're less busy about how to do better."},
            {"role": user, "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."},
        ]});
        let body = example.to_string();
        assert_eq!(prompt(Endpoint::ChatCompletions, "gpt-4", body.as_bytes()), 129);
        assert_eq!(prompt(Endpoint::ChatCompletions, "gpt-4o", body.as_bytes()), 124);
    }

    #[test]
    fn every_shape_of_input_is_counted() {
        let count = |endpoint, body: Value| prompt(endpoint, "gpt-4o", body.to_string().as_bytes());
        let parts = json!([{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}]);
        assert_eq!(
            count(Endpoint::Responses, json!({"input": parts})),
            count(Endpoint::Responses, json!({"input": "Hello"})) + 1
        );
        assert_eq!(count(Endpoint::Embeddings, json!({"input": [[1, 2], [3]]})), 3);
        assert_eq!(count(Endpoint::Embeddings, json!({"input": ["Hello", "Hello"]})), 2);
        assert_eq!(prompt(Endpoint::ChatCompletions, "gpt-4o", b"{"), 0);
    }

    #[test]
    fn produced_text_is_found_in_answers_of_both_kinds() {
        let chat = json!({"choices": [{"message": {"role": "assistant", "content": "Hi", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{}"}}]}}]});
        assert_eq!(answer_text(chat.to_string().as_bytes()), "Hif{}");
        let custom = json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "x", "custom": {"name": "f", "input": "ring"}}]}}]});
        assert_eq!(answer_text(custom.to_string().as_bytes()), "fring");
        let responses = json!({"output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}]});
        assert_eq!(answer_text(responses.to_string().as_bytes()), "Hi");
    }
}
