//! Traffic policies as they are kept: a text, which only the crate `policy` understands.

/// The longest policy, in bytes. Every proxy keeps the text and what it was compiled to, and a policy
/// that a person can still read is far shorter.
pub const LONGEST: usize = 128 * 1024;
