//! The produced text in a stream's events, found by walking over the strings behind the member that
//! holds it.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::endpoint::Endpoint;
use crate::scan;

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"delta\""));
static CHOICES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"choices\""));

/// Whether a member holds what a model produced: text, tool calls, reasoning in the words of
/// OpenAI and of those who speak its dialect.
pub(super) fn is_produced(name: &[u8]) -> bool {
    matches!(
        name,
        b"content"
            | b"delta"
            | b"text"
            | b"refusal"
            | b"arguments"
            | b"input"
            | b"name"
            | b"reasoning_content"
            | b"reasoning"
    )
}

/// The members with string values, names without and values with their quotes, from the member on
/// that holds the produced text.
pub(super) struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    pub(super) fn new(endpoint: Endpoint, data: &'a [u8]) -> Self {
        let begin = if endpoint == Endpoint::Completions { CHOICES.find(data) } else { DELTA.find(data) };
        Self { rest: begin.map_or(&[], |begin| &data[begin..]) }
    }

    /// The next string, with its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let begin = memchr::memchr(b'"', self.rest)?;
        let end = scan::string_end(self.rest, begin + 1)? + 1;
        let string = &self.rest[begin..end];
        self.rest = &self.rest[end..];
        Some(string)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let name = self.string()?;
            let after = self.rest.trim_ascii_start();
            let Some(after) = after.strip_prefix(b":") else { continue };
            if after.trim_ascii_start().starts_with(b"\"") {
                let value = self.string()?;
                return Some((&name[1..name.len() - 1], value));
            }
        }
    }
}
