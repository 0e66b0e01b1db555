//! `embedContent` and `batchEmbedContents`.

use serde_json::{Value, json};

use super::asked::list;
use super::invalid;
use crate::answer::{Answer, Refusal};
use crate::billing::Tokens;
use crate::openai::embeddings::vector;
use crate::question::Question;
use crate::words;

/// One text.
pub(super) fn one(question: &Question, model: &str) -> Result<Answer, Refusal> {
    let (embedding, tokens) = embedded(&question.json)?;
    Ok(told(model, json!({"embedding": embedding}), tokens))
}

/// Several texts.
pub(super) fn several(question: &Question, model: &str) -> Result<Answer, Refusal> {
    let embedded: Vec<_> = list(&question.json, "requests").map(embedded).collect::<Result<_, _>>()?;
    let tokens = embedded.iter().map(|(_, tokens)| tokens).sum();
    let embeddings: Vec<Value> = embedded.into_iter().map(|(embedding, _)| embedding).collect();
    Ok(told(model, json!({"embeddings": embeddings}), tokens))
}

/// The older models say nothing of what they read.
fn told(model: &str, mut answer: Value, tokens: u64) -> Answer {
    if model.contains("embedding-2") {
        let details = json!([{"modality": "TEXT", "tokenCount": tokens}]);
        answer["usageMetadata"] = json!({"promptTokenCount": tokens, "promptTokensDetails": details});
    }
    Answer::json(&answer).billed(Tokens { input: tokens, ..Tokens::default() })
}

fn embedded(request: &Value) -> Result<(Value, u64), Refusal> {
    let content = request
        .get("content")
        .ok_or_else(|| invalid("* EmbedContentRequest.content: content is not specified\n"))?;
    let text: String = list(content, "parts").filter_map(|part| part.get("text")?.as_str()).collect();
    let dimensions = request.get("outputDimensionality").and_then(Value::as_u64).unwrap_or(3_072).min(3_072);
    let values = vector(&text, usize::try_from(dimensions).unwrap_or(1));
    Ok((json!({"values": values}), words::count(&text)))
}
