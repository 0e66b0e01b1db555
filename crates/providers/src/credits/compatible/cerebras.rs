//! Cerebras.

use super::super::Credits;
use super::super::shape::Shape::{Flag, Words};
use super::super::shape::field;
use super::members::{CHAT, COMPLETIONS, MAX_COMPLETION_TOKENS};
use super::{COMPATIBLE, chat, completions, with};

/// The limit is one of all that the model produces: it runs open models, which think in the same text, and
/// its reference says "including reasoning tokens". The usage ends every stream.
pub(crate) const CEREBRAS: Credits = Credits {
    operations: &[
        chat(with!(
            &[
                MAX_COMPLETION_TOKENS,
                field(
                    "service_tier",
                    Words(&["default"], "must be `default`: other tiers are not sold on credits")
                ),
                field("disable_reasoning", Flag),
                field("clear_thinking", Flag),
            ],
            CHAT
        )),
        completions(COMPLETIONS),
    ],
    limit: "max_completion_tokens",
    ..COMPATIBLE
};
