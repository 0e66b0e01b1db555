//! `POST /v1/embeddings`: vectors of length one that the text decides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use super::models;
use crate::answer::{Answer, Refusal};
use crate::billing::Tokens;
use crate::question::Question;
use crate::words::{self, Dice};

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Value>,
    model: String,
    usage: Value,
}

/// Answers a request for embeddings.
pub(super) fn answer(question: &Question) -> Result<Answer, Refusal> {
    let document = question.document()?;
    let model = question.required("model")?;
    models::known(model)?;
    let input =
        document.get("input").filter(|input| !input.is_null()).ok_or_else(|| Refusal::missing("input"))?;
    let most = if model.contains("large") { 3072 } else { 1536 };
    let dimensions = match document.get("dimensions").and_then(Value::as_u64) {
        Some(dimensions @ 1..=3072) => dimensions as usize,
        Some(_) => return Err(Refusal::invalid("dimensions", "Invalid value for 'dimensions'.")),
        None => most,
    };
    let is_base64 = document.get("encoding_format").is_some_and(|format| format == "base64");
    let inputs = inputs(input)?;
    let tokens: u64 = inputs.iter().map(|(_, tokens)| tokens).sum();
    let data = inputs.iter().enumerate().map(|(index, (text, _))| {
        let vector = vector(text, dimensions);
        let embedding = if is_base64 {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            json!(STANDARD.encode(bytes))
        } else {
            json!(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let list = List {
        object: "list",
        data: data.collect(),
        model: model.to_owned(),
        usage: json!({"prompt_tokens": tokens, "total_tokens": tokens}),
    };
    Ok(Answer::json(&list).billed(Tokens { input: tokens, ..Tokens::default() }))
}

/// The inputs and their tokens: a text, a list of texts, a list of tokens, or a list of lists of tokens.
fn inputs(input: &Value) -> Result<Vec<(String, u64)>, Refusal> {
    let one = |input: &Value| match input {
        Value::String(text) => Some((text.clone(), words::count(text))),
        Value::Array(tokens) => Some((input.to_string(), tokens.len() as u64)),
        _ => None,
    };
    let inputs = match input {
        Value::Array(several) if several.iter().all(|each| !each.is_number()) => {
            several.iter().map(one).collect()
        }
        other => one(other).map(|only| vec![only]),
    };
    inputs
        .filter(|inputs: &Vec<_>| !inputs.is_empty())
        .ok_or_else(|| Refusal::invalid("input", "'$.input' is invalid. Please check the API reference."))
}

/// The vector of a text.
pub(crate) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut dice = Dice::seeded_by(text);
    let numbers: Vec<f32> = (0..dimensions).map(|_| dice.fraction()).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    numbers.into_iter().map(|number| number / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_vector_of_length_one() {
        let vector = vector("harbour", 256);
        assert_eq!(vector, super::vector("harbour", 256));
        assert!((vector.iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-4);
    }
}
