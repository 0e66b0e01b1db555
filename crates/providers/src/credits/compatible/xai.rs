//! xAI.

use super::super::Credits;
use super::super::shape::Shape::{False, Nothing};
use super::super::shape::field;
use super::members::{CHAT, MAX_COMPLETION_TOKENS, SEARCHES, SEVERAL};
use super::{COMPATIBLE, FINE_TUNED, chat, with};

/// It counts thoughts beside the completion, and does not document that the limit of one holds for them; so
/// what thinks is held as long as the model's longest answer. Responses are kept, and searched for, so only
/// chat completions are sold.
pub(crate) const XAI: Credits = Credits {
    operations: &[chat(with!(
        &[
            MAX_COMPLETION_TOKENS,
            SEVERAL,
            field("search_parameters", Nothing(SEARCHES)),
            field(
                "deferred",
                False("must be false or left out: an answer that is fetched later cannot be bounded"),
            ),
        ],
        CHAT
    ))],
    refused_models: &[
        FINE_TUNED,
        ("multi-agent", "must not be a model of several agents: what they search has no price here"),
    ],
    limit: "max_completion_tokens",
    limits_thought: false,
    ..COMPATIBLE
};
