//! Hyperbolic.

use super::{Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const HYPERBOLIC: Provider = Provider {
    slug: "hyperbolic",
    id: "hyperbolic",
    name: "Hyperbolic",
    root: "https://api.hyperbolic.xyz",
    formats: &[Format::openai(&["chat/completions", "completions", "models"])],
    quota: QuotaHeaders::NONE,
    credits: Some(&compatible::hyperbolic::HYPERBOLIC),
    ..OPENAI_LIKE
};
