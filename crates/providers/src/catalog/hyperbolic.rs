//! Hyperbolic.

use super::{Format, OPENAI_LIKE, Provider, QuotaHeaders};

pub(super) const HYPERBOLIC: Provider = Provider {
    slug: "hyperbolic",
    id: "hyperbolic",
    name: "Hyperbolic",
    root: "https://api.hyperbolic.xyz",
    formats: &[Format::openai(&["chat/completions", "completions", "models"])],
    quota: QuotaHeaders::NONE,
    ..OPENAI_LIKE
};
