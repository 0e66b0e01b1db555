//! Ends a Gemini stream that cannot be paid further as Google ends one whose limit of output is reached: with an
//! answer that says so, and nothing in it.

use model::usage::Tokens;
use serde_json::{Value, json};

/// The data of the event that ends a stream of so many answers.
pub(super) fn event(answers: u64, usage: &Tokens, model: Option<&str>) -> String {
    let candidate = |index| {
        let content = json!({"parts": [{"text": ""}], "role": "model"});
        json!({"content": content, "finishReason": "MAX_TOKENS", "index": index})
    };
    let candidates: Vec<Value> = (0..answers.clamp(1, MOST_ANSWERS)).map(candidate).collect();
    let mut event = json!({"candidates": candidates, "usageMetadata": told(usage)});
    if let Some(model) = model {
        event["modelVersion"] = json!(model);
    }
    event.to_string()
}

/// More candidates Google does not give.
const MOST_ANSWERS: u64 = 8;

/// Usage in Google's words.
fn told(usage: &Tokens) -> Value {
    let cached = usage.cached_input + usage.cached_audio_input + usage.cached_image_input;
    let mut told = json!({
        "promptTokenCount": usage.total_input(),
        "candidatesTokenCount": usage.total_output() - usage.reasoning,
        "totalTokenCount": usage.total_input() + usage.total_output(),
    });
    if cached > 0 {
        told["cachedContentTokenCount"] = json!(cached);
    }
    if usage.reasoning > 0 {
        told["thoughtsTokenCount"] = json!(usage.reasoning);
    }
    told
}
