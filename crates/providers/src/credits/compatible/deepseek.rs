//! DeepSeek.

use super::super::Credits;
use super::members::{CHAT, THINKING};
use super::{COMPATIBLE, FINE_TUNED, chat, with};

const RETIRED: &str = "must be a model that is still served there, such as `deepseek-v4-flash`";

/// Its guide first said that the limit holds for the answer alone, after up to 32,768 tokens of thought, and
/// later that it holds for both; so what thinks is held as long as the model's longest answer. Prefixes and
/// completions in the middle are betas in another place.
pub(crate) const DEEPSEEK: Credits = Credits {
    operations: &[chat(with!(&[THINKING], CHAT))],
    limits_thought: false,
    // The list has older names at their last prices. Whatever still answers to one has another.
    refused_models: &[
        FINE_TUNED,
        ("-chat", RETIRED),
        ("-reasoner", RETIRED),
        ("-coder", RETIRED),
        ("-r1", RETIRED),
        ("-v3", RETIRED),
    ],
    switchable: &["deepseek-v4", "deepseek-flash"],
    ..COMPATIBLE
};
