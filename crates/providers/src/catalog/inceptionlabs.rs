//! Inception Labs.

use super::{Format, OPENAI_LIKE, Provider, QuotaHeaders};
use crate::credits::compatible;

pub(super) const INCEPTIONLABS: Provider = Provider {
    slug: "inceptionlabs",
    aliases: &["inception-labs", "inception"],
    id: "inceptionlabs",
    name: "Inception Labs",
    author: "inceptionlabs",
    root: "https://api.inceptionlabs.ai",
    formats: &[Format::openai(&["chat/completions", "fim/completions", "models"])],
    quota: QuotaHeaders::NONE,
    credits: Some(&compatible::inceptionlabs::INCEPTIONLABS),
    ..OPENAI_LIKE
};
