//! What a price list says of models, apart from prices, in our words.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::line::Listed;
use crate::prices::slug;

/// The providers whose models stand in the catalogue.
const PROVIDERS: &[&str] = &[
    "anthropic",
    "cerebras",
    "deepseek",
    "fireworks",
    "google-ai-studio",
    "grok",
    "groq",
    "hyperbolic",
    "inceptionlabs",
    "inference-net",
    "mistral",
    "moonshotai",
    "openai",
    "openrouter",
    "perplexity-ai",
    "together",
    "z-ai",
];

/// What is a model that a request can name, and not a unit of something else that is sold.
const MODES: &[&str] = &[
    "audio_speech",
    "audio_transcription",
    "chat",
    "completion",
    "embedding",
    "image_edit",
    "image_generation",
    "moderation",
    "responses",
];

/// The list's words for what a model can do, and ours.
const FEATURES: &[(&str, &str)] = &[
    ("audio_input", "audio-input"),
    ("audio_output", "audio-output"),
    ("computer_use", "computer-use"),
    ("function_calling", "tool-calling"),
    ("native_structured_output", "structured-output"),
    ("parallel_function_calling", "parallel-tool-calling"),
    ("pdf_input", "pdf-input"),
    ("prompt_caching", "prompt-caching"),
    ("reasoning", "reasoning"),
    ("response_schema", "structured-output"),
    ("video_input", "video-input"),
    ("vision", "vision"),
    ("web_search", "web-search"),
];

#[derive(Deserialize)]
struct Entry {
    provider: String,
    model: String,
    mode: Option<String>,
    context_window: Option<u64>,
    max_output_tokens: Option<u64>,
    deprecation_date: Option<String>,
    source: Option<String>,
    #[serde(default)]
    endpoints: Vec<String>,
    #[serde(default)]
    input_modalities: Vec<String>,
    #[serde(default)]
    output_modalities: Vec<String>,
    #[serde(default)]
    capabilities: Vec<String>,
}

/// The models of a list, by provider and name.
pub(super) fn of(list: &[u8]) -> Result<Vec<Listed>> {
    let entries: Vec<Entry> = serde_json::from_slice(list).context("the price list has another shape")?;
    let mut listed: Vec<_> = entries.into_iter().filter_map(taken).collect();
    listed.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
    Ok(listed)
}

fn taken(entry: Entry) -> Option<Listed> {
    let mode = entry.mode.filter(|mode| MODES.contains(&mode.as_str()))?;
    let provider = slug(&entry.provider).to_owned();
    let is_model = PROVIDERS.contains(&provider.as_str()) && is_model(&provider, &entry.model);
    let has = |capability: &str| entry.capabilities.iter().any(|has| has == capability);
    let mut features: Vec<_> =
        FEATURES.iter().filter(|(theirs, _)| has(theirs)).map(|(_, ours)| (*ours).to_owned()).collect();
    let name = entry.model.to_ascii_lowercase();
    if mode != "embedding"
        && ["code", "codex", "codestral", "devstral"].iter().any(|word| name.contains(word))
    {
        features.push("coding".to_owned());
    }
    features.sort();
    features.dedup();
    let mut operations: Vec<_> =
        entry.endpoints.iter().filter_map(|path| path.strip_prefix("/v1/")).map(str::to_owned).collect();
    operations.sort();
    let mut input = entry.input_modalities;
    if input.is_empty() && matches!(mode.as_str(), "chat" | "responses") {
        let senses =
            [("vision", "image"), ("audio_input", "audio"), ("video_input", "video"), ("pdf_input", "file")];
        input = vec!["text".to_owned()];
        input.extend(senses.iter().filter(|(sense, _)| has(sense)).map(|(_, kind)| (*kind).to_owned()));
    }
    let mut output = entry.output_modalities;
    if output.is_empty() && matches!(mode.as_str(), "chat" | "responses" | "completion") {
        output = vec!["text".to_owned()];
    }
    is_model.then_some(Listed {
        provider,
        model: entry.model,
        mode,
        context_window: entry.context_window,
        max_output_tokens: entry.max_output_tokens.filter(|tokens| *tokens > 0),
        operations,
        input,
        output,
        features,
        retires: entry.deprecation_date,
        source: entry.source,
    })
}

/// Lists have prices of picture sizes, of models by their size and of fine-tuned models among those of
/// models.
fn is_model(provider: &str, model: &str) -> bool {
    let by_size = [format!("{provider}-ai-"), format!("{provider}-")];
    let is_bucket =
        matches!(provider, "fireworks" | "together") && by_size.iter().any(|size| model.starts_with(size));
    let sized = model.split_once('/').is_some_and(|(first, _)| {
        matches!(first, "low" | "medium" | "high" | "standard" | "hd" | "auto") || first.contains("-x-")
    });
    !is_bucket && !sized && !model.starts_with("ft:") && model != "search"
}
