//! DeepSeek.

use super::super::Credits;
use super::members::{CHAT, THINKING};
use super::{COMPATIBLE, chat, with};

/// Its guide first said that the limit holds for the answer alone, after up to 32,768 tokens of thought, and
/// later that it holds for both; so what thinks is held as long as the model's longest answer. Prefixes and
/// completions in the middle are betas in another place.
pub(crate) const DEEPSEEK: Credits = Credits {
    operations: &[chat(with!(&[THINKING], CHAT))],
    limits_thought: false,
    // The names of older models choose whether they think.
    switchable: &["deepseek-v4", "deepseek-flash"],
    ..COMPATIBLE
};
