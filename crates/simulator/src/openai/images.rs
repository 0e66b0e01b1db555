//! `POST /v1/images/generations` and `/v1/images/edits`: always the same picture, of one pixel.

use serde_json::{Value, json};

use super::form::Form;
use super::models;
use crate::answer::{Answer, Refusal};
use crate::billing::Tokens;
use crate::question::Question;
use crate::{identity, words};

/// A whole PNG of one transparent pixel. The size that was asked for decides only the usage.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// Answers a request for new images.
pub(super) fn generate(question: &Question) -> Result<Answer, Refusal> {
    let document = question.document()?;
    let prompt = question.required("prompt")?;
    let text = |member: &str| document.get(member).and_then(Value::as_str);
    let count = document.get("n").and_then(Value::as_u64).unwrap_or(1);
    images(text("model"), prompt, text("size"), text("response_format"), count, 0)
}

/// Answers a request, made by form, to change images.
pub(super) async fn edit(question: &Question) -> Result<Answer, Refusal> {
    let form = Form::of(question).await?;
    form.required("image")?;
    let prompt = form.text("prompt").unwrap_or_default();
    let count = form.text("n").and_then(|count| count.parse().ok()).unwrap_or(1);
    images(form.text("model"), prompt, form.text("size"), form.text("response_format"), count, 323)
}

fn images(
    model: Option<&str>,
    prompt: &str,
    size: Option<&str>,
    format: Option<&str>,
    count: u64,
    image_tokens: u64,
) -> Result<Answer, Refusal> {
    let model = model.unwrap_or("dall-e-2");
    models::known(model)?;
    let count = count.clamp(1, 10);
    let image = |index| match format {
        Some("url") => json!({"url": format!("https://images.example.com/{index}.png")}),
        _ => json!({"b64_json": PIXEL}),
    };
    let mut answer = json!({"created": identity::now(), "data": (0..count).map(image).collect::<Vec<_>>()});
    if model.starts_with("gpt-image") {
        let text_tokens = words::count(prompt);
        let output = count * if size == Some("1024x1536") || size == Some("1536x1024") { 1584 } else { 1056 };
        answer["background"] = json!("opaque");
        answer["output_format"] = json!("png");
        answer["quality"] = json!("medium");
        answer["size"] = json!(size.filter(|size| *size != "auto").unwrap_or("1024x1024"));
        answer["usage"] = json!({
            "input_tokens": text_tokens + image_tokens,
            "input_tokens_details": {"image_tokens": image_tokens, "text_tokens": text_tokens},
            "output_tokens": output,
            "total_tokens": text_tokens + image_tokens + output,
        });
    }
    Ok(Answer::json(&answer).billed(Tokens::reported(&answer["usage"])))
}
