//! Groq.

use super::super::Credits;
use super::super::shape::Shape::{Flag, Nothing, Text, Words};
use super::super::shape::field;
use super::members::{CHAT, MAX_COMPLETION_TOKENS, SEARCHES, SEVERAL};
use super::{COMPATIBLE, FINE_TUNED, chat, with};

const COMPOUND: &str = "must be left out: systems that search and run code have no price here";

/// It runs open models, whose thoughts are a part of what the limit holds for.
pub(crate) const GROQ: Credits = Credits {
    operations: &[chat(with!(
        &[
            MAX_COMPLETION_TOKENS,
            SEVERAL,
            field(
                "service_tier",
                Words(&["on_demand"], "must be `on_demand`: other tiers are not sold on credits"),
            ),
            field("reasoning_format", Text),
            field("include_reasoning", Flag),
            field("disable_tool_validation", Flag),
            field("compound_custom", Nothing(COMPOUND)),
            field("documents", Nothing("must be left out: what they are read as is not known here")),
            field("search_settings", Nothing(SEARCHES)),
            field("include_domains", Nothing(SEARCHES)),
            field("exclude_domains", Nothing(SEARCHES)),
        ],
        CHAT
    ))],
    refused_models: &[
        FINE_TUNED,
        ("compound", "must not be a compound system: its searches and its code have no price here"),
    ],
    limit: "max_completion_tokens",
    ..COMPATIBLE
};
