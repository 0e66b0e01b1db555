//! Google AI Studio: the Gemini API as it is by path, and its OpenAI-compatible surface.

use super::{Auth, Dialect, Format, OPENAI_LIKE, Provider, QuotaHeaders};

pub(super) const GOOGLE: Provider = Provider {
    slug: "google-ai-studio",
    aliases: &["google", "gemini"],
    id: "google",
    name: "Google AI Studio",
    author: "google",
    root: "https://generativelanguage.googleapis.com",
    // Its own paths spell their version.
    prefix: "",
    prefix_spellings: &[],
    auth: Auth::XGoogApiKey,
    formats: &[Format {
        dialect: Dialect::OpenAi,
        base: Some("v1beta/openai"),
        auth: Auth::Bearer,
        operations: &["chat/completions", "embeddings", "images/generations", "models"],
    }],
    quota: QuotaHeaders::NONE,
    ..OPENAI_LIKE
};
