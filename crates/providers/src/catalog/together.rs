//! Together AI.

use super::{Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const TOGETHER: Provider = Provider {
    slug: "together",
    aliases: &["together-ai", "togetherai", "together_ai"],
    id: "together",
    name: "Together AI",
    root: "https://api.together.xyz",
    formats: &[Format::openai(&[
        "chat/completions",
        "completions",
        "embeddings",
        "images",
        "audio",
        "files",
        "models",
    ])],
    quota: QuotaHeaders {
        remaining_requests: "x-ratelimit-remaining",
        remaining_tokens: "x-tokenlimit-remaining",
        limit_requests: "x-ratelimit-limit",
        limit_tokens: "x-tokenlimit-limit",
    },
    credits: Some(&compatible::together::TOGETHER),
    ..OPENAI_LIKE
};
