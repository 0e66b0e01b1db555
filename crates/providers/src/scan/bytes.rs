//! The two loops that nearly all bytes of a body pass through.

use memchr::memchr2;

/// The closing quote of the string whose text begins at `start`.
pub(crate) fn string_end(body: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr2(b'"', b'\\', body.get(at..)?)?;
        if body[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// The next quote, bracket or brace from `start` on.
pub(crate) fn next_structural(body: &[u8], start: usize) -> Option<usize> {
    let rest = body.get(start..)?;
    // Close by in text, far away in embeddings: blocks without a hit are tested as vectors.
    let mut at = 0;
    for block in rest.chunks_exact(32) {
        let hit = block.iter().fold(false, |hit, byte| hit | is_structural(*byte));
        if hit {
            break;
        }
        at += 32;
    }
    rest[at..].iter().position(|byte| is_structural(*byte)).map(|found| start + at + found)
}

/// `[` and `{`, `]` and `}` differ in one bit.
fn is_structural(byte: u8) -> bool {
    byte == b'"' || matches!(byte | 0x20, b'{' | b'}')
}
