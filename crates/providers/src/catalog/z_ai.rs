//! Z.ai.

use super::{Auth, Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const Z_AI: Provider = Provider {
    slug: "z-ai",
    aliases: &["z.ai", "zai", "z_ai"],
    id: "z-ai",
    name: "Z.ai",
    author: "z-ai",
    root: "https://api.z.ai",
    prefix: "api/paas/v4",
    prefix_spellings: &["api/paas/v4", "paas/v4", "v4", "v1"],
    formats: &[Format::OPENAI_CHAT, Format::messages(Some("api/anthropic/v1"), Auth::Bearer)],
    quota: QuotaHeaders::NONE,
    credits: Some(&compatible::z_ai::Z_AI),
    ..OPENAI_LIKE
};
