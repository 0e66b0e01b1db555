//! Mistral AI.

use super::{Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const MISTRAL: Provider = Provider {
    slug: "mistral",
    aliases: &["mistral-ai", "mistralai"],
    id: "mistral",
    name: "Mistral AI",
    author: "mistralai",
    root: "https://api.mistral.ai",
    formats: &[Format::openai(&[
        "chat/completions",
        "fim/completions",
        "embeddings",
        "moderations",
        "audio",
        "files",
        "models",
    ])],
    quota: QuotaHeaders::NONE,
    credits: Some(&compatible::mistral::MISTRAL),
    tells_usage: true,
    ..OPENAI_LIKE
};
