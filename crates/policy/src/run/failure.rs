//! Why an action came to nothing.

use http::StatusCode;

use super::answer::Refusal;
use crate::expression::EvaluationError;

/// An action or a condition that could not do its work. What guards a gateway is not skipped then: the request
/// ends. The sentence has no value in it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    /// Something in the policy cannot be computed for this request.
    #[error("{0}")]
    Evaluation(String),
    /// What had to be asked outside did not answer.
    #[error("{0}")]
    Unavailable(String),
    /// A regular expression came out as none.
    #[error("a regular expression that was computed is not one")]
    Pattern,
}

impl Failure {
    pub(crate) fn evaluation(what: impl Into<String>) -> Self {
        Self::Evaluation(what.into())
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable(what.into())
    }

    /// The refusal that it ends in, if it happened here.
    pub(crate) fn refusal(&self, place: &str) -> Refusal {
        let (status, code, message) = match self {
            Self::Evaluation(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                2254,
                "The gateway's traffic policy could not be evaluated.",
            ),
            Self::Pattern => (
                StatusCode::INTERNAL_SERVER_ERROR,
                3901,
                "The gateway's traffic policy could not be evaluated.",
            ),
            Self::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                2253,
                "What the gateway's traffic policy needs is not available.",
            ),
        };
        Refusal::new(status, Some(code), message).because(format!("{place}: {self}"))
    }
}

impl From<EvaluationError> for Failure {
    fn from(error: EvaluationError) -> Self {
        Self::Evaluation(error.to_string())
    }
}

impl From<crate::value::TooLarge> for Failure {
    fn from(_: crate::value::TooLarge) -> Self {
        Self::evaluation("a value is too large")
    }
}
