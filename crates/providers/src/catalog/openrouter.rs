//! OpenRouter.

use super::{Auth, Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const OPENROUTER: Provider = Provider {
    slug: "openrouter",
    aliases: &["open-router"],
    id: "openrouter",
    name: "OpenRouter",
    root: "https://openrouter.ai",
    prefix: "api/v1",
    prefix_spellings: &["api/v1", "v1"],
    formats: &[
        Format::openai(&["chat/completions", "completions", "embeddings", "responses", "models"]),
        Format::messages(None, Auth::Bearer),
    ],
    // One number, of requests, and only once it is used up.
    quota: QuotaHeaders {
        remaining_requests: "x-ratelimit-remaining",
        limit_requests: "x-ratelimit-limit",
        ..QuotaHeaders::NONE
    },
    credits: Some(&compatible::openrouter::OPENROUTER),
    ..OPENAI_LIKE
};
