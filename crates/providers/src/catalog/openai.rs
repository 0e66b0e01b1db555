//! OpenAI.

use super::{Format, OPENAI_LIKE, Provider};
use crate::credits;

pub(super) const OPENAI: Provider = Provider {
    slug: "openai",
    aliases: &["open-ai"],
    id: "openai",
    name: "OpenAI",
    author: "openai",
    root: "https://api.openai.com",
    formats: &[Format::openai(&[
        "chat/completions",
        "completions",
        "responses",
        "embeddings",
        "moderations",
        "images",
        "audio",
        "files",
        "uploads",
        "models",
        "batches",
    ])],
    credits: Some(&credits::openai::OPENAI),
    // OpenAI's guide to background mode has a request cancelled by ending its connection, and aggregators
    // who are billed for it (OpenRouter, "Stream cancellation") list it among those that then stop billing.
    stops_billing_on_cancel: true,
    // Words that were predicted in vain would be billed unseen, so predictions are refused on credits.
    output_is_visible: true,
    ..OPENAI_LIKE
};
