//! Regular expressions, within bounds.

use regex::{Regex, RegexBuilder};

/// How long a pattern may be, in bytes.
const LONGEST: usize = 4 << 10;
/// How large a compiled pattern may become, in bytes, and how many steps each byte of a text then
/// counts: the time of a match grows with both at the worst.
const SIZES: [(usize, usize); 3] = [(8 << 10, 1), (64 << 10, 8), (256 << 10, 32)];

/// A pattern that is ready to match.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// Steps that each byte of a text counts.
    pub(super) cost: usize,
}

/// Reads a pattern. The message quotes nothing: patterns may be computed.
pub(super) fn compile(pattern: &str) -> Result<Pattern, String> {
    if pattern.len() > LONGEST {
        return Err(format!("a pattern may have {LONGEST} bytes"));
    }
    for (size, cost) in SIZES {
        // The cache of a search is of its own size: too small a one would be slow for what is not.
        let most = SIZES[SIZES.len() - 1].0;
        match RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(most).nest_limit(50).build() {
            Ok(regex) => return Ok(Pattern { regex, cost }),
            Err(regex::Error::CompiledTooBig(_)) => {}
            Err(_) => return Err("the pattern is no regular expression".to_owned()),
        }
    }
    Err("the pattern is too large".to_owned())
}
