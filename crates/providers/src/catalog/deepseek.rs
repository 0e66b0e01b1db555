//! DeepSeek.

use super::{Auth, Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const DEEPSEEK: Provider = Provider {
    slug: "deepseek",
    aliases: &["deep-seek"],
    id: "deepseek",
    name: "DeepSeek",
    author: "deepseek",
    root: "https://api.deepseek.com",
    // It answers with and without a version; what a caller leaves out stays out.
    prefix: "",
    prefix_spellings: &[],
    formats: &[
        Format { base: Some("v1"), ..Format::OPENAI_CHAT },
        Format::messages(Some("anthropic/v1"), Auth::XApiKey),
    ],
    quota: QuotaHeaders::NONE,
    credits: Some(&compatible::deepseek::DEEPSEEK),
    ..OPENAI_LIKE
};
