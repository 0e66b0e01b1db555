//! Moonshot AI.

use super::{Auth, Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const MOONSHOTAI: Provider = Provider {
    slug: "moonshotai",
    aliases: &["moonshot", "moonshot-ai"],
    id: "moonshotai",
    name: "Moonshot AI",
    author: "moonshotai",
    root: "https://api.moonshot.ai",
    formats: &[
        Format::openai(&["chat/completions", "files", "models"]),
        Format::messages(Some("anthropic/v1"), Auth::Bearer),
    ],
    quota: QuotaHeaders::NONE,
    credits: Some(&compatible::moonshotai::MOONSHOTAI),
    ..OPENAI_LIKE
};
