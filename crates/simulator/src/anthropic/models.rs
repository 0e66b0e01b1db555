//! The models that the simulated account may use.

use http::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};

/// The models that are listed: what they are called, and when they came.
const LISTED: [(&str, &str, &str); 8] = [
    ("claude-opus-5-5", "Claude Opus 5.5", "2026-09-22T00:00:00Z"),
    ("claude-sonnet-5-5", "Claude Sonnet 5.5", "2026-09-22T00:00:00Z"),
    ("claude-haiku-5-5", "Claude Haiku 5.5", "2026-09-22T00:00:00Z"),
    ("claude-opus-4-6", "Claude Opus 4.6", "2026-02-04T00:00:00Z"),
    ("claude-sonnet-4-6", "Claude Sonnet 4.6", "2026-02-17T00:00:00Z"),
    ("claude-opus-4-5-20251101", "Claude Opus 4.5", "2025-11-24T00:00:00Z"),
    ("claude-haiku-4-5-20251001", "Claude Haiku 4.5", "2025-10-15T00:00:00Z"),
    ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", "2025-09-29T00:00:00Z"),
];

pub(super) fn list() -> Answer {
    let data: Vec<Value> = LISTED.iter().map(|(id, name, created)| model(id, name, created)).collect();
    let ends = [LISTED.first(), LISTED.last()].map(|listed| listed.map(|(id, ..)| *id));
    Answer::json(&json!({"data": data, "has_more": false, "first_id": ends[0], "last_id": ends[1]}))
}

pub(super) fn retrieve(id: &str) -> Result<Answer, Refusal> {
    known(id)?;
    let listed = LISTED.iter().find(|(listed, ..)| *listed == served(id));
    let (id, name, created) = listed.copied().unwrap_or((id, id, "2025-01-01T00:00:00Z"));
    Ok(Answer::json(&model(id, name, created)))
}

/// Refuses a model that Anthropic would not have; `claude-nope` is one for tests.
pub(super) fn known(model: &str) -> Result<(), Refusal> {
    if model.contains("nope") { Err(unknown(model)) } else { Ok(()) }
}

pub(super) fn unknown(model: &str) -> Refusal {
    super::refusal(StatusCode::NOT_FOUND, "not_found_error", format!("model: {model}"))
}

/// How many tokens a model can think and say at most.
pub(super) fn most_output(model: &str) -> u64 {
    match model {
        _ if model.contains("-4-5") => 64_000,
        _ if model.starts_with("claude-3") => 8_192,
        _ => 128_000,
    }
}

/// The dated version that answers for a model's short name.
pub(super) fn served(model: &str) -> &str {
    match model {
        "claude-opus-4-5" => "claude-opus-4-5-20251101",
        "claude-sonnet-4-5" => "claude-sonnet-4-5-20250929",
        "claude-haiku-4-5" => "claude-haiku-4-5-20251001",
        other => other,
    }
}

fn model(id: &str, name: &str, created: &str) -> Value {
    json!({
        "type": "model",
        "id": id,
        "display_name": name,
        "created_at": created,
        "lifecycle": "active",
        "max_input_tokens": if id.contains("-4-5") { 200_000 } else { 1_000_000 },
        "max_tokens": most_output(id),
    })
}
