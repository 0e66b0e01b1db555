//! Google AI Studio: the Gemini API as it is by path, and its OpenAI-compatible surface.

use super::{Auth, Dialect, Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

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
    dialect: Dialect::Google,
    formats: &[
        Format {
            dialect: Dialect::OpenAi,
            base: Some("v1beta/openai"),
            auth: Auth::Bearer,
            operations: &["chat/completions", "embeddings", "images/generations", "models"],
        },
        Format::gemini("v1beta"),
        Format::gemini("v1"),
        Format::gemini("v1alpha"),
    ],
    quota: QuotaHeaders::NONE,
    credits: Some(&compatible::google::GOOGLE),
    ..OPENAI_LIKE
};
