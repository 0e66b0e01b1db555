//! OpenRouter.

use super::super::Credits;
use super::super::facts::Mark;
use super::super::shape::Shape::{Flag, Nothing, Object, Text};
use super::super::shape::field;
use super::members::{
    CHAT, COMPLETIONS, EMBEDDINGS, MAX_COMPLETION_TOKENS, MIN_P, REPETITION_PENALTY, SEARCHES, TOP_K,
};
use super::{COMPATIBLE, FINE_TUNED, chat, completions, embeddings, with};

const ROUTES: &str = "must be left out: who serves decides what it costs. Name one model, and let the gateway's policy fall back";

/// The price list has none of its models, because what one costs depends on who serves it: they can be sold
/// at prices that the operator sets. Its guide counts thoughts within `max_tokens`; at those who do not,
/// it is not known. Its usage comes with every answer.
pub(crate) const OPENROUTER: Credits = Credits {
    operations: &[
        chat(with!(
            &[
                MAX_COMPLETION_TOKENS,
                TOP_K,
                MIN_P,
                REPETITION_PENALTY,
                field(
                    "reasoning",
                    Object(&[field("effort", Text), field("enabled", Flag), field("exclude", Flag)])
                )
                .noted(Mark::Thinks),
                field("include_reasoning", Flag),
                field("usage", Object(&[field("include", Flag)])),
                field("models", Nothing(ROUTES)),
                field("route", Nothing(ROUTES)),
                field("provider", Nothing(ROUTES)),
                field("preset", Nothing("must be left out: presets are the operator's own")),
                field("plugins", Nothing(SEARCHES)),
                field("transforms", Nothing("must be left out: what they cost is not known here")),
            ],
            CHAT
        )),
        completions(COMPLETIONS),
        embeddings(EMBEDDINGS),
    ],
    refused_models: &[
        FINE_TUNED,
        (":online", "must not be a model that searches the web: searches have no price here"),
        (":", "must be named without a suffix: those choose who serves, and what that costs"),
        ("@", "must not name a preset: those are the operator's own"),
        ("openrouter/", "must be one model: who serves decides what it costs"),
    ],
    limits_thought: false,
    ..COMPATIBLE
};
