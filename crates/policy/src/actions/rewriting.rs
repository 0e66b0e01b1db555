//! Changing a request's address by a regular expression: what `url-rewrite` and `redirect` share.

use std::borrow::Cow;

use regex::Regex;

use crate::actions::texts::short_text;
use crate::document::compiled::{PATTERN_BYTES, pattern};
use crate::document::fields::Fields;
use crate::document::place::Place;
use crate::problem::Code;
use crate::run::{Exchange, Failure};
use crate::template::Template;
use crate::value::Value;

/// A regular expression, fixed or computed.
pub(crate) enum Pattern {
    Fixed(Regex),
    Computed(Template),
}

/// How large a pattern may become that is compiled for each request, and how many steps of the request's
/// budget that takes.
const COMPUTED_BYTES: usize = 64 << 10;
const COMPILING_STEPS: usize = 10_000;

impl Pattern {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let text = place.text()?;
        if text.is_empty() {
            return place.wrong(Code::Empty, "This may not be empty.");
        }
        if text.contains("${") {
            return place.template().map(Self::Computed);
        }
        place.may_compile(1)?;
        match pattern(text, PATTERN_BYTES) {
            Some(regex) => Some(Self::Fixed(regex)),
            None => place.wrong_so(
                Code::Pattern,
                "This is not a regular expression, or one that takes too much memory.",
                "Write it as RE2 does: without look-around and back-references.",
            ),
        }
    }

    /// The expression for one request.
    pub(crate) fn regex(&self, exchange: &Exchange) -> Result<Cow<'_, Regex>, Failure> {
        match self {
            Self::Fixed(regex) => Ok(Cow::Borrowed(regex)),
            Self::Computed(template) => {
                let text = exchange.look(|facts| short_text(template, facts, 4096))?;
                exchange.work(COMPILING_STEPS)?;
                pattern(text.as_str(), COMPUTED_BYTES).map(Cow::Owned).ok_or(Failure::Pattern)
            }
        }
    }
}

/// What an address is turned into.
pub(crate) struct Rewriting {
    from: Option<Pattern>,
    to: Template,
}

/// An address that was turned into another.
pub(crate) struct Rewritten {
    pub(crate) url: String,
    pub(crate) matches: Vec<Value>,
}

/// The longest address that is made.
const MOST_BYTES: usize = 16 * 1024;

impl Rewriting {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let from = fields.maybe("from", Pattern::read);
        let to = fields.need("to", |place| {
            place.text_of(1..=MOST_BYTES)?;
            place.template()
        });
        Some(Self { from: from?, to: to? })
    }

    /// The new address; `None` if nothing matches or nothing changes.
    pub(crate) fn apply(&self, exchange: &Exchange) -> Result<Option<Rewritten>, Failure> {
        let old = exchange.url();
        let from = self.from.as_ref().map(|from| from.regex(exchange)).transpose()?;
        if from.as_ref().is_some_and(|from| !from.is_match(&old)) {
            return Ok(None);
        }
        let to = exchange.look(|facts| short_text(&self.to, facts, MOST_BYTES))?;
        let (url, matches) = match from {
            None => (to.as_str().to_owned(), Vec::new()),
            Some(from) => {
                let matches = from.find_iter(&old).take(100).map(|found| found.as_str().into()).collect();
                let url = replaced_within(&from, &old, to.as_str(), MOST_BYTES);
                (
                    url.ok_or_else(|| Failure::evaluation("the address that was computed is too long"))?,
                    matches,
                )
            }
        };
        Ok((url != old).then_some(Rewritten { url, matches }))
    }
}

/// The text with every match replaced, `$1` in the replacement standing for a group; `None` if it would get
/// longer than that. A pattern that matches everywhere and a long replacement would otherwise fill the memory.
pub(crate) fn replaced_within(from: &Regex, text: &str, to: &str, most: usize) -> Option<String> {
    let mut replaced = String::new();
    let mut copied = 0;
    for captures in from.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        replaced.push_str(&text[copied..whole.start()]);
        captures.expand(to, &mut replaced);
        copied = whole.end();
        if replaced.len() > most {
            return None;
        }
    }
    replaced.push_str(&text[copied..]);
    (replaced.len() <= most).then_some(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_is_replaced_and_no_more_than_allowed() {
        let from = pattern("(a)(b)?", PATTERN_BYTES).unwrap();
        assert_eq!(replaced_within(&from, "abca", "<$1$2>", 100).as_deref(), Some("<ab>c<a>"));
        let everywhere = pattern("x*", PATTERN_BYTES).unwrap();
        assert_eq!(replaced_within(&everywhere, &"y".repeat(1000), &"z".repeat(1000), 10_000), None);
    }
}
