//! Groq.

use super::{Format, OPENAI_LIKE, Provider};
use crate::credits::compatible;

pub(super) const GROQ: Provider = Provider {
    slug: "groq",
    aliases: &["groqcloud"],
    id: "groq",
    name: "Groq",
    root: "https://api.groq.com",
    prefix: "openai/v1",
    prefix_spellings: &["openai/v1", "v1"],
    formats: &[Format::openai(&["chat/completions", "responses", "audio", "models", "files", "batches"])],
    // Its page on compatibility with OpenAI says that they are answered with an error.
    unsupported_params: &["logprobs", "logit_bias", "top_logprobs"],
    credits: Some(&compatible::groq::GROQ),
    ..OPENAI_LIKE
};
