//! Perplexity.

use super::{Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const PERPLEXITY: Provider = Provider {
    slug: "perplexity-ai",
    aliases: &["perplexity"],
    id: "perplexity",
    name: "Perplexity",
    author: "perplexity",
    root: "https://api.perplexity.ai",
    // Its chat completions have no version; newer operations spell theirs.
    prefix: "",
    prefix_spellings: &[],
    quota: QuotaHeaders::NONE,
    formats: &[
        Format::openai(&["chat/completions"]),
        Format { base: Some("v1"), ..Format::openai(&["responses", "embeddings", "models"]) },
    ],
    credits: Some(&compatible::perplexity::PERPLEXITY),
    ..OPENAI_LIKE
};
