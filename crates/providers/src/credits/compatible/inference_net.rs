//! Inference.net.

use super::super::Credits;
use super::members::{CHAT, COMPLETIONS, EMBEDDINGS};
use super::{COMPATIBLE, chat, completions, embeddings};

/// The price list has none of its models: they can be sold at prices that the operator sets. It runs open
/// models, whose thoughts are a part of what the limit holds for.
pub(crate) const INFERENCE_NET: Credits =
    Credits { operations: &[chat(CHAT), completions(COMPLETIONS), embeddings(EMBEDDINGS)], ..COMPATIBLE };
