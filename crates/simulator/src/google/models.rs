//! The models that the simulated account may use.

use http::StatusCode;
use serde_json::{Value, json};

use super::refusal;
use crate::answer::{Answer, Refusal};

/// The models that are listed: what they are called, and what can be done with them.
const LISTED: [(&str, &str, &[&str]); 5] = [
    ("gemini-2.5-flash", "Gemini 2.5 Flash", &["generateContent", "countTokens"]),
    ("gemini-2.5-pro", "Gemini 2.5 Pro", &["generateContent", "countTokens"]),
    ("gemini-3-flash-preview", "Gemini 3 Flash Preview", &["generateContent", "countTokens"]),
    ("gemini-embedding-001", "Gemini Embedding 001", &["embedContent"]),
    ("gemini-embedding-2", "Gemini Embedding 2", &["embedContent"]),
];

pub(super) fn list() -> Answer {
    let models: Vec<Value> = LISTED.iter().map(|(id, name, methods)| model(id, name, methods)).collect();
    Answer::json(&json!({"models": models}))
}

pub(super) fn retrieve(id: &str) -> Result<Answer, Refusal> {
    known(id, "getModel")?;
    let listed = LISTED.iter().find(|(listed, ..)| *listed == id);
    let (id, name, methods) = listed.copied().unwrap_or((id, id, &["generateContent"]));
    Ok(Answer::json(&model(id, name, methods)))
}

/// Refuses a model that Google would not have; `gemini-nope` is one for tests.
pub(super) fn known(model: &str, verb: &str) -> Result<(), Refusal> {
    if !model.contains("nope") {
        return Ok(());
    }
    let message = format!(
        "models/{model} is not found for API version v1beta, or is not supported for {verb}. Call ListModels to see \
         the list of available models and their supported methods."
    );
    Err(refusal(StatusCode::NOT_FOUND, "NOT_FOUND", message))
}

fn model(id: &str, name: &str, methods: &[&str]) -> Value {
    json!({
        "name": format!("models/{id}"),
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": methods,
    })
}
