//! What the simulated provider bills for a request: a pure function of what was asked, what was wished for, and how
//! far the answer got.

use serde::Serialize;
use serde_json::Value;

/// The tokens of a request that are billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tokens {
    #[serde(rename = "input_tokens")]
    pub(crate) input: u64,
    /// The part of the input that was found in the cache.
    #[serde(rename = "cached_tokens")]
    pub(crate) cached: u64,
    /// The parts of it that were written there, for the shorter time and for the longer one.
    #[serde(rename = "cache_write_tokens")]
    pub(crate) cache_write: u64,
    #[serde(rename = "cache_write_long_tokens")]
    pub(crate) cache_write_long: u64,
    #[serde(rename = "output_tokens")]
    pub(crate) output: u64,
    /// The part of the output that nobody sees.
    #[serde(rename = "reasoning_tokens")]
    pub(crate) reasoning: u64,
}

impl Tokens {
    /// What a `usage` in OpenAI's words says, whichever endpoint's it is; nothing if it counts something else.
    pub(crate) fn reported(usage: &Value) -> Self {
        let number = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| usage.pointer(name)?.as_u64());
            found.unwrap_or_default()
        };
        Self {
            input: number(["/prompt_tokens", "/input_tokens"]),
            cached: number(["/prompt_tokens_details/cached_tokens", "/input_tokens_details/cached_tokens"]),
            output: number(["/completion_tokens", "/output_tokens"]),
            reasoning: number([
                "/completion_tokens_details/reasoning_tokens",
                "/output_tokens_details/reasoning_tokens",
            ]),
            ..Self::default()
        }
    }

    /// What is owed before anything was produced.
    pub(crate) fn before_the_answer(self) -> Self {
        Self { output: 0, reasoning: 0, ..self }
    }

    /// What is owed once the answer has begun and `delivered` tokens of it are there to be seen.
    pub(crate) fn so_far(self, delivered: u64) -> Self {
        Self { output: self.output.min(self.reasoning + delivered), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_owed_as_far_as_it_got() {
        let whole = Tokens { input: 10, cached: 4, output: 30, reasoning: 20, ..Tokens::default() };
        assert_eq!(whole.before_the_answer(), Tokens { output: 0, reasoning: 0, ..whole });
        assert_eq!(whole.so_far(3).output, 23);
        assert_eq!(whole.so_far(300), whole);
    }
}
