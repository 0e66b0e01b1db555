//! Perplexity.

use super::super::Credits;
use super::members::EMBEDDINGS;
use super::{COMPATIBLE, embeddings};

/// Its models that answer search the web, at a fee for each request that depends on how much is searched and
/// that the price list does not have; so embeddings are all that is sold.
pub(crate) const PERPLEXITY: Credits = Credits {
    operations: &[embeddings(EMBEDDINGS)],
    refused_models: &[(
        "embed-context",
        "must be a model for texts by themselves: others are asked elsewhere",
    )],
    ..COMPATIBLE
};
