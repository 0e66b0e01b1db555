//! Together AI.

use super::super::Credits;
use super::super::shape::Shape::{False, Flag, Nothing, Object, Text};
use super::super::shape::field;
use super::members::{CHAT, COMPLETIONS, MIN_P, REPETITION_PENALTY, SEVERAL, TOP_K};
use super::{COMPATIBLE, FINE_TUNED, chat, completions, with};

const SAFETY: &str = "must be left out: what another model costs that looks at the answer is not known here";

/// It runs open models, whose thoughts are a part of what the limit holds for. Embeddings are not offered:
/// it is not known that their answers say how much was read. Endpoints and models of an account's own
/// have no price in the list.
pub(crate) const TOGETHER: Credits = Credits {
    operations: &[
        chat(with!(
            &[
                SEVERAL,
                TOP_K,
                MIN_P,
                REPETITION_PENALTY,
                field("reasoning", Object(&[field("enabled", Flag), field("effort", Text)])),
                field(
                    "echo",
                    False("must be false or left out: whether what is echoed is billed is not known here")
                ),
                field("safety_model", Nothing(SAFETY)),
            ],
            CHAT
        )),
        completions(with!(
            &[SEVERAL, TOP_K, MIN_P, REPETITION_PENALTY, field("safety_model", Nothing(SAFETY))],
            COMPLETIONS
        )),
    ],
    refused_models: &[FINE_TUNED, ("together-ai-", "must be a model: this is a class of prices")],
    ..COMPATIBLE
};
