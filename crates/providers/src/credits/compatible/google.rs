//! Google AI Studio, asked in OpenAI's words.

use super::super::Credits;
use super::super::shape::Shape::Nothing;
use super::super::shape::field;
use super::members::{CHAT, SEVERAL};
use super::{COMPATIBLE, FINE_TUNED, chat, with};

const TOOLS: &str = "must not be a model that needs tools at the provider: those have no price here";
const SOUND: &str = "must not be a model that speaks: how long it does has no bound here";

/// Its guide counts thoughts beside the limit of output, and its service, by all who looked, within it; so
/// what thinks is held as long as the model's longest answer. Embeddings are not offered: their answers do
/// not say how much was read.
pub(crate) const GOOGLE: Credits = Credits {
    operations: &[chat(with!(
        &[
            SEVERAL,
            field(
                "extra_body",
                Nothing(
                    "must be left out: it may name contents that are cached in an account that all tenants share"
                ),
            ),
        ],
        CHAT
    ))],
    refused_models: &[
        FINE_TUNED,
        ("tunedModels/", "must not be a tuned model: those are the operator's own. Use a key of your own"),
        ("deep-research", TOOLS),
        ("computer-use", TOOLS),
        ("-tts", SOUND),
    ],
    limits_thought: false,
    ..COMPATIBLE
};
