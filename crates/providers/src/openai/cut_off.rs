//! Ends a stream that cannot be paid further as its dialect ends one whose limit of output is reached.

mod completions;
mod responses;

use bytes::Bytes;
use model::usage::Tokens;

use self::completions::Completions;
use self::responses::Responses;
use crate::endpoint::Endpoint;

/// What must be kept of a stream to end it.
#[derive(Debug)]
pub(super) enum Transcript {
    /// Chat completions, and completions.
    Completions(Completions),
    /// Responses, whose last event tells everything again.
    Responses(Responses),
    /// A stream that is never ended early.
    Other,
}

impl Transcript {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::ChatCompletions => Self::Completions(Completions::new("chat.completion.chunk")),
            Endpoint::Completions => Self::Completions(Completions::new("text_completion")),
            Endpoint::Responses => Self::Responses(Responses::default()),
            _ => Self::Other,
        }
    }

    /// Takes an event's data: with its kind, where that stands first, and whether it tells why an answer
    /// ended.
    pub(super) fn hear(&mut self, data: &[u8], kind: Option<&[u8]>, finished: bool) {
        match self {
            Self::Completions(completions) => completions.hear(data, finished),
            Self::Responses(responses) => responses.hear(data, kind),
            Self::Other => {}
        }
    }

    /// The frames that end it.
    pub(super) fn end(&self, answers: u64, usage: &Tokens, include_usage: bool) -> Option<Bytes> {
        match self {
            Self::Completions(completions) => completions.end(answers, usage, include_usage),
            Self::Responses(responses) => responses.end(usage),
            Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests;
