//! What can be wrong with an expression, before and while it is evaluated. No message has a value in
//! it: values may be secrets, or what callers sent.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// An expression that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// What is wrong.
    pub message: String,
    /// Which bytes of the text are meant.
    pub range: Range<usize>,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl CompileError {
    pub(crate) fn new(message: impl Into<String>, range: Range<usize>) -> Self {
        Self { message: message.into(), range, suggestion: None }
    }

    pub(crate) fn or(self, suggestion: Option<String>) -> Self {
        Self { suggestion, ..self }
    }

    /// The same error in a longer text that has the expression from this byte on.
    pub(crate) fn shifted(self, by: usize) -> Self {
        Self { range: self.range.start + by..self.range.end + by, ..self }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CompileError {}

/// An expression that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct EvaluationError {
    /// What happened.
    pub failure: Failure,
    /// Which bytes of the text are to blame.
    pub range: Range<usize>,
}

/// Why an expression came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A map was asked for what it has not; named if the expression names it.
    #[error("there is no `{0}`")]
    NoSuchMember(Arc<str>),
    /// A map was asked for a key that was computed.
    #[error("the map has no such key")]
    NoSuchKey,
    /// A list was asked for a place that it has not.
    #[error("the list has no such place")]
    OutOfRange,
    /// Something was done with a value that it cannot be done with.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What would have done.
        expected: &'static str,
        /// What there was.
        found: &'static str,
    },
    /// An operator stands between values that it is not for.
    #[error("`{operator}` does not go with {left} and {right}")]
    NoOperator {
        /// As it is written.
        operator: &'static str,
        /// What stands left.
        left: &'static str,
        /// What stands right.
        right: &'static str,
    },
    /// A condition is neither true nor false.
    #[error("a condition must be true or false, this is {0}")]
    NotACondition(&'static str),
    /// An argument that means nothing.
    #[error("{0}")]
    BadArgument(&'static str),
    /// A number became too large.
    #[error("the number does not fit")]
    Overflow,
    /// Something was divided by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A secret that nobody keeps.
    #[error("there is no secret `{name}`{}", vault.as_ref().map(|vault| format!(" in vault `{vault}`")).unwrap_or_default())]
    NoSuchSecret {
        /// Where it was looked for, unless everywhere.
        vault: Option<Arc<str>>,
        /// What it would be called.
        name: Arc<str>,
    },
    /// A secret that is an empty string, with which nothing may be compared.
    #[error("the secret `{name}` is empty")]
    EmptySecret {
        /// What it is called.
        name: Arc<str>,
    },
    /// Something is asked about that is not known at this point.
    #[error("`{0}` is not known here")]
    NotKnown(&'static str),
    /// More work than one expression may do.
    #[error("the expression does too much")]
    TooMuchWork,
    /// A value larger or deeper than values may be, or more of them than one expression may make.
    #[error("the expression needs too much memory")]
    TooLarge,
}

impl Failure {
    /// Whether a condition may be decided without what failed. Work that was cut off decides nothing:
    /// otherwise the cut would choose the outcome.
    pub(crate) fn may_be_outvoted(&self) -> bool {
        !matches!(self, Self::TooMuchWork | Self::TooLarge)
    }

    pub(crate) fn wrong_type(expected: &'static str, found: &crate::value::Value) -> Self {
        Self::WrongType { expected, found: found.kind() }
    }
}

impl From<crate::value::TooLarge> for Failure {
    fn from(_: crate::value::TooLarge) -> Self {
        Self::TooLarge
    }
}
