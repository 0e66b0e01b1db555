//! Inference.net.

use super::{Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const INFERENCE_NET: Provider = Provider {
    slug: "inference-net",
    aliases: &["inference.net", "inference_net"],
    id: "inference-net",
    name: "Inference.net",
    root: "https://api.inference.net",
    formats: &[Format::openai(&["chat/completions", "completions", "embeddings", "models"])],
    quota: QuotaHeaders::NONE,
    credits: Some(&compatible::inference_net::INFERENCE_NET),
    ..OPENAI_LIKE
};
