//! Fireworks AI.

use super::{Format, OPENAI_LIKE, Provider};
use crate::credits::compatible;

pub(super) const FIREWORKS: Provider = Provider {
    slug: "fireworks",
    aliases: &["fireworks-ai"],
    id: "fireworks",
    name: "Fireworks AI",
    root: "https://api.fireworks.ai",
    prefix: "inference/v1",
    prefix_spellings: &["inference/v1", "v1"],
    formats: &[Format::openai(&["chat/completions", "completions", "embeddings", "responses", "models"])],
    credits: Some(&compatible::fireworks::FIREWORKS),
    ..OPENAI_LIKE
};
