//! Regular expressions, within bounds.

use regex::{Regex, RegexBuilder};

/// How long a pattern may be, in bytes.
const LONGEST: usize = 4 << 10;
/// How large a compiled pattern may become, in bytes; its own cache while it matches is as large again.
const LARGEST: usize = 256 << 10;

/// A pattern that is ready to match. The message quotes nothing: patterns may be computed.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST {
        return Err(format!("a pattern may have {LONGEST} bytes"));
    }
    let built = RegexBuilder::new(pattern).size_limit(LARGEST).dfa_size_limit(LARGEST).nest_limit(50).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
        _ => "the pattern is no regular expression".to_owned(),
    })
}
