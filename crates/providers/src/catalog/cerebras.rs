//! Cerebras.

use super::{Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const CEREBRAS: Provider = Provider {
    slug: "cerebras",
    id: "cerebras",
    name: "Cerebras",
    root: "https://api.cerebras.ai",
    formats: &[Format::openai(&["chat/completions", "completions", "models"])],
    // Requests are counted by the day, tokens by the minute.
    quota: QuotaHeaders {
        remaining_requests: "x-ratelimit-remaining-requests-day",
        remaining_tokens: "x-ratelimit-remaining-tokens-minute",
        limit_requests: "x-ratelimit-limit-requests-day",
        limit_tokens: "x-ratelimit-limit-tokens-minute",
    },
    credits: Some(&compatible::cerebras::CEREBRAS),
    ..OPENAI_LIKE
};
