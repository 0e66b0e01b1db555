//! Strategies that came to nothing.

use std::borrow::Cow;

use super::told::Chosen;

/// Nobody is asked, because strategies came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Unchosen {
    /// Why.
    pub why: Why,
    /// What each of them did.
    pub chosen: Chosen,
}

/// Why strategies came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// None of those for models came to one that the gateway allows and the caller named.
    #[error(
        "No model is left: none of the gateway's strategies came to one that it allows and that was asked for"
    )]
    NoModel,
    /// All of those for models failed; this is what the first one said.
    #[error("The gateway's strategies for models failed: {0}")]
    Failed(String),
    /// One of those for models came to something else than models, and none came to any.
    #[error("A strategy of the gateway's came to no model: {0}")]
    WrongType(String),
    /// None of those for keys came to one.
    #[error("None of the gateway's strategies for keys came to a key for `{provider}`")]
    NoKey {
        /// Whose keys.
        provider: Cow<'static, str>,
    },
}
