//! Anthropic.

use super::{Auth, Dialect, Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits;

pub(super) const ANTHROPIC: Provider = Provider {
    slug: "anthropic",
    id: "anthropic",
    name: "Anthropic",
    author: "anthropic",
    root: "https://api.anthropic.com",
    auth: Auth::XApiKey,
    dialect: Dialect::Anthropic,
    // Its models can be asked by OpenAI's clients as well, in the same place.
    formats: &[
        Format {
            dialect: Dialect::Anthropic,
            base: None,
            auth: Auth::XApiKey,
            operations: &["messages", "models", "complete", "files"],
        },
        Format::openai(&["chat/completions"]),
    ],
    quota: QuotaHeaders::ANTHROPIC,
    credits: Some(&credits::anthropic::ANTHROPIC),
    ..OPENAI_LIKE
};
