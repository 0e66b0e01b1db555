//! `POST /v1/moderations`: nothing is flagged unless the text has the word "violence".

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};
use crate::identity;
use crate::question::Question;

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// Answers a request for a moderation.
pub(super) fn answer(question: &Question) -> Result<Answer, Refusal> {
    let document = question.document()?;
    let input = document.get("input").ok_or_else(|| Refusal::missing("input"))?;
    let model = document.get("model").and_then(Value::as_str).unwrap_or("omni-moderation-latest");
    let one = [input.clone()];
    let inputs = input.as_array().map_or(&one[..], Vec::as_slice);
    let results: Vec<Value> = inputs.iter().map(|input| result(&input.to_string())).collect();
    Ok(Answer::json(&json!({"id": identity::fresh("modr-", 24), "model": model, "results": results})))
}

fn result(input: &str) -> Value {
    let flagged = input.to_lowercase().contains("violence");
    let is_hit = |category: &str| flagged && category == "violence";
    let of = |value: &dyn Fn(&str) -> Value| -> Map<String, Value> {
        CATEGORIES.iter().map(|category| ((*category).to_owned(), value(category))).collect()
    };
    json!({
        "flagged": flagged,
        "categories": of(&|category| json!(is_hit(category))),
        "category_scores": of(&|category| json!(if is_hit(category) { 0.93 } else { 0.000_01 })),
        "category_applied_input_types": of(&|_| json!(["text"])),
    })
}
