//! Hyperbolic.

use super::super::Credits;
use super::members::{CHAT, COMPLETIONS, MIN_P, REPETITION_PENALTY, SEVERAL, TOP_K};
use super::{COMPATIBLE, chat, completions, with};

/// It runs open models, whose thoughts are a part of what the limit holds for.
pub(crate) const HYPERBOLIC: Credits = Credits {
    operations: &[
        chat(with!(&[SEVERAL, TOP_K, MIN_P, REPETITION_PENALTY], CHAT)),
        completions(with!(&[SEVERAL, TOP_K, MIN_P, REPETITION_PENALTY], COMPLETIONS)),
    ],
    ..COMPATIBLE
};
