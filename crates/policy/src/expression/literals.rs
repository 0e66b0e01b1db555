//! Where string literals end. Whoever looks for brackets must know what is text; the `cel` crate's lexer
//! reads on behind a literal that it cannot read, so what would be none is refused before it sees it.

/// A literal that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The text or the line ends in it.
    Open,
    /// A backslash with something behind it that means nothing, at this byte.
    Escape(usize),
}

/// Where the literal ends that begins with the quote at this byte. `word` is what stands directly
/// before it: `r` makes it raw, `b` makes it bytes.
pub(crate) fn end(text: &[u8], quote: usize, word: &[u8]) -> Result<usize, Broken> {
    let raw = matches!(word, [b'r' | b'R'] | [b'b' | b'B', b'r' | b'R'] | [b'r' | b'R', b'b' | b'B']);
    let mark = text[quote];
    let long = text[quote..].starts_with(&[mark; 3]);
    let mut at = quote + if long { 3 } else { 1 };
    while let Some(&byte) = text.get(at) {
        if byte == mark && (!long || text[at..].starts_with(&[mark; 3])) {
            return Ok(at + if long { 3 } else { 1 });
        }
        at += match byte {
            b'\n' | b'\r' if !long => return Err(Broken::Open),
            b'\\' if !raw => escape(&text[at + 1..]).ok_or(Broken::Escape(at))? + 1,
            _ => 1,
        };
    }
    Err(Broken::Open)
}

/// How many bytes stand behind a backslash as its meaning.
fn escape(rest: &[u8]) -> Option<usize> {
    let digits = |count: usize, fit: fn(&u8) -> bool| {
        let digits = rest.get(1..=count)?;
        digits.iter().all(fit).then_some(count + 1)
    };
    match rest.first()? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`' => Some(1),
        b'x' | b'X' => digits(2, u8::is_ascii_hexdigit),
        b'u' => digits(4, u8::is_ascii_hexdigit),
        b'U' => digits(8, u8::is_ascii_hexdigit),
        b'0'..=b'3' => digits(2, |digit| matches!(digit, b'0'..=b'7')),
        _ => None,
    }
}
