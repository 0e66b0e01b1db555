//! Fireworks AI.

use super::super::Credits;
use super::members::{
    CHAT, COMPLETIONS, EMBEDDINGS, MAX_COMPLETION_TOKENS, MIN_P, REPETITION_PENALTY, SEVERAL, THINKING, TOP_K,
};
use super::{COMPATIBLE, FINE_TUNED, chat, completions, embeddings, with};

/// It runs open models, whose thoughts are a part of what the limit holds for. Models of the account
/// `fireworks` are billed by the token; what lies in any other one, or behind a `#`, is somebody's own.
pub(crate) const FIREWORKS: Credits = Credits {
    operations: &[
        chat(with!(&[MAX_COMPLETION_TOKENS, SEVERAL, THINKING, TOP_K, MIN_P, REPETITION_PENALTY], CHAT)),
        completions(with!(&[SEVERAL, TOP_K, MIN_P, REPETITION_PENALTY], COMPLETIONS)),
        embeddings(EMBEDDINGS),
    ],
    refused_models: &[
        FINE_TUNED,
        ("#", "must not name a deployment: those are the operator's own. Use a key of your own"),
        ("/deployments/", "must not be a deployment: those are the operator's own. Use a key of your own"),
        ("fireworks-ai-", "must be a model: this is a class of prices"),
    ],
    ..COMPATIBLE
};
