//! xAI, which gateway URLs call `grok`.

use super::{Auth, Format, OPENAI_LIKE, Provider};
use crate::credits::compatible;

pub(super) const XAI: Provider = Provider {
    slug: "grok",
    aliases: &["xai", "x-ai"],
    id: "xai",
    name: "xAI",
    author: "xai",
    root: "https://api.x.ai",
    formats: &[
        Format::openai(&["chat/completions", "completions", "responses", "embeddings", "images", "models"]),
        Format::messages(None, Auth::XApiKey),
    ],
    credits: Some(&compatible::xai::XAI),
    ..OPENAI_LIKE
};
